"""What must hold in every run besides `Checkers`: each oracle is an observer that complains.

`Checkers` and the reference judge agreement, validity, integrity, persistence and answers. Here are
those that look at one replica from inside, or at the whole run from outside.
"""

from pbft.testing.observers import Observer
from pbft.testing.oracles.accountability import Accountability
from pbft.testing.oracles.attention import Attention
from pbft.testing.oracles.bounds import BoundedEgress, BoundedMemory
from pbft.testing.oracles.footing import Footing
from pbft.testing.oracles.holdings import Holdings
from pbft.testing.oracles.proofs import Proofs
from pbft.testing.oracles.quietness import Quietness
from pbft.testing.oracles.replies import OneReply, OwnTicket
from pbft.testing.oracles.storage import Storage
from pbft.testing.oracles.suspicion import Suspicion

__all__ = [
    "Accountability",
    "Attention",
    "BoundedEgress",
    "BoundedMemory",
    "Footing",
    "Holdings",
    "OneReply",
    "OwnTicket",
    "Proofs",
    "Quietness",
    "Storage",
    "Suspicion",
    "every_oracle",
]


def every_oracle() -> list[Observer]:
    """One of each, for one run."""
    return [
        *(BoundedMemory(), BoundedEgress(), Proofs(), Quietness(), OneReply()),
        *(Accountability(), Attention(), Footing(), Holdings(), Storage(), Suspicion()),
        OwnTicket(),
    ]
