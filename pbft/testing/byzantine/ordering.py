"""Attacks on the normal case: equivocation, silence, corruption, replay."""

from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from pbft.core.effects import Send
from pbft.core.ids import MILLISECOND, SECOND, Instant, Packet, ReplicaId
from pbft.core.messages import (
    Batch,
    Commit,
    FetchBatch,
    FetchNodes,
    Prepare,
    PrePrepare,
    Proposal,
    Signable,
    Status,
    sender,
)
from pbft.core.replica import Replica
from pbft.core.wire import (
    batch_digest,
    decode_batch,
    decode_signed,
    encode_body,
    encode_link,
    reference_to,
)
from pbft.testing.byzantine.behaviour import Behaviour


class Equivocate(Behaviour):
    """As primary, another batch for every backup under one number; as backup, two votes.

    The requests are genuine and each proposal is valid by itself: only their order differs, or
    the time. The last backup is shown two of them, which convicts us."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if isinstance(send.message, Proposal):
            return self._proposals(send, send.message)
        if isinstance(send.message, Prepare | Commit):
            return self._votes(send, send.message)
        return (send,)

    def _proposals(self, send: Send, proposal: Proposal) -> Iterable[Send]:
        for to in send.to:
            if isinstance(to, int):
                yield self.say(Send((to,), b"", proposal), self._variant(proposal, to))
        if self.honest.config.n - 1 in send.to:
            last = Send((self.honest.config.n - 1,), b"", proposal)
            yield self.say(last, self._variant(proposal, self.honest.config.n))

    def _variant(self, proposal: Proposal, which: ReplicaId) -> Proposal:
        """The batch in another order and at another time, under the same number."""
        batch = decode_batch(proposal.batch)
        turn = which % len(batch.requests) if batch.requests else 0
        requests = batch.requests[turn:] + batch.requests[:turn]
        return _about(self, proposal, Batch(batch.time + which, requests))

    def _votes(self, send: Send, vote: Prepare | Commit) -> Iterable[Send]:
        yield send
        yield self.say(send, msgspec.structs.replace(vote, digest=self.some_digest()))


def _about(us: Behaviour, proposal: Proposal, batch: Batch) -> Proposal:
    """The same number for another batch."""
    pp, raw = decode_signed(proposal.pre_prepare), encode_body(batch)
    if not isinstance(pp, PrePrepare):
        return proposal
    return Proposal(us.signed(msgspec.structs.replace(pp, digest=batch_digest(raw))), raw)


class ProposeAgain(Equivocate):
    """As primary, honest at first; later another batch under each number it proposed lately, over
    and over: a replica that has forgotten its vote will give another."""

    EVERY_NS = 50 * MILLISECOND

    def __init__(self, honest: Replica) -> None:
        super().__init__(honest)
        self._others: deque[Send] = deque(maxlen=8)
        self._next = 0

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if isinstance(send.message, Proposal):
            other = self._variant(send.message, self.honest.config.n)
            self._others.append(Send(send.to, encode_link(other), other))
        return (send,)

    def extra(self, now: Instant) -> Iterable[Send]:
        if now.monotonic >= self._next:
            self._next = now.monotonic + self.EVERY_NS
            self.acted += len(self._others)
            yield from self._others


class VoteAsPrimary(Behaviour):
    """As primary, also votes to prepare what it has proposed (T2)."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        yield send
        if isinstance(send.message, Proposal):
            pp = decode_signed(send.message.pre_prepare)
            if isinstance(pp, PrePrepare):
                ours = Prepare(pp.view, pp.sequence, pp.digest, self.honest.number)
                yield self.say(Send(send.to, b"", ours), ours)


class Misdate(Behaviour):
    """As primary, dates what it proposes an hour ahead, or an hour back (T48)."""

    HOUR_NS = 3600 * SECOND

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, Proposal):
            return (send,)
        batch = decode_batch(send.message.batch)
        time = batch.time + self.rng.choice((self.HOUR_NS, -self.HOUR_NS))
        return (self.say(send, _about(self, send.message, Batch(time, batch.requests))),)


class WrongBody(Behaviour):
    """As primary, sends some backups its pre-prepare with another body than it names (T8)."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, Proposal):
            return (send,)
        batch = decode_batch(send.message.batch)
        other = encode_body(Batch(batch.time + 1, batch.requests))
        lie = Proposal(send.message.pre_prepare, other)
        return [self.say(o, lie) if self.rng.random() < 0.5 else o for o in self.split(send)]


class Reword(Behaviour):
    """All that it signs stands in another encoding than that of its value (WF2)."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        message = send.message
        if not isinstance(message, Signable) or sender(message) != self.honest.number:
            return (send,)
        self.acted += 1
        return (Send(send.to, self.reworded(message), message),)


