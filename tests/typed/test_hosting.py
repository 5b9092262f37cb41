"""What a replica does with a call of a plain class."""

import contextlib
import copy
import sys
from typing import cast

import msgspec
import pytest

from pbft import (
    Context,
    HaltError,
    InvalidArgumentsError,
    Map,
    NotPermittedError,
    RejectedError,
    ServiceError,
    UnknownCommandError,
    command,
    query,
)
from pbft.services.sql_tables import SqlError, SqlTables
from pbft.typed.events import emit
from pbft.typed.methods import operation
from tests.typed.bank import Bank, InsufficientError
from tests.typed.host import Host, moved


class Entry(msgspec.Struct):
    count: int = 0


def test_a_command_changes_the_state_and_a_query_reads_it() -> None:
    host = Host(Bank())
    assert host.call(Bank.deposit, "ann", 5) == 5
    assert host.call(Bank.deposit, "ann") == 6
    assert host.ask(Bank.balance, "ann") == 6
    assert host.call(Bank.balance, "ann") == 6  # a query may be ordered, too


def test_what_raises_leaves_everything_as_it_was_and_comes_back_typed() -> None:
    host = Host(Bank())
    host.call(Bank.deposit, "ann", 5)
    before = host.digest
    with pytest.raises(InsufficientError) as caught:
        host.call(Bank.transfer, "ann", "bob", 7)
    assert caught.value.args == ("too little", 5)
    assert host.digest == before
    assert (host.target.transfers, host.target.tags) == (0, set())  # type: ignore[attr-defined]
    assert host.ask(Bank.total) == 5
    with pytest.raises(KeyError, match="nobody"):
        host.ask(Bank.balance, "nobody")


def test_a_transfer_of_the_state_brings_attributes_and_maps() -> None:
    host = Host(Bank())
    for name, amount in (("ann", 5), ("bob", 7)):
        host.call(Bank.deposit, name, amount)
    host.call(Bank.transfer, "bob", "ann", 2)
    other = moved(host, Bank())
    assert other.ask(Bank.total) == 12
    assert other.call(Bank.deposit, "ann") == host.call(Bank.deposit, "ann") == 8
    assert other.digest == host.digest
    assert other.target.tags == {"bob"}  # type: ignore[attr-defined]


def test_arguments_are_checked_at_the_caller_and_at_the_replica() -> None:
    host = Host(Bank())
    with pytest.raises(InvalidArgumentsError, match="amount"):
        Bank.deposit.pack(("ann", "five"), {})
    with pytest.raises(TypeError, match="missing a required argument"):
        Bank.deposit.pack((), {})
    for packed in ([], [b"\xa1x", b"\xa1y"], [b"\xa1x", b"\x01", b"\x02"], [b"\xc1"]):
        with pytest.raises(InvalidArgumentsError):
            host.raw(operation("deposit", packed))
    for garbage in (b"", b"\x00", b"\xff" * 40, operation("deposit", [b"\xa1x"])[:-1]):
        with pytest.raises(InvalidArgumentsError):
            host.raw(garbage)


def test_a_name_that_is_none_and_one_of_another_kind() -> None:
    host = Host(Bank())
    with pytest.raises(UnknownCommandError, match="version 1 of the service has no 'rob'"):
        host.raw(operation("rob", []))
    with pytest.raises(ServiceError, match="has to be ordered"):
        host.ask(Bank.deposit, "ann")
    with pytest.raises(ServiceError, match="is a query and changed the state"):
        host.ask(Bank.cheat)
    assert host.target.transfers == 0  # type: ignore[attr-defined]


def test_a_client_may_call_what_the_cluster_file_lets_it() -> None:
    host = Host(Bank(), reader=("total",), clerk=("*",), owner=("*", "pbft.upgrade"))
    host.call(Bank.deposit, "ann", 5, client="clerk")
    assert host.call(Bank.total, client="reader") == 5
    with pytest.raises(NotPermittedError, match="reader may not call deposit"):
        host.call(Bank.deposit, "ann", 5, client="reader")
    for client in ("reader", "clerk"):
        with pytest.raises(NotPermittedError, match=r"may not call pbft.upgrade.*name it"):
            host.raw(operation("pbft.upgrade", [b"\x02"]), client)
    host.raw(operation("pbft.upgrade", [b"\x02"]), "owner")


