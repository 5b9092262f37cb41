"""Receipts prove what happened to whoever has the public file, and nothing else does."""

import asyncio
import base64
from pathlib import Path

import pytest

from pbft.cli.main import main as cli
from pbft.client import Client
from pbft.cluster import Cluster
from pbft.core.authentication import Authentication
from pbft.core.messages import Receipt as Statement
from pbft.core.messages import Request
from pbft.core.wire import request_digest, results_digest
from pbft.receipts import MAX_BYTES, Receipt, ReceiptError, Statements, made, parse, render, verify
from pbft.transport.loop import run
from pbft.typed.methods import operation
from tests.local_cluster import make_cluster, make_node, running
from tests.typed.bank import Bank, InsufficientError, RemoteBank


class Forge:
    """Signs as anybody: what statements f traitors and their clients can make."""

    def __init__(self, directory: Path) -> None:
        self.cluster, self.identities = make_cluster(directory, clients=2)

    def signed(self, name: str, message: Request | Statement) -> bytes:
        key = self.identities[name].signing
        config = self.cluster.config
        return Authentication(config.cluster_id, key, self.cluster.verifier()).sign(message).raw

    def receipt(
        self,
        *replicas: int,
        result: bytes = b"\0yes",
        sequence: int = 7,
        operations: tuple[bytes, ...] = (b"op",),
    ) -> Receipt:
        raw = self.signed("client-0", Request("client-0", 5, operations))
        return made(
            self.cluster.config.cluster_id,
            raw,
            result,
            [self.statement(each, raw, result, sequence) for each in replicas],
        )

    def statement(
        self, replica: int, raw: bytes, result: bytes, sequence: int, client: str = "client-0"
    ) -> bytes:
        digests = request_digest(raw), results_digest((result,))
        message = Statement(client, 5, digests[0], sequence, digests[1], replica)
        return self.signed(f"replica-{replica}", message)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path / "c")


def test_f_plus_1_statements_that_agree_prove_what_they_say(forge: Forge) -> None:
    proven = verify(parse(render(forge.receipt(1, 3))), forge.cluster)
    assert (proven.client, proven.operation, proven.result) == ("client-0", b"op", b"yes")
    assert (proven.sequence, proven.replicas) == (7, (1, 3))


def test_every_flipped_bit_is_refused(forge: Forge) -> None:
    text = render(forge.receipt(0, 2)).encode()
    for at in range(len(text)):
        for bit in range(7):
            flipped = text[:at] + bytes((text[at] ^ 1 << bit,)) + text[at + 1 :]
            with pytest.raises(ReceiptError):
                verify(parse(flipped.decode("ascii")), forge.cluster)


def test_a_receipt_has_one_form_and_a_limit(forge: Forge) -> None:
    text = render(forge.receipt(0, 2))
    for other in (text + "\n", text.replace(" ", "  "), text.replace('"format"', '"\\u0066ormat"')):
        with pytest.raises(ReceiptError, match="as it was written"):
            parse(other)
    with pytest.raises(ReceiptError, match="too large"):
        parse(" " * MAX_BYTES + text)
    for nothing in ("", "null", "[]", "\ud800", "[" * 100_000, text[:-3]):
        with pytest.raises(ReceiptError, match="not a receipt"):
            parse(nothing)


def replaced(receipt: Receipt, **changes: object) -> Receipt:
    values = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
    return Receipt(**(values | changes))


def test_what_f_traitors_can_say_proves_nothing(forge: Forge, tmp_path: Path) -> None:
    good, other = forge.receipt(1, 3), forge.receipt(1, result=b"\0no")
    raw = base64.b64decode(good.request)
    at_8 = base64.b64encode(forge.statement(1, raw, b"\0yes", 8)).decode()
    unsigned = base64.b64encode(forge.signed("client-1", Request("client-0", 5, (b"op",)))).decode()
    for receipt, text in (
        (forge.receipt(1), "1 replicas speak here, and 2 have to"),
        (forge.receipt(), "0 replicas"),
        (replaced(good, statements=(good.statements[0],) * 2), "1 replicas speak"),
        (replaced(good, statements=good.statements * 2), "2 replicas speak"),
        (forge.receipt(1, 3, operations=(b"op", b"op")), "more than one operation"),
        (replaced(good, statements=good.statements + other.statements), "replicas speak|differ"),
        (replaced(good, statements=(at_8, good.statements[1])), "differ|speak"),
        (replaced(good, result=other.result), "another request or result"),
        (replaced(good, request=unsigned), "not signed by whom it names"),
        (replaced(good, statements=(good.request, good.statements[0])), "another message"),
        (forge.receipt(0, 1, result=b"\x01no"), "was refused"),
    ):
        with pytest.raises(ReceiptError, match=text):
            verify(receipt, forge.cluster)
    with pytest.raises(ReceiptError, match="another cluster"):
        verify(good, Forge(tmp_path / "d").cluster)


