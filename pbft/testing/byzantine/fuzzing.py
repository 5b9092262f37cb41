"""Grammar fuzz with a real key and the current state: messages of every type, all well signed, with
content that is chosen around where the replica is (WF5).

Views and numbers sit on edges (the watermarks, what was executed, the largest there is), digests
are valid ones of something else, certificates are put together from votes that were really cast.
"""

import random
from collections.abc import Callable, Iterable
from typing import TypeAlias

from pbft.core.effects import Send
from pbft.core.ids import Instant, Principal
from pbft.core.messages import (
    AnyMessage,
    Attest,
    Batch,
    BatchBody,
    Certificate,
    Checkpoint,
    Commit,
    Decision,
    FetchBatch,
    FetchNodes,
    NewView,
    Node,
    Nodes,
    Place,
    Prepare,
    PrePrepare,
    Proposal,
    Read,
    ReadReply,
    Receipt,
    Reply,
    Request,
    Signable,
    StableProof,
    Status,
    ViewChange,
    Witness,
)
from pbft.core.wire import NULL_BATCH, NULL_DIGEST, batch_digest, encode_body, request_digest
from pbft.testing.byzantine.attacks import Attack
from pbft.testing.byzantine.known import Votes
from pbft.testing.byzantine.mutating import HIGHEST
from pbft.testing.byzantine.parts import Part, Traitor

Maker: TypeAlias = Callable[[], AnyMessage]
GRANT = 4
"""Entries of one fuzzed list, at most."""


