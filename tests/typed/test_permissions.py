"""Who may call what: the cluster file's word, a ticket's, and both at once."""

import json
from pathlib import Path

import pytest

from pbft.cluster import Cluster
from pbft.core.errors import ConfigurationError, Refusal
from pbft.core.messages import Ticket
from pbft.core.service import Context
from pbft.node import Node
from pbft.typed.methods import operation
from pbft.typed.permissions import Permissions
from tests.typed.bank import Bank

FILE = {"all": ("*",), "some": ("get", "put"), "none": (), "owner": ("*", "pbft.upgrade")}


def ticket(by: str, *may: str, until: int = 0) -> Ticket:
    return Ticket(by, 0, bytes(32), bytes(32), may, until)


def allowed(name: str, client: str, shown: Ticket | None = None, *, named: bool = True) -> bool:
    """At the agreed time 1,000."""
    context = Context(client, 1, 1000, ticket=shown)
    try:
        Permissions(FILE, named=named)(operation(name, []), context)
    except Refusal as refused:
        return not str(refused).startswith("NotPermittedError: ")
    return True


@pytest.mark.parametrize(
    ("client", "get", "put", "drop"),
    [
        ("all", True, True, True),
        ("some", True, True, False),
        ("none", False, False, False),
        ("nobody", False, False, False),
    ],
)
def test_a_client_may_what_the_cluster_file_says(
    client: str, get: bool, put: bool, drop: bool
) -> None:
    assert [allowed(name, client) for name in ("get", "put", "drop")] == [get, put, drop]


@pytest.mark.parametrize(
    ("by", "may", "get", "put", "drop"),
    [
        ("all", ("*",), True, True, True),
        ("all", ("get",), True, False, False),
        ("some", ("*",), True, True, False),
        ("some", ("get", "drop"), True, False, False),
        ("some", ("drop",), False, False, False),
        ("none", ("*",), False, False, False),
        ("all", (), False, False, False),
        ("nobody", ("*",), False, False, False),
    ],
)
def test_a_guest_may_what_both_its_ticket_and_its_admitter_may(
    by: str, may: tuple[str, ...], get: bool, put: bool, drop: bool
) -> None:
    shown = ticket(by, *may)
    assert [allowed(name, f"{by}/0", shown) for name in ("get", "put", "drop")] == [get, put, drop]


@pytest.mark.parametrize(("until", "still"), [(0, True), (1001, True), (1000, False), (1, False)])
def test_a_ticket_ends_with_the_agreed_time(until: int, still: bool) -> None:
    assert allowed("get", "all/0", ticket("all", "*", until=until)) == still


@pytest.mark.parametrize(
    ("client", "shown", "may"),
    [
        ("all", None, False),
        ("some", None, False),
        ("owner", None, True),
        ("owner/0", ticket("owner", "*"), False),
        ("owner/0", ticket("owner", "*", "pbft.upgrade"), True),
        ("all/0", ticket("all", "*", "pbft.upgrade"), False),
    ],
)
def test_another_version_is_for_whom_the_file_names_with_it(
    client: str, shown: Ticket | None, may: bool
) -> None:
    assert allowed("pbft.upgrade", client, shown) == may
    assert allowed("get", client, shown)


def test_who_may_not_switch_versions_learns_how_it_could() -> None:
    with pytest.raises(Refusal, match=r"in the .* of everybody, and start everything"):
        Permissions(FILE)(operation("pbft.upgrade", []), Context("all", 1, 1000))


def test_where_operations_have_no_names_only_who_may_do_everything_may_do_anything() -> None:
    assert allowed("get", "all", named=False)
    assert allowed("get", "all/0", ticket("all", "*"), named=False)
    assert not allowed("get", "some", named=False)
    assert not allowed("get", "all/0", ticket("all", "get"), named=False)


def test_what_is_no_call_is_refused_to_whoever_is_limited() -> None:
    with pytest.raises(Refusal, match="InvalidArgumentsError"):
        Permissions(FILE)(b"\xc1", Context("some", 1, 1000))
    Permissions(FILE)(b"\xc1", Context("all", 1, 1000))
    Permissions(FILE, named=False)(b"pbft.upgrade", Context("all", 1, 1000))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "depost",
            "may of client-0 names depost, .* did you mean deposit[?] It has balance, cheat",
        ),
        ("pbft.upgarde", "names pbft.upgarde, .* did you mean pbft.upgrade[?]"),
        ("xyz", "names xyz, which the service does not have: it has balance"),
    ],
)
def test_a_name_that_the_service_does_not_have_stops_the_start(
    name: str, said: str, tmp_path: Path
) -> None:
    made, identities = Cluster.create(4, 2, 7400)
    made.save(tmp_path, identities)
    file = tmp_path / "cluster.toml"
    text = file.read_text()
    for may in (["deposit", "pbft.events", "pbft.upgrade", "*"], ["deposit", name]):
        file.write_text(text.replace('may = ["*"]', f"may = {json.dumps(may)}", 1))
        cluster = Cluster.load(tmp_path)
        if name not in may:
            Node(cluster, 0, identities["replica-0"], Bank())
    with pytest.raises(ConfigurationError, match=said):
        Node(cluster, 0, identities["replica-0"], Bank())