def test_a_client_gets_one_and_the_command_line_verifies_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "c"

    async def main() -> None:
        cluster, identities = make_cluster(directory)
        nodes = [make_node(cluster, identities, each, service=Bank()) for each in range(3)]
        async with running(*nodes), Client(directory, identity="client-0") as client:
            bank = RemoteBank(client)
            balance, receipt = await bank.certified(Bank.deposit, "ann", 5)
            assert balance == 5
            with pytest.raises(InsufficientError):
                await bank.certified(Bank.transfer, "ann", "bob", 6)
        (tmp_path / "receipt").write_text(render(receipt))

    run(main())
    for path in (directory / "keys").iterdir():
        path.unlink()  # the public file is enough
    arguments = ["verify-receipt", str(tmp_path / "receipt"), "--cluster", str(directory)]
    assert cli(arguments) == 0
    assert "genuine: client-0 called deposit" in capsys.readouterr().out
    assert cli([*arguments[:-1], str(directory / "cluster.toml")]) == 0
    (directory / "cluster.toml").rename(tmp_path / "theirs.toml")
    capsys.readouterr()
    assert cli([*arguments[:-1], str(tmp_path / "theirs.toml")]) == 0
    (tmp_path / "theirs.toml").rename(directory / "cluster.toml")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "genuine: client-0 called deposit"
    assert said[2].endswith(" = ['deposit', ['ann', 5]]")
    assert said[3].endswith(" = 5")
    assert cli([*arguments, "--json"]) == 0
    assert '"command": "deposit"' in capsys.readouterr().out
    (tmp_path / "receipt").write_text("{}")
    assert cli(arguments) != 0
    assert "not a receipt" in capsys.readouterr().err
    assert Cluster.load(directory).config.n == 4


def collected(statements: Statements, said: list[bytes], raw: bytes) -> Receipt:
    """What a client makes of these statements, which come one after the other."""

    def ask(data: bytes) -> None:
        for each in said:
            statements.absorb(each)

    async def main() -> Receipt:
        return await asyncio.wait_for(statements.collect(raw, b"\0yes", ask), 5)

    return asyncio.run(main())


def test_a_liar_does_not_spoil_a_receipt(forge: Forge) -> None:
    """What it states is signed and about the right result, at another place or of another call."""
    raw = forge.signed("client-0", Request("client-0", 5, (b"op",)))
    other = forge.signed("client-0", Request("client-0", 5, (b"no",)))
    good = [forge.statement(each, raw, b"\0yes", 7) for each in (1, 3)]
    for lie in (
        forge.statement(0, raw, b"\0yes", 8),
        forge.statement(0, other, b"\0yes", 7),
        forge.statement(0, raw, b"\0yes", 7, client="client-1"),
    ):
        statements = Statements(forge.cluster)
        receipt = collected(statements, [lie, *good], raw)
        assert verify(receipt, forge.cluster).replicas == (1, 3)
        assert statements.wrong == {0: 1}


def test_a_statement_that_its_replica_did_not_sign_is_nobodys(forge: Forge) -> None:
    raw = forge.signed("client-0", Request("client-0", 5, (b"op",)))
    good = [forge.statement(each, raw, b"\0yes", 7) for each in (1, 3)]
    forge.identities["replica-0"] = forge.identities["replica-3"]
    forged = [forge.statement(0, raw, b"\0yes", sequence) for sequence in (7, 8)]
    statements = Statements(forge.cluster)
    receipt = collected(statements, [*forged, *good], raw)
    assert verify(receipt, forge.cluster).replicas == (1, 3)
    assert not statements.wrong


def test_what_is_printed_of_a_receipt_stays_in_its_line(
    forge: Forge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A client that is a liar may put anything into an operation."""
    called = operation("add\ngenuine: \x1b[2Jclient-1 called pay", [])
    raw = forge.signed("client-0", Request("client-0", 5, (called,)))
    said = [forge.statement(each, raw, b"\0yes", 7) for each in (0, 1)]
    text = render(made(forge.cluster.config.cluster_id, raw, b"\0yes", said))
    (tmp_path / "receipt").write_text(text)
    assert cli(["verify-receipt", str(tmp_path / "receipt"), "--cluster", str(tmp_path / "c")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


def test_of_each_replica_one_statement_is_kept_and_none_when_the_receipt_is_made(
    forge: Forge,
) -> None:
    """A liar that names one place after the other takes no more room than another."""
    raw = forge.signed("client-0", Request("client-0", 5, (b"op",)))
    good = [forge.statement(each, raw, b"\0yes", 7) for each in (0, 1, 2)]
    lies = [forge.statement(3, raw, b"\0yes", place) for place in range(10, 20)]
    statements = Statements(forge.cluster)

    async def main() -> list[bool]:
        heard: list[bool] = []

        def ask(data: bytes) -> None:
            heard.extend(statements.absorb(each) for each in (*lies, *good[:2]))

        await asyncio.wait_for(statements.collect(raw, b"\0yes", ask), 5)
        return heard

    assert asyncio.run(main()) == [True] + 9 * [False] + [True, True]
    assert statements.wrong == {3: 1}
    assert not statements.absorb(good[2])