class Fuzzing(Part):
    """`count` messages every `every_ns`, of the kinds that the target names."""

    def __init__(self, traitor: Traitor, attack: Attack, rng: random.Random) -> None:
        super().__init__(traitor, attack, rng)
        self._next = 0
        self._makers: dict[str, Maker] = {
            "Prepare": lambda: Prepare(*self._vote()),
            "Commit": lambda: Commit(*self._vote()),
            "Checkpoint": self._checkpoint,
            "Proposal": self._proposal,
            "ViewChange": self._view_change,
            "NewView": self._new_view,
            "Request": self._request,
            "Receipt": self._receipt,
            "Status": self._status,
            "Witness": self._witness,
            "FetchBatch": lambda: FetchBatch(self._digest()),
            "BatchBody": lambda: BatchBody(self._body()),
            "Decision": self._decision,
            "StableProof": lambda: StableProof(self._proof()[1]),
            "FetchNodes": self._fetch_nodes,
            "Nodes": self._nodes,
            "Reply": self._reply,
            "Read": lambda: Read(self._number(), self._number(), (self.rng.randbytes(4),)),
            "ReadReply": self._read_reply,
            "Attest": lambda: Attest(self._number()),
        }
        self._kinds = self.target.kinds or tuple(self._makers)

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        return (send,)

    def extra(self, now: Instant) -> Iterable[Send]:
        if now.monotonic < self._next or not self.on_time(now.monotonic):
            return
        self._next = now.monotonic + self.act.every_ns
        for _ in range(self.act.count):
            kind = self.rng.choice(self._kinds)
            yield self.say(Send(self._receivers(kind), b"", Attest(0)), self._makers[kind]())

    # -- where we are ---------------------------------------------------------------------------

    def _receivers(self, kind: str) -> tuple[Principal, ...]:
        if self.target.to:
            return self.target.to
        if kind in ("Reply", "ReadReply", "Receipt"):
            return (self._named()[0],)
        others = self.traitor.others
        return tuple(self.rng.sample(others, self.rng.randrange(1, len(others) + 1)))

    def _view(self) -> int:
        view = self.traitor.honest.status().view
        return self.rng.choice((view, view, view, view + 1, max(0, view - 1), view + 2, HIGHEST))

    def _number(self) -> int:
        status, config = self.traitor.honest.status(), self.traitor.honest.config
        low, done, window = status.low_watermark, status.executed, config.window
        edges = (low, low + 1, low + window, low + window + 1, low + 2 * window)
        near = (done, done + 1, done + 1, done + 2, done + 3, low + 2 * window + 1)
        return self.rng.choice((*edges, *near, *near, 0, HIGHEST))

    def _digest(self) -> bytes:
        known = self.traitor.values.others("digest", None)
        if not known or self.rng.random() < 0.2:
            return self.rng.choice((NULL_DIGEST, self.rng.randbytes(32), bytes(32)))
        digest: bytes = self.rng.choice(known)
        return digest

    def _signer(self) -> int:
        """One whose key we have, mostly ourselves."""
        return self.rng.choice((self.traitor.honest.number, *self.traitor.ring.replicas))

    def _sign(self, message: Signable) -> bytes:
        return self.traitor.ring.sign(message, self.traitor.honest.number)

    def _votes(self, votes: Votes, count: int) -> tuple[bytes, ...]:
        """Some of them: enough, one too few, or some twice."""
        some = list(votes.values())
        self.rng.shuffle(some)
        some = some[: max(0, count - self.rng.choice((0, 0, 0, 1)))]
        if some and self.rng.random() < 0.2:
            some += some[:1] * max(1, count - len(some))
        return tuple(some)

    # -- votes and proposals ----------------------------------------------------------------------

    def _vote(self) -> tuple[int, int, bytes, int]:
        cast = list(self.traitor.known.pre_prepares)
        if cast and self.rng.random() < 0.5:
            view, sequence, digest = self.rng.choice(cast[-8:])
            return view, sequence, self.rng.choice((digest, self._digest())), self._signer()
        return self._view(), self._number(), self._digest(), self._signer()

    def _checkpoint(self) -> Checkpoint:
        known = list(self.traitor.known.checkpoints)
        interval = self.traitor.honest.config.checkpoint_interval
        sequence = self._number() // interval * interval
        if known and self.rng.random() < 0.5:
            sequence, digest = self.rng.choice(known)
            return Checkpoint(sequence, self.rng.choice((digest, self._digest())), self._signer())
        return Checkpoint(sequence, self._digest(), self._signer())

    def _request(self) -> AnyMessage:
        """Somebody's again, or a new one of a faulty client."""
        ring, seen = self.traitor.ring, self.traitor.known.requests
        if seen and (not ring.clients or self.rng.random() < 0.5):
            old = self.traitor.known.message(self.rng.choice(seen))
            if isinstance(old, Request):
                return Request(old.client, old.timestamp + 1, old.operations)
        client = self.rng.choice(ring.clients or ["nobody"])
        operations = tuple(self.rng.randbytes(6) for _ in range(self.rng.randrange(1, GRANT)))
        return Request(client, self.rng.choice((1, 2, self._number())), operations)

    def _body(self) -> bytes:
        """A batch: an old one, of old requests in another order, of none, of our clients' own."""
        rng, known = self.rng, self.traitor.known
        if known.bodies and rng.random() < 0.4:
            return rng.choice(list(known.bodies.values()))
        count = rng.randrange(GRANT) if known.requests else 0
        requests = [rng.choice(known.requests) for _ in range(count)]
        made = self._request() if self.traitor.ring.clients and rng.random() < 0.5 else None
        if isinstance(made, Request) and made.client in self.traitor.ring.clients:
            requests.append(self._sign(made))
        time = rng.choice((0, 1, 1_700_000_000_000_000_000, HIGHEST))
        return rng.choice((NULL_BATCH, encode_body(Batch(time, tuple(requests))), b"\x92\x00"))

    def _proposal(self) -> Proposal:
        body = self._body()
        view, config = self._view(), self.traitor.honest.config
        ours = [r for r in self.traitor.ring.replicas if r == config.primary(view)]
        signer = ours[0] if ours else self._signer()
        digest = batch_digest(body) if self.rng.random() < 0.8 else self._digest()
        return Proposal(self._sign(PrePrepare(view, self._number(), digest, signer)), body)

    # -- certificates, proofs, views --------------------------------------------------------------

    def _proof(self) -> tuple[int, tuple[bytes, ...]]:
        """A checkpoint and votes for it, real ones where there are any."""
        known = list(self.traitor.known.checkpoints.items())
        if not known:
            vote = self._checkpoint()
            return vote.sequence, (self._sign(vote),) * self.traitor.honest.config.quorum
        (sequence, _), votes = self.rng.choice(known)
        return sequence, self._votes(votes, self.traitor.honest.config.quorum)

    def _certificate(self) -> Certificate:
        known, quorum = self.traitor.known, self.traitor.honest.config.quorum
        pre_prepares = list(known.pre_prepares.items())
        if not pre_prepares:
            return Certificate(self._sign(Prepare(*self._vote())), ())
        key, raw = self.rng.choice(pre_prepares)
        other = self.rng.choice([key, key, key, *known.prepares])
        return Certificate(raw, self._votes(known.prepares.get(other, {}), quorum - 1))

    def _view_change(self) -> ViewChange:
        low, proof = self._proof() if self.rng.random() < 0.7 else (0, ())
        low = low if self.rng.random() < 0.8 else self._number()
        certificates = [self._certificate() for _ in range(self.rng.randrange(GRANT))]
        return ViewChange(self._view(), low, proof, tuple(certificates), self._signer())

    def _new_view(self) -> NewView:
        known, config = self.traitor.known, self.traitor.honest.config
        views = [*known.view_changes, self._view()]
        view = self.rng.choice(views)
        changes = self._votes(known.view_changes.get(view, {}), config.quorum)
        low = self.traitor.honest.status().low_watermark
        order = [
            self._sign(PrePrepare(view, low + 1 + index, self._digest(), self._signer()))
            for index in range(self.rng.randrange(GRANT))
        ]
        return NewView(view, changes, tuple(order), self._signer())

    def _decision(self) -> Decision:
        known, quorum = self.traitor.known, self.traitor.honest.config.quorum
        pre_prepares = list(known.pre_prepares.items())
        if not pre_prepares:
            return Decision(self._sign(Commit(*self._vote())), (), self._body())
        key, raw = self.rng.choice(pre_prepares)
        other = self.rng.choice([key, key, key, *known.commits])
        body = known.bodies.get(key[2]) if self.rng.random() < 0.8 else self._body()
        return Decision(raw, self._votes(known.commits.get(other, {}), quorum), body or NULL_BATCH)

    # -- on the link ------------------------------------------------------------------------------

    def _status(self) -> Status:
        coin = [self.rng.random() < 0.5 for _ in range(4)]
        low = self._number()
        return Status(self._view(), coin[0], low, self._number(), coin[1], coin[2], coin[3])

    def _witness(self) -> Witness:
        known, seen = self.traitor.known, self.traitor.ring.seen
        votes = tuple(self.rng.choice(seen) for _ in range(self.rng.randrange(GRANT)) if seen)
        proof = self._proof()[1] if known.checkpoints and self.rng.random() < 0.5 else ()
        return Witness(votes, proof)

    def _fetch_nodes(self) -> FetchNodes:
        count = self.rng.randrange(1, GRANT)
        return FetchNodes(tuple(Place(self._path(), self._digest()) for _ in range(count)))

    def _nodes(self) -> Nodes:
        count = self.rng.randrange(1, GRANT)
        data = self.rng.randbytes(self.rng.randrange(40))
        return Nodes(tuple(Node(self._path(), self._digest(), data) for _ in range(count)))

    def _path(self) -> bytes:
        return bytes(self.rng.randrange(16) for _ in range(self.rng.randrange(6)))

    def _named(self) -> tuple[str, int, bytes]:
        """A request that was made: its client, its timestamp, its digest."""
        seen = self.traitor.known.requests
        raw = self.rng.choice(seen) if seen else b""
        message = self.traitor.known.message(raw)
        if isinstance(message, Request):
            return message.client, message.timestamp, request_digest(raw)
        return "nobody", 1, bytes(32)

    def _reply(self) -> Reply:
        _, timestamp, digest = self._named()
        results = self.rng.choice(((b"\x00a lie",), self._digest(), ()))
        us = self.traitor.honest.number
        return Reply(self._view(), timestamp, digest, self._number(), results, us)

    def _read_reply(self) -> ReadReply:
        results = self.rng.choice(((b"\x00a lie",), self._digest()))
        us = self.traitor.honest.number
        return ReadReply(1, self.rng.randrange(1, 50), self._number(), results, us)

    def _receipt(self) -> Receipt:
        client, timestamp, digest = self._named()
        return Receipt(client, timestamp, digest, self._number(), self._digest(), self._signer())
