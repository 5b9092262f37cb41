"""Timers are keys: a new key arms one, the same key leaves it, a vanished key ends it.

A key names what is waited for and how often it has fired, and nothing that changes faster than
its delay, which would starve the timer.
"""

from dataclasses import dataclass, field

TimerKey = tuple[str, *tuple[object, ...]]


@dataclass(slots=True)
class Timers:
    armed: dict[TimerKey, int] = field(default_factory=dict)
    """Deadline (monotonic ns) by key."""
    fired: dict[str, int] = field(default_factory=dict)
    """How often a periodic timer has fired, by its name."""

    def settle(self, wanted: dict[TimerKey, int], now: int) -> None:
        """Arm what is newly wanted (delays in ns), forget what is no longer."""
        self.armed = {key: self.armed.get(key, now + delay) for key, delay in wanted.items()}

    def due(self, now: int) -> list[TimerKey]:
        """The keys whose deadline has passed, which are thereby disarmed."""
        keys = [key for key, deadline in self.armed.items() if deadline <= now]
        for key in keys:
            del self.armed[key]
            self.fired[key[0]] = self.fired.get(key[0], 0) + 1
        return keys

    def next(self) -> int | None:
        """The earliest deadline."""
        return min(self.armed.values(), default=None)