def test_the_context_is_agreed_and_every_operation_has_its_seed() -> None:
    host, other = Host(Bank()), Host(Bank())
    first, second = host.call(Bank.stamp, "x"), host.call(Bank.stamp, "x")
    assert first[:2] == ("alice: x", 1000)
    assert len({first[2], second[2]}) == 2
    assert other.call(Bank.stamp, "x") == first
    with pytest.raises(ServiceError, match="takes a Context"):
        Bank().stamp("x")


def test_an_upgrade_switches_at_one_place_in_the_order() -> None:
    host = Host(Bank())
    host.call(Bank.deposit, "ann", 10)
    host.call(Bank.transfer, "ann", "bob", 1)
    assert b"afee" not in dict(host.hosted._state.items())
    host.upgrade(2)
    host.call(Bank.transfer, "ann", "bob", 1)
    assert host.ask(Bank.total) == 9  # one went to the fee
    assert dict(host.hosted._state.items())[b"afee"] == msgspec.msgpack.encode(1)
    with pytest.raises(ServiceError, match="version 2 is active already"):
        host.upgrade(2)


def test_a_version_that_nobody_has_stops_nobody() -> None:
    host = Host(Bank())
    for version in (3, 99, 2**63, 0, -1):
        with pytest.raises(ServiceError, match="version 1 is active"):
            host.upgrade(version)
    host.upgrade(2)


class Rough:
    def __init__(self) -> None:
        self.count = 0

    @command
    def go(self, how: str) -> None:
        self.count += 1
        kinds = {"memory": MemoryError, "depth": RecursionError, "exit": SystemExit}
        raise kinds[how]("no more")


def test_what_fails_at_one_replica_stops_it_and_an_exit_is_a_refusal() -> None:
    host = Host(Rough())
    with pytest.raises(HaltError, match=r"no memory at this replica .*no more"):
        Host(Rough()).call(Rough.go, "memory")
    before = host.digest
    with pytest.raises(RejectedError, match="SystemExit"):
        host.call(Rough.go, "exit")
    with pytest.raises(RejectedError, match="goes too deep"):
        host.call(Rough.go, "depth")
    assert host.digest == before


class OldBank:
    """The code of before."""

    def __init__(self) -> None:
        self.accounts = Map(str, int)

    @query
    def balance(self, name: str) -> int:
        return self.accounts[name]


def test_old_code_stops_at_the_switch_and_does_not_start_behind_it() -> None:
    host = Host(OldBank())
    with pytest.raises(HaltError, match="start it again with the new code"):
        host.upgrade(2)
    new = Host(Bank())
    new.upgrade(2)
    with pytest.raises(HaltError, match="version 2"):
        moved(new, OldBank())


def test_what_cannot_be_replicated_is_refused_with_the_place_to_mend() -> None:
    class Nothing:
        pass

    class Untyped:
        def __init__(self) -> None:
            self.entries: dict[str, int] = {}

        @command
        def go(self) -> None: ...

    class Twice:
        @command
        def go(self) -> None: ...

        @command(name="go")
        def gone(self) -> None: ...

    for kind, text in (
        (Nothing, "no @command"),
        (Untyped, "annotate Untyped.entries at the class"),
        (Twice, "go twice"),
    ):
        with pytest.raises(ServiceError, match=text):
            Host(kind())
    with pytest.raises(ServiceError, match="async"):

        @command
        async def wait(self: object) -> None: ...

    with pytest.raises(ServiceError, match="annotate amount"):
        _ = command(lambda self, amount: None)._codecs


class Loose:
    """Breaks each rule about attributes."""

    words: list[str]

    def __init__(self) -> None:
        self.words = []
        self.number = 0

    @command
    def grow(self, size: int) -> None:
        self.words.append("x" * size)

    @command
    def lie(self) -> None:
        self.number = "zero"  # type: ignore[assignment]

    @command
    def invent(self) -> None:
        self.more = 1

    @query
    def count(self) -> int:
        return len(self.words)


