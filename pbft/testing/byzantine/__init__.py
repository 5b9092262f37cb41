"""Byzantine behaviours around honest replicas: for the demo, the simulator, and your own tests."""

from pbft.testing.byzantine.behaviour import Behaviour, Maker
from pbft.testing.byzantine.mixed import MIXABLE, Mixed, Twins
from pbft.testing.byzantine.ordering import ProposeAgain, Silent
from pbft.testing.byzantine.pacing import FailViews, OneByOne, Slow, StarveOne, slow

__all__ = ["ADVERSARIES", "BEHAVIOURS", "PACING", "Behaviour", "Maker", "Twins"]

ADVERSARIES: dict[str, Maker] = {
    **MIXABLE,
    "silent": Silent,
    "slow": Slow,
    "propose-again": ProposeAgain,
    "mixed": Mixed,
}
"""What the simulator draws from."""

_OFFERED = (
    *("equivocate", "silent", "slow", "corrupt"),
    *("lie-to-clients", "lie-in-checkpoints", "replay"),
)
BEHAVIOURS: dict[str, Maker] = {
    **{name: ADVERSARIES[name] for name in _OFFERED},
    "none": Behaviour,
}
"""What the demo offers, by name."""

PACING: dict[str, Maker] = {
    "starve-one": StarveOne,
    "one-by-one": OneByOne,
    "fail-views": FailViews,
    **{f"slow-{round(100 * part)}%": slow(part) for part in (0.2, 0.4, 0.6, 0.9, 1.1)},
}
"""What is slow below the timeout; scenarios of their own ask for these."""
