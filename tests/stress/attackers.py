"""One attacker as a process, as fast as it can: `python -m tests.stress.attackers KIND DIR WHO
[SINK]`, where KIND is garbage, client or replica, and SINK a port of loopback.

With a sink the attacker does the very same work (it signs, seals and sends), but its datagrams go
there: what the processor it burns costs the others is measured apart from what they do about it.
"""

import asyncio
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pbft import control
from pbft.client import Client
from pbft.cluster import Cluster, replica_name
from pbft.control import StatusQuery
from pbft.core.authentication import Authentication
from pbft.core.ids import ReplicaId
from pbft.core.messages import (
    Checkpoint,
    Commit,
    FetchBatch,
    FetchNodes,
    NewView,
    Place,
    Prepare,
    PrePrepare,
    Proposal,
    Read,
    Request,
    Signable,
    StableProof,
    Status,
    ViewChange,
    Witness,
)
from pbft.core.wire import encode_link
from pbft.node import Node
from pbft.services.kv import KeyValueService, Put, encode
from pbft.serving import opened_store, until_stopped
from pbft.transport.endpoint import Endpoint
from pbft.transport.frames import CONTROL, MESSAGE, frames, pack
from pbft.transport.loop import run

HOST = "127.0.0.1"
ROUNDS_BETWEEN_LARGE = 200
LARGE_BYTES = 512 * 1024
KEYS = 16
"""What the flooding client writes to: the state must not grow by what it is allowed to do."""
Message = tuple[int, bytes]


class ClientFlood:
    """Valid requests and others, of one identity, small and large, complete and not."""

    def __init__(self, name: str, authentication: Authentication, ticket: bytes) -> None:
        self._name = name
        self._authentication = authentication
        self._ticket = ticket
        self._dice = random.Random(name)
        self._timestamp = time.time_ns() // 1000
        self._old: list[bytes] = []
        self._round = 0

    def __call__(self) -> tuple[list[Message], list[Message]]:
        """(what is sent, what is sent but for one fragment)."""
        self._round += 1
        fresh = [self._request(64) for _ in range(12)]
        self._old = (self._old + fresh)[-200:]
        damaged = bytearray(fresh[0])
        damaged[self._dice.randrange(len(damaged))] ^= 1
        raws = [*fresh, *self._dice.sample(self._old, 4), bytes(damaged)]
        raws.append(encode_link(Read(1, self._round, (b"x",), ticket=self._ticket)))
        raws.append(self._dice.randbytes(100))
        whole = [(MESSAGE, raw) for raw in raws]
        whole += [(CONTROL, control.encode(StatusQuery(self._round)))] * 8
        if self._round % ROUNDS_BETWEEN_LARGE:
            return whole, []
        whole.append((MESSAGE, self._request(LARGE_BYTES)))
        return whole, [(MESSAGE, self._dice.randbytes(LARGE_BYTES))]

    def _request(self, size: int) -> bytes:
        self._timestamp += 1
        put = Put(b"flood/%d" % self._dice.randrange(KEYS), self._dice.randbytes(size))
        message = Request(self._name, self._timestamp, (encode(put),), self._ticket)
        return self._authentication.sign(message).raw


