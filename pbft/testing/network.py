"""The network of a simulation: authenticated links that lose, delay, repeat, reorder and break.

A packet arrives under the name of whoever sent it, as sealed links ensure. Damage on the way is
loss, since the link's tag fails.
"""

import random

from pbft.core.ids import MILLISECOND, Principal
from pbft.testing.plan import Plan

MIN_DELAY_NS = MILLISECOND // 2


class Network:
    """Decides when, and how often, a packet arrives; counts the faults it makes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chances: dict[tuple[Principal, ...], random.Random] = {}
        self.lost = 0
        self.duplicated = 0
        self.cut = 0

    def arrivals(self, source: Principal, target: Principal, now: int) -> list[int]:
        """The times at which a packet sent now arrives: none, one or two."""
        plan, rng = self._plan, self._link(source, target)
        if now >= plan.gst_ns and self._heals(source) and self._heals(target):
            return [now + rng.randrange(MIN_DELAY_NS, plan.calm_delay_ns)]
        if self._is_cut(source, target, now):
            self.cut += 1
            return []
        if rng.random() < plan.loss:
            self.lost += 1
            return []
        times = [now + self._delay(rng)]
        if rng.random() < plan.duplicates:
            self.duplicated += 1
            times.append(now + self._delay(rng))
        return times

    def _heals(self, end: Principal) -> bool:
        return not isinstance(end, int) or self._plan.is_core(end)

    def _link(self, source: Principal, target: Principal) -> random.Random:
        """What decides about packets on a link: one for all links, or one for each."""
        link = (source, target) if self._plan.per_link else ()
        found = self._chances.get(link)
        if found is None:
            name = " ".join(map(str, ("network", self._plan.seed, *link)))
            found = self._chances[link] = random.Random(name)
        return found

    def _delay(self, rng: random.Random) -> int:
        """Mostly short, now and then ten times as long: enough to reorder."""
        long = 10 if rng.random() < 0.02 else 1
        return rng.randrange(MIN_DELAY_NS, self._plan.delay_ns + 1) * long

    def _is_cut(self, source: Principal, target: Principal, now: int) -> bool:
        if not isinstance(source, int) or not isinstance(target, int):
            return False
        for each in self._plan.partitions:
            if each.begin <= now < each.end:
                inside, reached = source in each.group, target in each.group
                if (inside and not reached) or (reached and not inside and not each.one_way):
                    return True
        return False