def test_attributes_stay_small_typed_and_known() -> None:
    host = Host(Loose())
    host.call(Loose.grow, 1000)
    before = host.digest
    for method, args, text in (
        (Loose.grow, (1024 * 1024,), "most of them words: make that a pbft.Map"),
        (Loose.lie, (), "Loose.number"),
        (Loose.invent, (), "set every attribute in __init__"),
    ):
        with pytest.raises(ServiceError, match=text):
            host.call(method, *args)
        assert host.digest == before
        assert host.ask(Loose.count) == 1
    host.call(Loose.grow, 1)
    assert host.ask(Loose.count) == 2


class Sets:
    """Sets have no order, dicts have one."""

    names: set[str]
    ranks: dict[str, int]

    def __init__(self) -> None:
        self.names = set()
        self.ranks = {}

    @command
    def add(self, name: str) -> set[str]:
        self.names.add(name)
        self.ranks[name] = len(self.ranks)
        return self.names

    @query
    def ranked(self) -> list[str]:
        return list(self.ranks)


def test_dicts_keep_their_order_and_sets_have_none() -> None:
    one, two = Host(Sets()), Host(Sets())
    for name in ("c", "a", "b"):
        one.call(Sets.add, name)
    for name in ("c", "b", "a"):
        two.call(Sets.add, name)
    assert one.hosted._state.get(b"anames") == two.hosted._state.get(b"anames")
    assert one.raw(Sets.add.pack(("a",), {})) == two.raw(Sets.add.pack(("a",), {}))
    assert moved(one, Sets()).ask(Sets.ranked) == ["c", "a", "b"]


class Keyed:
    def __init__(self) -> None:
        self.entries = Map(int, str)

    @command
    def put(self, key: int, value: str, fail: bool = False) -> int:
        self.entries[key] = value
        self.entries.pop(key - 100, None)
        if fail:
            raise ValueError("as told")
        return len(self.entries)

    @query
    def between(self, start: int, stop: int) -> list[tuple[int, str]]:
        return self.entries.range(start, stop, limit=2)


def test_a_map_is_in_order_and_undone_with_its_command() -> None:
    host = Host(Keyed())
    for key in (30, -5, 4, 1000):
        host.call(Keyed.put, key, str(key))
    assert host.ask(Keyed.between, -10, 30) == [(-5, "-5"), (4, "4")]
    with pytest.raises(ValueError, match="as told"):
        host.call(Keyed.put, 104, "x", True)
    assert host.ask(Keyed.between, 4, 200) == [(4, "4"), (30, "30")]
    assert host.call(Keyed.put, 104, "x") == 4
    assert moved(host, Keyed()).ask(Keyed.between, 0, 2000) == [(30, "30"), (104, "x")]


def test_a_map_by_itself_is_a_map() -> None:
    entries = Map(str, list[int])
    entries["b"] = [1]
    entries["a"] = [2, 3]
    assert dict(entries) == {"a": [2, 3], "b": [1]}
    assert "b" in entries
    assert cast(object, 7) not in entries
    del entries["b"]
    with pytest.raises(KeyError):
        del entries["b"]
    with pytest.raises(InvalidArgumentsError):
        entries["c"] = ["x"]  # type: ignore[list-item]
    with pytest.raises(ServiceError, match="keys of a Map"):
        Map(float, int)  # type: ignore[type-var]


def test_a_full_state_takes_nothing_more_and_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(Keyed())
    host.call(Keyed.put, 1, "")
    room = host.hosted._state.size_bytes + 100
    monkeypatch.setattr("pbft.typed.hosting.MAX_STATE_BYTES", room)
    host.call(Keyed.put, 1, "x" * 60)
    before = host.digest
    with pytest.raises(ServiceError, match="remove something"):
        host.call(Keyed.put, 2, "y" * 60)
    assert host.digest == before
    assert host.ask(Keyed.between, 0, 10) == [(1, "x" * 60)]
    assert host.call(Keyed.put, 101, "") == 1
    host.call(Keyed.put, 101, "xxx")
    monkeypatch.setattr("pbft.typed.hosting.MAX_STATE_BYTES", 1)  # far above it already
    host.call(Keyed.put, 101, "x")
    with pytest.raises(ServiceError, match="remove something"):
        host.call(Keyed.put, 101, "xx")


