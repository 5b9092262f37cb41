"""A named behaviour as one part of a traitor."""

import random
from collections.abc import Callable, Iterable, Sequence

from pbft.core.effects import Send
from pbft.core.ids import Instant, Packet
from pbft.testing.byzantine import ADVERSARIES, PACING, Maker
from pbft.testing.byzantine.attacks import Attack
from pbft.testing.byzantine.ordering import Misdate, Reword, VoteAsPrimary, WrongBody
from pbft.testing.byzantine.parts import Part, Traitor

IMITATED: dict[str, Maker] = {
    **ADVERSARIES,
    "fail-views": PACING["fail-views"],
    "vote-as-primary": VoteAsPrimary,
    "misdate": Misdate,
    "wrong-body": WrongBody,
    "reword": Reword,
}
"""Those that only bend what leaves, or add to it."""


class Imitating(Part):
    """Its own chance is the part's."""

    def __init__(self, traitor: Traitor, attack: Attack, rng: random.Random) -> None:
        super().__init__(traitor, attack, rng)
        self._model = IMITATED[self.act.name](traitor.honest)
        self._model.reseed(rng)

    def saw(self, packets: Sequence[Packet]) -> None:
        self._model.saw(packets)

    def change(self, send: Send, now: Instant) -> Iterable[Send]:
        return self._counted(lambda: self._model.bend(send, now))

    def extra(self, now: Instant) -> Iterable[Send]:
        if not self.on_time(now.monotonic):
            return ()
        sends = self._counted(lambda: self._model.extra(now))
        self.due = getattr(self._model, "due", None)
        return sends

    def _counted(self, sends: Callable[[], Iterable[Send]]) -> list[Send]:
        before = self._model.acted
        made = list(sends())
        self.traitor.acts[self.act.name] += self._model.acted - before
        return made
