"""The words of one sentence, read one after another; what is not understood says what was expected.

A time is a number with its unit (`950ms`, `2s`), a replica `R2`, several are `R0 R1` or `R0,R1`.
"""

import re

from pbft.core.errors import ConfigurationError
from pbft.core.ids import MILLISECOND, SECOND, ReplicaId

TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
NUMBERS = re.compile(r"(\d+)(?:\.\.(\d+))?")


class ScenarioError(ConfigurationError):
    """A scenario that cannot be understood: where, what was expected, and what stands there."""


class Words:
    """Of one line; `where` is `file:line`."""

    def __init__(self, text: str, where: str) -> None:
        self._words = text.replace(",", " , ").split()
        self._at = 0
        self.where = where

    def __bool__(self) -> bool:
        return self._at < len(self._words)

    def peek(self) -> str:
        """The next word, empty at the end."""
        return self._words[self._at] if self else ""

    def next(self, expected: str) -> str:
        """Take the next word."""
        if not self:
            raise self.wrong(expected)
        self._at += 1
        return self._words[self._at - 1]

    def take(self, *words: str) -> bool:
        """Take these words, if they are next."""
        if tuple(self._words[self._at : self._at + len(words)]) != words:
            return False
        self._at += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Take these words, which must be next."""
        if not self.take(*words):
            raise self.wrong(repr(" ".join(words)))

    def end(self, expected: str = "the end of the sentence") -> None:
        """Nothing may be left."""
        if self:
            raise self.wrong(expected)

    def wrong(self, expected: str) -> ScenarioError:
        """An error at the next word."""
        found = repr(self.peek()) if self else "the end of the line"
        return ScenarioError(f"{self.where}: expected {expected}, found {found}")

    def choice(self, what: str, known: "dict[str, object] | tuple[str, ...] | list[str]") -> str:
        """One of the words that are known."""
        if self.peek() not in known:
            raise self.wrong(f"{what}, one of {', '.join(sorted(known))}")
        return self.next(what)

    def time(self) -> int:
        """A time (ns)."""
        match = TIME.fullmatch(self.peek())
        if match is None:
            raise self.wrong("a time like 950ms or 2s")
        self._at += 1
        return round(float(match[1]) * (SECOND if match[2] == "s" else MILLISECOND))

    def number(self) -> int:
        """A whole number; `1st`, `2nd` are numbers, too."""
        digits = re.fullmatch(r"(\d+)(st|nd|rd|th)?", self.peek())
        if digits is None:
            raise self.wrong("a whole number")
        self._at += 1
        return int(digits[1])

    def range(self) -> tuple[int, int]:
        """`3`, or `1..4` with both ends; half-open."""
        match = NUMBERS.fullmatch(self.peek())
        if match is None:
            raise self.wrong("a number like 3, or a range like 1..4")
        self._at += 1
        return int(match[1]), int(match[2] or match[1]) + 1

    def share(self) -> float:
        """A share like `5%`."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)%", self.peek())
        if match is None:
            raise self.wrong("a share like 5%")
        self._at += 1
        return float(match[1]) / 100

    @property
    def at_replica(self) -> bool:
        return re.fullmatch(r"R\d+", self.peek()) is not None

    def replica(self) -> ReplicaId:
        """A replica like `R2`."""
        if not self.at_replica:
            raise self.wrong("a replica like R2")
        return int(self.next("a replica")[1:])

    def replicas(self, n: int) -> tuple[ReplicaId, ...]:
        """Several of them, or `all`."""
        if self.take("all"):
            return tuple(range(n))
        found = [self.replica()]
        while self.at_replica or (self.peek() == "," and self._replica_after()):
            self.take(",")
            found.append(self.replica())
        beyond = [each for each in found if each >= n]
        if beyond:
            raise ScenarioError(f"{self.where}: there are {n} replicas, no R{beyond[0]}")
        return tuple(found)

    def _replica_after(self) -> bool:
        after = self._words[self._at + 1 : self._at + 2]
        return bool(after) and re.fullmatch(r"R\d+", after[0]) is not None