def test_a_copy_of_a_machine_goes_on_by_itself() -> None:
    host = Host(Bank())
    host.call(Bank.deposit, "ann", 5)
    host.call(Bank.transfer, "ann", "bob", 1)
    second = copy.deepcopy(host.machine)
    again = Bank.deposit.pack(("ann", 2), {})
    assert second.execute(again, Context("ann", 9, 9)) == msgspec.msgpack.encode(6)
    assert second.query(Bank.total.pack((), {})) == msgspec.msgpack.encode(7)
    assert second.tree.freeze().digest != host.digest
    assert host.ask(Bank.total) == 5


class Sly:
    """Its queries write, and hide that they were not let."""

    def __init__(self) -> None:
        self.entries = Map(str, int)
        self.tables = SqlTables()

    @command
    def create(self) -> None:
        self.tables.run("CREATE TABLE t (n INTEGER)")

    @query
    def put(self) -> None:
        with contextlib.suppress(ServiceError):
            self.entries["a"] = 1

    @query
    def insert(self) -> None:
        with contextlib.suppress(ServiceError):
            self.tables.run("INSERT INTO t VALUES (1)")

    @query
    def tell(self) -> None:
        emit("told")

    @query
    def fumble(self) -> None:
        with contextlib.suppress(SqlError):
            self.tables.run("SELECT * FROM nowhere")

    @query
    def count(self) -> tuple[int, int]:
        return len(self.entries), len(self.tables.select("SELECT * FROM t"))


def test_a_query_that_writes_is_refused_in_the_order_and_outside_it() -> None:
    host = Host(Sly())
    host.call(Sly.create)
    before = host.digest
    for ask, method in (
        *((host.call, each) for each in (Sly.put, Sly.insert, Sly.tell)),
        *((host.ask, each) for each in (Sly.put, Sly.insert)),
    ):
        with pytest.raises(ServiceError, match="is a query and changed the state"):
            ask(method)
        assert host.digest == before
        assert host.ask(Sly.count) == (0, 0)


def test_a_query_that_hides_a_failed_statement_leaves_nothing_for_the_next_command() -> None:
    """One replica may have answered it, and another not."""
    one, other = Host(Sly()), Host(Sly())
    for ask in (one.ask, one.call):
        with pytest.raises(SqlError, match="no such table"):
            ask(Sly.fumble)
    for host in (one, other):
        host.call(Sly.create)
    assert one.digest == other.digest


class Rude:
    """Its queries end the process, or try to."""

    value: int

    def __init__(self) -> None:
        self.value = 0

    @query
    def leave(self, how: int) -> int:
        self.value = 7
        if how == 0:
            sys.exit(3)
        if how == 1:
            raise GeneratorExit
        return self.leave(how)

    @query
    def read(self) -> int:
        return self.value


def test_a_query_that_wants_to_exit_is_refused_and_leaves_nothing() -> None:
    host = Host(Rude())
    for how, text in enumerate(("SystemExit", "GeneratorExit", "the command goes too deep")):
        for ask in (host.ask, host.call):
            with pytest.raises(RejectedError, match=text):
                ask(Rude.leave, how)
            assert host.ask(Rude.read) == 0


class Given:
    def __init__(self) -> None:
        self.value = 0

    @command
    def add(self, entry: Entry = Entry()) -> int:  # noqa: B008
        entry.count += 1
        return entry.count


def test_what_a_caller_leaves_out_is_the_default_as_it_was_written() -> None:
    host = Host(Given())
    for _ in range(2):
        assert host.raw(operation("add", [])) == msgspec.msgpack.encode(1)


def test_what_a_caller_leaves_out_is_the_last_and_has_a_default() -> None:
    class Three:
        @command
        def add(self, one: int, two: int = 20, three: int = 300) -> int:
            return one + two + three

    host = Host(Three())
    packed = [msgspec.msgpack.encode(each) for each in (1, 2, 3, 4)]
    given = [host.raw(operation("add", packed[:count])) for count in (1, 2, 3)]
    assert [msgspec.msgpack.decode(each) for each in given] == [321, 303, 6]
    for count in (0, 4):
        with pytest.raises(InvalidArgumentsError, match=f"was given {count}"):
            host.raw(operation("add", packed[:count]))
