"""A guest over real sockets: it does whatever its admitter may let it, and nothing else."""

import asyncio
import time
from pathlib import Path

import pytest

from pbft import Client, ConfigurationError, NotPermittedError, RejectedError
from pbft.cli.main import main as cli
from pbft.cluster import KEYS, Cluster
from pbft.core.authentication import Authentication
from pbft.core.ids import SECOND
from pbft.core.messages import Ticket
from pbft.crypto.keyfiles import Identity, save_identity
from pbft.node import Node
from pbft.receipts import ReceiptError, parse, render, verify
from pbft.services.configuration import RemoteConfiguration, Setting
from pbft.testing.cluster import ProcessCluster, free_ports
from pbft.tickets import make
from pbft.transport.loop import run
from pbft.typed.listening import events
from pbft.typed.proxy import Consistency
from tests.local_cluster import PROTOCOL, make_node, running
from tests.typed.bank import Bank, RemoteBank


def saved(directory: Path, **protocol: int | bool) -> tuple[Cluster, dict[str, Identity]]:
    """A cluster of banks whose two clients may admit three guests each."""
    cluster, identities = Cluster.create(
        4, 2, ports=free_ports(8), protocol={**PROTOCOL, **protocol}, admits=3
    )
    cluster.save(directory, identities)
    return cluster, identities


def banks(cluster: Cluster, identities: dict[str, Identity]) -> list[Node]:
    return [make_node(cluster, identities, each, service=Bank()) for each in range(4)]


def admit(
    directory: Path, name: str, slot: int, *may: str, until: int = 0, by: str = "client-0"
) -> Path:
    """As `pbft admit` does."""
    cluster, guest = Cluster.load(directory), Identity.generate()
    mine = cluster.identity(directory, by)
    guest.ticket = make(cluster, by, mine, guest, slot=slot, may=may or ("*",), until=until)
    path = directory / KEYS / f"{name}.pem"
    save_identity(path, guest)
    return path


def test_a_guest_is_a_client_like_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Admitted while the cluster runs: calls, all kinds of reads, keys, receipts, large requests;
    and it is still let in by a replica that has restarted."""
    directory = tmp_path / "c"

    async def main() -> None:
        cluster, identities = saved(directory, fast_reads=True, inline_max_bytes=2000)
        nodes = banks(cluster, identities)
        async with running(*nodes):
            path = admit(directory, "printer", 2).rename(tmp_path / "elsewhere.pem")
            async with Client(directory, identity=path) as client:
                assert client.name == "client-0/2"
                bank = RemoteBank(client)
                await asyncio.gather(*(bank.deposit("ann") for _ in range(50)))
                levels: tuple[Consistency, ...] = ("linearizable", "ordered", "stale")
                for consistency in levels:
                    assert await bank.options(consistency=consistency).balance("ann") == 50
                assert client.stats().fast_reads == 2
                assert await bank.resolve(Bank.deposit, bank.prepare(Bank.deposit, "ann")) == 51
                said, *_ = await bank.stamp("n" * 300_000)
                assert said.startswith("client-0/2: nnn")
                balance, receipt = await bank.certified(Bank.deposit, "ann", 9)
                assert balance == 60
                assert client.stats().wrong_replies == {}
            (tmp_path / "receipt").write_text(render(receipt))

    run(main())
    for each in (directory / KEYS).iterdir():
        each.unlink()
    assert cli(["verify-receipt", str(tmp_path / "receipt"), "--cluster", str(directory)]) == 0
    assert "genuine: client-0/2 called deposit" in capsys.readouterr().out
    proven = parse((tmp_path / "receipt").read_text())
    assert verify(proven, Cluster.load(directory)).client == "client-0/2"
    toml = directory / "cluster.toml"
    toml.write_text(toml.read_text().replace("admits = 3", "admits = 2"))
    with pytest.raises(ReceiptError, match="the request was not signed by whom it names"):
        verify(proven, Cluster.load(directory))


def test_a_guest_may_what_its_ticket_and_its_admitter_may(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    forged = Identity.generate()

    async def main() -> None:
        _, identities = saved(directory, fast_reads=True)
        toml = directory / "cluster.toml"
        head, _, tail = toml.read_text().partition('may = ["*"]')
        toml.write_text(f'{head}may = ["total", "deposit"]{tail}')
        cluster = Cluster.load(directory)
        with pytest.raises(ConfigurationError, match="client-0 may not call balance itself"):
            admit(directory, "wide", 1, "balance")
        keys = forged.signing.public, forged.link.public
        wider = Ticket("client-0", 1, *keys, ("balance", "pbft.upgrade", "pbft.events"), 0)
        key = identities["client-0"].signing
        signing = Authentication(cluster.config.cluster_id, key, cluster.verifier())
        forged.ticket = signing.sign(wider).raw  # its admitter's signature is genuine
        save_identity(directory / KEYS / "wide.pem", forged)
        admit(directory, "narrow", 0, "total")
        admit(directory, "late", 2, until=time.time_ns() - SECOND)
        async with asyncio.timeout(60), running(*banks(cluster, identities)):
            for name, allowed in (("narrow", True), ("wide", False), ("late", False)):
                async with Client(directory, identity=name) as client:
                    bank = RemoteBank(client)
                    for consistency in ("linearizable", "ordered", "stale"):
                        asked = bank.options(consistency=consistency)
                        if allowed:
                            assert await asked.total() == 0
                        with pytest.raises(NotPermittedError, match=r"may not call|run out"):
                            await asked.balance("ann")
                    with pytest.raises(NotPermittedError, match=r"pbft.upgrade|run out"):
                        await bank.upgrade(2)
                    with pytest.raises(RejectedError, match=r"NotPermitted.*events|run out"):
                        await anext(aiter(events(client)))

    run(main())


@pytest.mark.cluster
def test_replica_processes_let_a_guest_in_and_again_after_a_restart(tmp_path: Path) -> None:
    """The command line admits it, nobody tells the replicas; one of them lies, another is killed
    and comes back."""
    directory = tmp_path / "c"
    store = "pbft.services.configuration:Configuration"
    with ProcessCluster(directory, clients=1, service=store, admits=2) as cluster:
        cluster.start(traitors={3: "lie-to-clients"})

        async def main() -> None:
            assert cli(["admit", str(directory), "client-0", "watcher"]) == 0
            async with Client(directory, identity="watcher", timeout=20) as client:
                settings = RemoteConfiguration(client)
                seen: list[Setting] = []
                for number in range(3):
                    await settings.put("colour", f"shade {number}")
                cluster.kill(2)
                cluster.start(2)
                await settings.put("colour", "red")
                async for setting in settings.watch("col"):
                    seen.append(setting)
                    if setting.value == "red":
                        break
                assert (await client.status(2, timeout=10)).status.replica == 2
                assert [each.revision for each in seen] == [1, 2, 3, 4]

        run(main())
