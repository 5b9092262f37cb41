"""Byzantine behaviours around honest replicas: for the demo, the simulator, and your own tests."""

from pbft.testing.byzantine.behaviour import Behaviour, Maker
from pbft.testing.byzantine.lying import (
    LieInCheckpoints,
    LieInNewView,
    LieInViewChange,
    LieToClients,
    LieToLaggards,
    WithholdResults,
)
from pbft.testing.byzantine.mixed import Mixed, Twins
from pbft.testing.byzantine.ordering import (
    Corrupt,
    Equivocate,
    Flood,
    NameNothing,
    ProposeAgain,
    Replay,
    Silent,
    Withhold,
)
from pbft.testing.byzantine.pacing import FailViews, OneByOne, Slow, StarveOne, slow

__all__ = ["ADVERSARIES", "BEHAVIOURS", "PACING", "Behaviour", "Maker", "Twins"]

BEHAVIOURS: dict[str, Maker] = {
    "equivocate": Equivocate,
    "silent": Silent,
    "slow": Slow,
    "corrupt": Corrupt,
    "lie-to-clients": LieToClients,
    "lie-in-checkpoints": LieInCheckpoints,
    "replay": Replay,
    "none": Behaviour,
}
"""What the demo offers, by name."""

ADVERSARIES: dict[str, Maker] = {
    **{name: maker for name, maker in BEHAVIOURS.items() if name != "none"},
    "withhold": Withhold,
    "flood": Flood,
    "name-nothing": NameNothing,
    "lie-in-view-changes": LieInViewChange,
    "lie-in-new-views": LieInNewView,
    "lie-to-laggards": LieToLaggards,
    "withhold-results": WithholdResults,
    "mixed": Mixed,
    "propose-again": ProposeAgain,
}
"""What the simulator draws from."""

PACING: dict[str, Maker] = {
    "starve-one": StarveOne,
    "one-by-one": OneByOne,
    "fail-views": FailViews,
    **{f"slow-{round(100 * part)}%": slow(part) for part in (0.2, 0.4, 0.6, 0.9, 1.1)},
}
"""What is slow below the timeout; scenarios of their own ask for these."""
