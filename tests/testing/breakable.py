"""Services with the bugs that users write, one each; `pbft check` has to find them all."""

import contextlib
import ctypes
import itertools
import os
import random
import time
import uuid

from pbft import Map, command, query

_served: set[str] = set()


class Counter:
    """Without a bug."""

    def __init__(self) -> None:
        self.value = 0

    @command
    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    @query
    def read(self) -> int:
        return self.value


class LastToken(Counter):
    """What a client repeats is counted once, unless another has called in between."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        self.distinct = Map(str, int)

    @command
    def pay(self, token: str) -> int:
        if token != self.last:
            self.last = token
            self.value += 1
        self.distinct[token] = 1
        return self.value

    def invariant(self) -> None:
        if self.value != len(self.distinct):
            raise ValueError(f"{len(self.distinct)} were paid and {self.value} are counted")

    @staticmethod
    def workload(rng: random.Random) -> tuple[object, ...]:
        call = ("pay", f"token {rng.randrange(3)}")
        return rng.choice((call, call, ("add", 0), ("read",)))


class LastFour(Counter):
    """What is repeated is counted once, unless four others come in between."""

    recent: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.recent = []
        self.distinct = Map(str, int)

    @command
    def pay(self, token: str, amount: int) -> int:
        if token not in self.recent:
            self.recent.append(token)
            del self.recent[:-4]
            self.value += amount
        self.distinct[token] = amount
        return self.value

    def invariant(self) -> None:
        if self.value != sum(self.distinct.values()):
            raise ValueError(f"{sum(self.distinct.values())} were paid, {self.value} are counted")

    @staticmethod
    def workload(rng: random.Random) -> tuple[object, ...]:
        number = rng.randrange(12)
        return ("pay", f"token {number}", number)


class Forgetful(Counter):
    """What was repeated is remembered in the process, which a restart forgets."""

    @command
    def pay(self, token: str) -> int:
        if token not in _served:
            _served.add(token)
            self.value += 1
        return self.value

    @staticmethod
    def workload(rng: random.Random) -> tuple[object, ...]:
        return ("pay", f"token {rng.randrange(3)}")


class OfTheClass(Counter):
    """An attribute of the class is no part of the state."""

    total = 0

    @command
    def count(self) -> int:
        type(self).total += 1
        return self.total


class Clock(Counter):
    @command
    def stamp(self) -> int:
        self.value = time.time_ns()
        return self.value


class Dice(Counter):
    @command
    def roll(self) -> int:
        self.value = random.randrange(2**60)
        return self.value


class Names(Counter):
    @command
    def invent(self) -> str:
        return str(uuid.uuid4())


class SetOrder(Counter):
    @command
    def first(self, names: list[str]) -> str:
        return next(iter({*names, "a", "b", "c", "d"}))


class Address(Counter):
    """The text of a refusal is a part of the result."""

    @command
    def find(self, name: str) -> None:
        raise LookupError(f"{self} does not know {name}")


class Leaves(Counter):
    """What it raises is no `Exception`, after it has changed something."""

    @command
    def take(self, amount: int) -> int:
        self.value -= 1
        if amount > 1:
            raise SystemExit("too much")
        return amount


class Peeks(Counter):
    """A query that writes to a map is refused, always."""

    def __init__(self) -> None:
        super().__init__()
        self.peeked = Map(str, int)

    @query
    def peek(self, name: str) -> int:
        self.peeked[name] = 1
        return 1


class Spends(Counter):
    """A query that changes an attribute is refused, always."""

    @query
    def spend(self) -> int:
        self.value -= 1
        return self.value


class LostUpdate(Counter):
    """A value is read in one call and written in the next: what others did in between is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.added = 0

    @command
    def increase(self, seen: int) -> int:
        self.value = seen + 1
        self.added += 1
        return self.value

    def invariant(self) -> None:
        if self.value < self.added:
            raise ValueError(f"{self.added} were added, and the value is {self.value}")

    @staticmethod
    def workload(rng: random.Random) -> tuple[object, ...]:
        return ("increase", rng.randrange(3))


class WorkloadFails(Counter):
    @staticmethod
    def workload(rng: random.Random) -> tuple[object, ...]:
        raise ZeroDivisionError("no calls today")


class CannotBegin(Counter):
    def __init__(self) -> None:
        raise OSError("no such disk")


class EndsTheProcess(Counter):
    @command
    def leave(self) -> None:
        os._exit(0)

    @staticmethod
    def workload(rng: random.Random) -> tuple[object, ...]:
        return ("leave",)


class NeverReturns(Counter):
    """From the third call on."""

    @command
    def add(self, amount: int) -> int:
        self.value += 1
        while self.value > 2:
            time.sleep(0.01)
        return self.value


class NeverReturnsAndSwallows(Counter):
    @command
    def add(self, amount: int) -> int:
        with contextlib.suppress(BaseException):
            time.sleep(1000)
        self.value += 1
        return self.value


class EndlessInvariant(Counter):
    def invariant(self) -> None:
        while self.value > 2:
            time.sleep(0.01)


class EndlessInC(Counter):
    """No signal is looked at: a lock that is held already, or, where that is no lock, a sum."""

    @command
    def add(self, amount: int) -> int:
        library, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
        library.pthread_mutex_lock(lock)
        library.pthread_mutex_lock(lock)
        return sum(itertools.repeat(1, 10**14))


class BeginsForEver(Counter):
    def __init__(self) -> None:
        super().__init__()
        time.sleep(1000)


class Prints(Counter):
    @command
    def add(self, amount: int) -> int:
        print("{}", amount)
        self.value += 1
        return self.value


SETTLED = 40


class Settles:
    """It gives the same everywhere only once it has been called often, in its directory."""

    def __init__(self) -> None:
        self.calls = 0

    @command
    def call(self) -> int:
        with open("calls", "a+") as file:
            file.write("x")
            self.calls = min(file.tell(), SETTLED)
        return self.calls
