"""What must hold in every run besides `Checkers`: each oracle is an observer that complains.

`Checkers` and the reference judge agreement, validity, integrity, persistence and answers. Here are
those that look at one replica from inside, or at the whole run from outside.
"""

from pbft.testing.observers import Observer
from pbft.testing.oracles.accountability import Accountability
from pbft.testing.oracles.bounds import BoundedEgress, BoundedMemory
from pbft.testing.oracles.proofs import Proofs
from pbft.testing.oracles.quietness import Quietness
from pbft.testing.oracles.replies import OneReply

__all__ = [
    "Accountability",
    "BoundedEgress",
    "BoundedMemory",
    "OneReply",
    "Proofs",
    "Quietness",
    "every_oracle",
]


def every_oracle() -> list[Observer]:
    """One of each, for one run."""
    return [
        *(BoundedMemory(), BoundedEgress(), Proofs(), Quietness(), OneReply()),
        Accountability(),
    ]