class Silent(Behaviour):
    """Takes everything in and gives nothing: no proposal, no vote, no answer. It still asks for
    what it lacks, so that its state can be compared with the others' in the end."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if isinstance(send.message, Status | FetchBatch | FetchNodes):
            return (send,)
        self.acted += 1
        return ()


class Corrupt(Behaviour):
    """Half of what it sends is damaged: some bits flipped, some fields changed and signed anew."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if self.rng.random() < 0.5:
            return (send,)
        self.acted += 1
        if self.rng.random() < 0.5 or not isinstance(send.message, Signable):
            return (Send(send.to, self._flip(send.data), send.message),)
        return (Send(send.to, self.signed(self._field(send.message)), send.message),)

    def _flip(self, data: bytes) -> bytes:
        mutant = bytearray(data)
        mutant[self.rng.randrange(len(mutant))] ^= 1 << self.rng.randrange(8)
        return bytes(mutant[: self.rng.randrange(1, 2 * len(mutant))])

    def _field(self, message: Signable) -> Signable:
        """One numeric or digest field moved a little, or a lot."""
        names = [
            f for f in message.__struct_fields__ if isinstance(getattr(message, f), int | bytes)
        ]
        name = self.rng.choice(names)
        value = getattr(message, name)
        if isinstance(value, bytes):
            return msgspec.structs.replace(message, **{name: self.some_digest()})
        moved = max(0, value + self.rng.choice((-1, 1, 1, 2**40)))
        return msgspec.structs.replace(message, **{name: moved})


class Replay(Behaviour):
    """Repeats old messages, its own and what others signed, to anybody."""

    ARCHIVE = 512
    PER_TURN = 3

    def __init__(self, honest: Replica) -> None:
        super().__init__(honest)
        self._archive: deque[tuple[bytes, Send]] = deque(maxlen=self.ARCHIVE)

    def saw(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            if packet.data[:1] == b"\x01":
                self._keep(packet.data)

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, Status):
            self._keep(send.data)
        return (send,)

    def _keep(self, data: bytes) -> None:
        self._archive.append((data, Send((), data, Status(0, True, 0, 0, False, False))))

    def extra(self, now: Instant) -> Iterable[Send]:
        if not self._archive:
            return
        for _ in range(self.PER_TURN):
            data, like = self.rng.choice(self._archive)
            others = [r for r in range(self.honest.config.n) if r != self.honest.number]
            self.acted += 1
            yield Send((self.rng.choice(others),), data, like.message)


class Withhold(Behaviour):
    """Speaks to a changing part of the replicas only."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        kept = tuple(to for to in send.to if self.rng.random() < 0.6)
        self.acted += len(send.to) - len(kept)
        return (Send(kept, send.data, send.message),) if kept else ()


class Flood(Behaviour):
    """Votes for views and numbers far away, validly signed, at a steady rate (two flooders that
    answered each other at once would take all the time there is)."""

    PER_TURN = 2
    EVERY_NS = 10 * MILLISECOND

    def __init__(self, honest: Replica) -> None:
        super().__init__(honest)
        self._next = 0

    def extra(self, now: Instant) -> Iterable[Send]:
        if now.monotonic < self._next:
            return
        self._next = now.monotonic + self.EVERY_NS
        config, me = self.honest.config, self.honest.number
        everyone = tuple(r for r in range(config.n) if r != me)
        for _ in range(self.PER_TURN):
            view = self.rng.choice((0, 1, 7, self.rng.randrange(10**6)))
            sequence = self.rng.choice((1, self.rng.randrange(1, 200), self.rng.randrange(10**9)))
            kind = self.rng.choice((Prepare, Commit))
            vote = kind(view, sequence, self.some_digest(), me)
            yield self.say(Send(everyone, b"", vote), vote)


class NameNothing(Behaviour):
    """As primary: every batch also names a request that does not exist."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, Proposal):
            return (send,)
        pp, batch = decode_signed(send.message.pre_prepare), decode_batch(send.message.batch)
        if not isinstance(pp, PrePrepare):
            return (send,)
        raw = encode_body(Batch(batch.time, (*batch.requests, reference_to(self.some_digest()))))
        empty = self.signed(msgspec.structs.replace(pp, digest=batch_digest(raw)))
        return (self.say(send, Proposal(empty, raw)),)
