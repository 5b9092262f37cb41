"""Lies: to clients, about checkpoints, about views, and to whoever is catching up."""

from collections.abc import Iterable

import msgspec

from pbft.core.effects import Send
from pbft.core.ids import Instant
from pbft.core.messages import (
    BatchBody,
    Checkpoint,
    Decision,
    FetchBatch,
    NewView,
    Nodes,
    PrePrepare,
    ReadReply,
    Reply,
    StableProof,
    Status,
    ViewChange,
    Witness,
)
from pbft.core.wire import NULL_DIGEST, decode_signed, results_digest
from pbft.testing.byzantine.behaviour import Behaviour


class LieToClients(Behaviour):
    """Every reply is wrong, whether it holds the results or their digest."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, Reply | ReadReply):
            return (send,)
        results = send.message.results
        lies = results_digest(()) if isinstance(results, bytes) else _lies(results)
        return (self.say(send, msgspec.structs.replace(send.message, results=lies)),)


def _lies(results: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(b"\x00a lie" for _ in results)


class WithholdResults(Behaviour):
    """Answers with the right digest and never with the results, asked again or not."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        message = send.message
        if not isinstance(message, Reply | ReadReply) or isinstance(message.results, bytes):
            return (send,)
        digest = results_digest(message.results)
        return (self.say(send, msgspec.structs.replace(message, results=digest)),)


class LieInCheckpoints(Behaviour):
    """Every checkpoint vote names a state that does not exist."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, Checkpoint):
            return (send,)
        lie = msgspec.structs.replace(send.message, digest=self.some_digest())
        return (self.say(send, lie),)


class LieInViewChange(Behaviour):
    """Hides what it has prepared, tells different replicas different things, claims to be far
    ahead, or complains without cause."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, ViewChange):
            return (send,)
        message = send.message
        forms = [
            msgspec.structs.replace(message, prepared=()),
            msgspec.structs.replace(message, prepared=message.prepared[:-1]),
            msgspec.structs.replace(message, view=message.view + self.rng.choice((1, 10**12))),
            msgspec.structs.replace(message, low_watermark=message.low_watermark + 8),
            message,
        ]
        return [self.say(one, self.rng.choice(forms)) for one in self.split(send)]

    def extra(self, now: Instant) -> Iterable[Send]:
        if self.rng.random() > 0.01:
            return
        status = self.honest.status()
        everyone = tuple(r for r in range(self.honest.config.n) if r != self.honest.number)
        view = status.view + self.rng.choice((1, 2, 10**12))
        message = ViewChange(view, 0, (), (), self.honest.number)
        yield self.say(Send(everyone, b"", message), message)


class LieInNewView(Behaviour):
    """As new primary: omits numbers, proposes nulls for what was prepared, or says two things."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        if not isinstance(send.message, NewView):
            return (send,)
        message = send.message
        forms = [
            msgspec.structs.replace(message, pre_prepares=message.pre_prepares[:-1]),
            msgspec.structs.replace(message, pre_prepares=self._nulls(message)),
            msgspec.structs.replace(message, view_changes=message.view_changes[:-1]),
            msgspec.structs.replace(message, view_changes=message.view_changes[:1] * 4),
            message,
        ]
        return [self.say(one, self.rng.choice(forms)) for one in self.split(send)]

    def _nulls(self, message: NewView) -> tuple[bytes, ...]:
        pps = [decode_signed(raw) for raw in message.pre_prepares]
        return tuple(
            self.signed(msgspec.structs.replace(pp, digest=NULL_DIGEST))
            for pp in pps
            if isinstance(pp, PrePrepare)
        )


class LieToLaggards(Behaviour):
    """Wrong nodes, wrong bodies, wrong decisions, wrong statuses, cut proofs."""

    def bend(self, send: Send, now: Instant) -> Iterable[Send]:
        lie = self._lie(send)
        return (send,) if lie is None else (lie,)

    def _lie(self, send: Send) -> Send | None:
        message, replace = send.message, msgspec.structs.replace
        quorum = self.honest.config.quorum
        match message:
            case Nodes():
                nodes = [replace(node, data=node.data[:-1] + b"?") for node in message.nodes]
                return self.say(send, Nodes(tuple(nodes)))
            case BatchBody():
                return self.say(send, replace(message, batch=message.batch + b"?"))
            case Decision():
                return self.say(send, replace(message, commits=message.commits[:1] * quorum))
            case StableProof():
                return self.say(send, StableProof(message.checkpoints[:1] * quorum))
            case Witness():
                return self.say(send, Witness((self.some_digest(),), ()))
            case FetchBatch():
                return self.say(send, FetchBatch(self.some_digest()))
            case Status() if self.rng.random() < 0.5:
                far = self.rng.choice((0, message.executed + 1000, 2**60))
                return self.say(send, replace(message, executed=far, low_watermark=far))
        return None