class ReplicaFlood:
    """Votes, proposals, questions and proofs that are valid and useless, or not valid."""

    def __init__(self, me: ReplicaId, node: Node, authentication: Authentication) -> None:
        self._me = me
        self._node = node
        self._authentication = authentication
        self._dice = random.Random(me)
        self._round = 0

    def __call__(self) -> tuple[list[Message], list[Message]]:
        """As `ClientFlood`."""
        self._round += 1
        status = self._node.status().status
        view, low, high = status.view, status.low_watermark, status.high_watermark
        sequence = self._dice.randint(low + 1, high)
        raws = [
            *(self._signed(kind(view, sequence, self._digest(), self._me)) for kind in VOTES),
            self._signed(Prepare(view + 1, high + 1, self._digest(), self._me)),
            self._signed(Commit(self._dice.randrange(10**6), 7, self._digest(), self._me)),
            self._signed(Checkpoint(high + self._dice.randrange(10**6), self._digest(), self._me)),
            self._damaged(Prepare(view, sequence, self._digest(), 1)),
            self._damaged(Checkpoint(high, self._digest(), 0)),
            encode_link(Status(view, True, 0, 0, bool(self._round % 2))),
            encode_link(Status(view + 5, False, high, high, False)),
            encode_link(FetchBatch(self._digest())),
            encode_link(FetchNodes((Place(b"", status.state_digest),) * 64)),
            encode_link(Witness((), ())),
            encode_link(Proposal(self._signed(self._pre_prepare(view + 4)), b"batch")),
            encode_link(StableProof((self._damaged(Checkpoint(high, self._digest(), 2)),) * 3)),
            self._dice.randbytes(100),
        ]
        whole = [(MESSAGE, raw) for raw in raws]
        if self._round % ROUNDS_BETWEEN_LARGE:
            return whole, []
        far = view + 1 + self._dice.randrange(100)
        junk = tuple(self._dice.randbytes(LARGE_BYTES // 8) for _ in range(8))
        whole.append((MESSAGE, self._signed(ViewChange(far, high, junk, (), self._me))))
        whole.append((MESSAGE, self._signed(NewView(4 * far + 3, junk, (), self._me))))
        return whole, [(MESSAGE, self._dice.randbytes(LARGE_BYTES))]

    def _pre_prepare(self, view: int) -> PrePrepare:
        return PrePrepare(view, 1, self._digest(), self._me)

    def _signed(self, message: Signable) -> bytes:
        return self._authentication.sign(message).raw

    def _damaged(self, message: Signable) -> bytes:
        """What somebody else should have signed."""
        return self._signed(message)

    def _digest(self) -> bytes:
        return self._dice.randbytes(32)


VOTES = (Prepare, Commit)
Supply = Callable[[], tuple[list[Message], list[Message]]]


async def at_line_rate(
    end: Endpoint, peers: Sequence[str], supply: Supply, sink: tuple[str, int] | None
) -> None:
    """Send what `supply` gives to all `peers`, past every pace, until cancelled."""
    links, sock, room = end._links, end._socket, end._room
    while True:
        whole, unfinished = supply()
        waiting = [frame for kind, data in whole for frame in frames(kind, data, room)]
        waiting += [frame for kind, data in unfinished for frame in frames(kind, data, room)[1:]]
        for payload in pack(waiting, room):
            now = time.monotonic_ns()
            for peer in peers:
                sealed = links.seal(peer, payload, now)
                if sealed is not None:
                    await sock.send(sealed.data, sink or sealed.address)
        await asyncio.sleep(0)


async def client(directory: Path, name: str, sink: tuple[str, int] | None) -> None:
    """The identity is the client's own, or a guest's."""
    async with Client(directory, identity=name) as opened:
        cluster, identity = opened.cluster, opened._who.identity
        signing = Authentication(cluster.config.cluster_id, identity.signing, cluster.verifier())
        peers = [each.name for each in cluster.replicas]
        flood = ClientFlood(opened.name, signing, identity.ticket)
        await at_line_rate(opened._end, peers, flood, sink)


async def replica(directory: Path, me: ReplicaId, sink: tuple[str, int] | None) -> None:
    """Honest and durable, and at the same time a flood on the very same links."""
    cluster = Cluster.load(directory)
    identity = cluster.identity(directory, replica_name(me))
    with opened_store(cluster, directory, me) as store:
        node = Node(cluster, me, identity, KeyValueService(), store=store)
        signing = Authentication(cluster.config.cluster_id, identity.signing, cluster.verifier())
        running = asyncio.create_task(until_stopped(node, with_parent=True))
        await node.serving.wait()
        await _until_voting(node)
        peers = [each.name for each in cluster.replicas if each.id != me]
        flood = asyncio.create_task(
            at_line_rate(node._ends[0], peers, ReplicaFlood(me, node, signing), sink)
        )
        done, _ = await asyncio.wait([running, flood], return_when=asyncio.FIRST_COMPLETED)
        flood.cancel()
        for task in done:
            task.result()


async def _until_voting(node: Node) -> None:
    """Its own inside must not be shown, as its votes, what we invent."""
    for _ in range(600):
        if node.status().status.voting:
            return
        await asyncio.sleep(0.05)


def garbage(directory: Path, targets: Sequence[ReplicaId], sink: tuple[str, int] | None) -> None:
    """Random bytes and damaged handshakes at both ports of `targets`, from one thread."""
    cluster = Cluster.load(directory)
    members = [cluster.member(each) for each in targets]
    ports = [port for each in members for port in (each.port, each.client_port)]
    addresses = [sink or (HOST, port) for port in ports]
    dice = random.Random(1)
    chunk = [
        bytes([dice.randrange(1, 6)]) + dice.randbytes(dice.randrange(160)) for _ in range(4096)
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data, address in _endless(chunk, addresses):
            try:
                sock.sendto(data, address)
            except ConnectionRefusedError:
                continue


def _endless(
    chunk: Sequence[bytes], addresses: Sequence[tuple[str, int]]
) -> Iterator[tuple[bytes, tuple[str, int]]]:
    while True:
        for at, data in enumerate(chunk):
            yield data, addresses[at % len(addresses)]


def main(arguments: Sequence[str]) -> int:
    """Attack until killed."""
    kind, directory, who = arguments[0], Path(arguments[1]), arguments[2]
    sink = (HOST, int(arguments[3])) if len(arguments) > 3 else None
    if kind == "garbage":
        garbage(directory, [int(each) for each in who.split(",")], sink)
    elif kind == "client":
        run(client(directory, who, sink))
    else:
        run(replica(directory, int(who), sink))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
