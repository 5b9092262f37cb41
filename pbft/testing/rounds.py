"""Rounds: the protocol's steps, numbered in the order in which anybody took them first.

A step is what one kind of message says about one view and number: the PREPAREs for number 3 in view
0 are one round, the VIEW-CHANGEs to view 1 another. What is sent again belongs to its first round.
"""

from dataclasses import dataclass

from pbft.core.errors import DecodeError
from pbft.core.ids import Principal, ReplicaId
from pbft.core.messages import AnyMessage, Commit, NewView, Prepare, Proposal, ViewChange
from pbft.core.wire import decode_signed

STEPS = (Proposal, Prepare, Commit, ViewChange, NewView)


@dataclass(frozen=True, slots=True)
class RoundCut:
    """Until the network is calm, nothing of round `number` passes between `group` and the rest."""

    number: int
    group: frozenset[ReplicaId]


class Rounds:
    """Of one run."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, ...], int] = {}

    def of(self, message: AnyMessage) -> int | None:
        """The round that a message belongs to, counted from 0, a new one where it is the first of
        its step; none where it is no step."""
        if not isinstance(message, STEPS):
            return None
        return self._numbers.setdefault(_step(message), len(self._numbers))

    def are_cut(
        self, cuts: tuple[RoundCut, ...], source: Principal, target: Principal, message: AnyMessage
    ) -> bool:
        """Whether a cut stands between the two for this message. What only a liar says is of no
        round: it shall not shift the steps that are really taken."""
        number = self._numbers.get(_step(message)) if isinstance(message, STEPS) else None
        return any(
            each.number == number and (source in each.group) != (target in each.group)
            for each in cuts
        )


def _step(message: AnyMessage) -> tuple[object, ...]:
    return (type(message).__name__, *place(message))


def place(message: AnyMessage) -> tuple[int | None, int | None]:
    """The view and the sequence number that a message is about, where it has them."""
    about: AnyMessage | None = message
    if isinstance(message, Proposal):
        try:
            about = decode_signed(message.pre_prepare)
        except DecodeError:  # a liar's
            about = None
    return getattr(about, "view", None), getattr(about, "sequence", None)
