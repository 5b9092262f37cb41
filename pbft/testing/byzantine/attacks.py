"""Attacks as data: which of a traitor's messages, for whom, and what becomes of them.

A plan gives each traitor a few of these; they bend what leaves one after another, so that small
parts compose. All is plain data: an attack is stored, taken out and replayed like any other fault.
"""

from enum import Enum
from typing import TypeAlias, get_args

from msgspec import Struct

from pbft.core.errors import ConfigurationError
from pbft.core.ids import MILLISECOND, Principal, ReplicaId
from pbft.core.messages import AnyMessage, PrePrepare

KINDS = frozenset({each.__name__ for each in get_args(AnyMessage)} - {PrePrepare.__name__})
"""What leaves a replica; a pre-prepare leaves it in a Proposal."""
Range: TypeAlias = tuple[int, int]
"""From the first, below the second."""


class Target(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an attack is about; what is not said is everything.

    `kinds`: names of message types. `to`: receivers (of `Ignore`: senders). `rounds`: the steps of
    the protocol in the order in which anybody took them first (`pbft.testing.rounds`). `times`:
    virtual nanoseconds; `turns`: those of the traitor, from 1 on. `chance`: for each receiver.
    Raises `ConfigurationError` where nothing is of such a kind: it would attack nothing, and all
    would hold."""

    kinds: tuple[str, ...] = ()
    to: tuple[Principal, ...] = ()
    views: Range | None = None
    numbers: Range | None = None
    rounds: Range | None = None
    times: Range | None = None
    turns: Range | None = None
    chance: float = 1.0

    def __post_init__(self) -> None:
        unknown = sorted({*self.kinds} - KINDS)
        if unknown:
            raise ConfigurationError(
                f"no message is a {unknown[0]}; there are {', '.join(sorted(KINDS))}, and a"
                " pre-prepare is in a Proposal"
            )


class Act(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag=str.lower):
    """What is done."""


class Omit(Act, frozen=True):
    """It does not leave."""


class Delay(Act, frozen=True):
    """It leaves later, by so many nanoseconds: also by just less than a timeout."""

    by_ns: int = 100 * MILLISECOND


class Duplicate(Act, frozen=True):
    """It leaves so many times more."""

    times: int = 1


class Flip(Act, frozen=True):
    """So many of its bits are flipped, after signing."""

    bits: int = 1


class Change(Enum):
    """How a field is changed; `OTHER` takes what another message had there: a digest, a number."""

    MINUS = "minus"
    PLUS = "plus"
    ZERO = "zero"
    HIGH = "high"
    RANDOM = "random"
    OTHER = "other"
    OLD = "old"


class Mutate(Act, frozen=True):
    """A field is changed and the message signed anew, by whomever it names if we hold that key. Of
    a proposal the fields are those of its pre-prepare. No field named: any."""

    field: str = ""
    change: Change = Change.RANDOM


class Form(Enum):
    """What is wrong with a forged VIEW-CHANGE or NEW-VIEW, or with a certificate in it."""

    EMPTY = "nothing prepared"
    SHORT = "the last one is left out"
    STALE = "what was true in an earlier view"
    BEYOND = "a view far away"
    INFLATED = "a low watermark without proof"
    REPEATED_PROOF = "a low watermark proven by one signer"
    REPEATED_SIGNER = "a certificate with one signer"
    MIXED = "a certificate of votes for different things"
    OWN = "a certificate of our own and our colluders' votes alone"
    REVERSED = "certificates in the wrong order"
    NULLS = "null in the place of what was prepared"
    SWAPPED = "two numbers with each other's digests"
    EXTRA = "a number too many"
    WRONG_VIEW = "pre-prepares of another view"
    FEW = "too few view changes"
    REPEATED = "one view change several times"
    OLD = "view changes to an earlier view"
    ANOTHER = "valid, of another set of view changes"


class Forge(Act, frozen=True):
    """A VIEW-CHANGE or NEW-VIEW is replaced by a forged one; no form: any that applies."""

    form: Form | None = None


class Repeat(Act, frozen=True):
    """Old messages again, its own and what others signed: so many each `every_ns`, to anybody."""

    count: int = 3
    every_ns: int = 20 * MILLISECOND


class Fork(Act, frozen=True):
    """From the first turn in `times` with leave to vote on, a second core with the same past and
    the same key speaks to `group` and hears it, the first to all others. Colluders fork alike."""

    group: tuple[ReplicaId, ...] = ()


class Ignore(Act, frozen=True):
    """What comes in is not heard."""


class Imitate(Act, frozen=True):
    """One of the named behaviours, for these messages."""

    name: str = "equivocate"


class Fuzz(Act, frozen=True):
    """Well-signed messages of all types with hostile content around the current state: so many
    each `every_ns`. `kinds` of the target says which types."""

    count: int = 3
    every_ns: int = 20 * MILLISECOND


AnyAct: TypeAlias = (
    Omit | Delay | Duplicate | Flip | Mutate | Forge | Repeat | Fork | Ignore | Imitate | Fuzz
)


class Attack(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One act on one target."""

    act: AnyAct
    target: Target = Target()


def within(value: int | None, bounds: Range | None) -> bool:
    """Whether there is no bound, or `value` is in it."""
    return bounds is None or (value is not None and bounds[0] <= value < bounds[1])
