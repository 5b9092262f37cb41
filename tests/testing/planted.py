"""Services that are not deterministic, one for each way in which that happens."""

import locale
import os
import random
import time
import uuid
from datetime import datetime

from pbft import Context, Map, command

_calls = 0


class Base:
    def __init__(self) -> None:
        self.entries = Map(str, str)

    @command
    def fine(self, name: str) -> str:
        self.entries[name] = name
        return name


class Clock(Base):
    @command
    def stamp(self, name: str) -> None:
        self.entries[name] = str(time.time_ns())


class Minutes(Base):
    @command
    def minute(self, name: str) -> None:
        self.entries[name] = str(int(time.time() // 60))


class Calendar(Base):
    @command
    def date(self, name: str) -> None:
        self.entries[name] = datetime.now().isoformat()


class Dice(Base):
    @command
    def roll(self, name: str) -> None:
        self.entries[name] = str(random.random())


class Names(Base):
    @command
    def invent(self, name: str) -> None:
        self.entries[name] = str(uuid.uuid4())


class Order(Base):
    @command
    def first(self, names: list[str]) -> str:
        return next(iter({*names, "a", "b", "c", "d"}))


class Hashed(Base):
    @command
    def digest(self, name: str) -> int:
        return hash(name) % 1000


class Address(Base):
    @command
    def where(self, name: str) -> None:
        self.entries[name] = str(id(name))


class Process(Base):
    @command
    def who(self, name: str) -> None:
        self.entries[name] = str(os.getpid())


class Local(Base):
    @command
    def language(self, name: str) -> None:
        locale.setlocale(locale.LC_ALL, "")
        self.entries[name] = str(locale.getlocale())


class Zone(Base):
    @command
    def hour(self, context: Context, name: str) -> None:
        self.entries[name] = str(time.localtime(context.time / 1e9).tm_hour)


class Sum(Base):
    @command
    def total(self, names: list[str]) -> float:
        prices = {f"{name}{n}": 0.1 * n for n in range(1, 9) for name in ("x", *names)}
        return sum(prices[each] for each in set(prices))


class Global(Base):
    @command
    def count(self) -> int:
        global _calls
        _calls += 1
        return _calls


class Shared(Base):
    seen = 0

    @command
    def count(self) -> int:
        type(self).seen += 1
        return self.seen


class Text(Base):
    @command
    def fail(self, name: str) -> None:
        raise ValueError(f"{object()} does not know {name}")


class Teams(Base):
    @command
    def join(self, team: str, names: list[str]) -> None:
        self.entries[team] = ",".join({*names})
