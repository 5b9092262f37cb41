"""Services that are not deterministic by what is around a process: its host, its directory, how
deep its calls are, when it tidies up."""

import gc
import getpass
import os
import platform
import random
import socket
import threading
import time
import uuid
import weakref
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pbft import command
from tests.testing.planted import Base

_dice = random.Random()


class Ranked(Base):
    @command
    def rank(self, name: str) -> None:
        things = [object() for _ in range(50)]
        places = {id(each): place for place, each in enumerate(things)}
        self.entries[name] = str([places[each] for each in sorted(places)] + [id(things)])


@dataclass
class Team:
    names: set[str] = field(default_factory=set)


class Captain(Base):
    team: Team

    def __init__(self) -> None:
        super().__init__()
        self.team = Team()

    @command
    def captain(self, name: str) -> None:
        self.team.names |= {name, "a", "b", "c", "d", "e"}
        self.entries["captain"] = next(iter(self.team.names))


class Environment(Base):
    @command
    def user(self, name: str) -> None:
        self.entries[name] = os.environ.get("USER", "") + getpass.getuser()


class Directory(Base):
    @command
    def listed(self, name: str) -> None:
        self.entries[name] = str(Path.cwd())


class Thread(Base):
    @command
    def thread(self, name: str) -> None:
        self.entries[name] = str(threading.get_ident())


class Measured(Base):
    @command
    def measure(self, name: str) -> None:
        self.entries[name] = str(time.perf_counter_ns())


class Unseeded(Base):
    @command
    def draw(self, name: str) -> None:
        self.entries[name] = str(_dice.randrange(1_000_000))


class Card(Base):
    @command
    def card(self, name: str) -> None:
        self.entries[name] = str(uuid.getnode())


class Host(Base):
    @command
    def host(self, name: str) -> None:
        self.entries[name] = socket.gethostname()


class Node(Base):
    @command
    def node(self, name: str) -> None:
        self.entries[name] = platform.node()


class Cores(Base):
    @command
    def cores(self, name: str) -> None:
        self.entries[name] = str(os.cpu_count())


class Today(Base):
    @command
    def today(self, name: str) -> None:
        self.entries[name] = str(date.today())


class Depth(Base):
    @command
    def depth(self, name: str) -> None:
        self.entries[name] = str(self._deeper(0))

    def _deeper(self, so_far: int) -> int:
        try:
            return self._deeper(so_far + 1)
        except RecursionError:
            return so_far


class Descent(Base):
    """As deep as its argument says."""

    @command
    def descend(self, name: str, steps: int) -> None:
        self.entries[name] = str(self._down(945 + steps % 40))

    def _down(self, steps: int) -> int:
        return 0 if steps == 0 else 1 + self._down(steps - 1)


class Link:
    def __init__(self) -> None:
        self.other = self


class Collected(Base):
    @command
    def tidy(self, name: str) -> None:
        links = weakref.WeakSet(Link() for _ in range(50))
        self.entries[name] = str(len(links))


class Tracked(Base):
    @command
    def tracked(self, name: str) -> None:
        self.entries[name] = str(gc.get_count())
