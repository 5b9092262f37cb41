"""Attacks on real nodes and sockets, without processes: clocks, strangers, edges of signatures."""

import asyncio
import hashlib
from pathlib import Path

import msgspec
import nacl.bindings
import pytest

import pbft.node
from pbft import Client, UnansweredError, cluster_file
from pbft.cluster import Cluster
from pbft.core.authentication import DOMAIN
from pbft.core.ids import Instant
from pbft.core.messages import Request
from pbft.core.wire import encode_body, seal_signed
from pbft.crypto.signing import SigningKey
from pbft.services.kv import KeyValueClient, Put, encode
from pbft.transport.alarm import instant
from pbft.transport.frames import MESSAGE
from tests.local_cluster import make_cluster, make_node, running

GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
HOUR = 3600 * 10**9


def with_r_identity(key: SigningKey, message: bytes) -> bytes:
    """R is the identity and S = k a: valid by the group equation, refused by one library only."""
    identity = bytes([1]) + bytes(31)
    scalar = bytearray(hashlib.sha512(key.seed).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    k = nacl.bindings.crypto_core_ed25519_scalar_reduce(
        hashlib.sha512(identity + key.public + message).digest()
    )
    reduced = nacl.bindings.crypto_core_ed25519_scalar_reduce(bytes(scalar) + bytes(32))
    return identity + nacl.bindings.crypto_core_ed25519_scalar_mul(k, reduced)


@pytest.mark.scenario("AU4", "T42", kills="AU4 signatures are verified by another library")
def test_a_signature_at_the_edge_of_the_group_is_refused_by_everybody_alike(tmp_path: Path) -> None:
    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        nodes = [make_node(cluster, identities, each) for each in range(4)]
        async with (
            running(*nodes),
            Client(tmp_path / "c", identity="client-0", timeout=10) as client,
        ):
            await KeyValueClient(client).put(b"a", b"1")
            key = identities["client-0"].signing
            body = encode_body(Request("client-0", 2**62, (encode(Put(b"a", b"2")),)))
            told = DOMAIN + cluster.config.cluster_id + body
            raw = seal_signed(body, with_r_identity(key, told))
            client._end.post([each.name for each in cluster.replicas], MESSAGE, raw)
            client._alarm.ring()
            for _ in range(100):
                drops = [node.status().status.drops.get("bad signature", 0) for node in nodes]
                if min(drops):
                    break
                await asyncio.sleep(0.02)
            assert min(drops) > 0
            assert await KeyValueClient(client).get(b"a") == b"1"
            assert {node.status().status.view for node in nodes} == {0}

    asyncio.run(main())


@pytest.mark.scenario("CL15", kills="CL15 anybody is shaken hands with")
def test_a_client_that_the_replicas_do_not_know_gets_nothing_and_costs_nothing(
    tmp_path: Path,
) -> None:
    """It has the cluster file and a key of its own, and the replicas' file leaves it out."""

    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c", clients=2)
        file = msgspec.structs.replace(cluster.file, client=cluster.file.client[:1])
        known = Cluster._from_text(cluster_file.render(file))
        nodes = [make_node(known, identities, each) for each in range(4)]
        async with running(*nodes):
            async with Client(tmp_path / "c", identity="client-1", timeout=0.5) as client:
                with pytest.raises(UnansweredError):
                    await KeyValueClient(client).get(b"a")
                assert client.stats().connected == 0
            for node in nodes:
                assert node.status().status.drops["handshake of an unknown peer"] > 0
                assert node._ends[1]._links._sessions == {}

    asyncio.run(main())


@pytest.mark.scenario("TM7")
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_wall_clocks_that_jump_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    moved: list[int] = [0]
    monkeypatch.setattr(
        pbft.node, "instant", lambda: Instant(instant().monotonic, instant().wall + moved[0])
    )

    async def main() -> None:
        cluster, identities = make_cluster(tmp_path / "c")
        nodes = [make_node(cluster, identities, each) for each in range(4)]
        async with (
            running(*nodes),
            Client(tmp_path / "c", identity="client-0", timeout=10) as client,
        ):
            kv = KeyValueClient(client)
            for number in range(10):
                await kv.put(b"k", b"%d" % number)
            moved[0] = jump
            for number in range(30):
                await kv.put(b"k", b"%d" % number)
            assert {node.status().status.view for node in nodes} == {0}

    asyncio.run(main())
