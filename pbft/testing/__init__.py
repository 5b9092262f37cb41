"""The kit that this project is tested with, for services of yours: what is listed here is public.

    from pbft.testing import check

    found = check("bank:Bank", seeds=50)
    print(found.problems or "it held")

`pbft check` and the fixtures of pytest are made of it. Importing this package loads nothing; each
name is loaded when it is first used. Its floor is the top, tests and the command line apart.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pbft.testing.checking import Checked, Finding, check
    from pbft.testing.cluster import ProcessCluster, ProcessError
    from pbft.testing.cluster.drill import Drilled, drill
    from pbft.testing.cluster.local import LocalCluster, local_cluster
    from pbft.testing.cluster.mesh import MeshCluster
    from pbft.testing.cluster.proxy import Conditions
    from pbft.testing.cluster.served import ServiceCluster
    from pbft.testing.kept import load_kept, replay_kept
    from pbft.testing.observers import Observer
    from pbft.testing.oracles import every_oracle
    from pbft.testing.plan import Plan
    from pbft.testing.planfiles import PlanFileError, load
    from pbft.testing.replaying import replay
    from pbft.testing.shrinking import shrink
    from pbft.testing.simulator import Report, run
    from pbft.testing.swarm import swarm

__all__ = [
    "Checked",
    "Conditions",
    "Drilled",
    "Finding",
    "LocalCluster",
    "MeshCluster",
    "Observer",
    "Plan",
    "PlanFileError",
    "ProcessCluster",
    "ProcessError",
    "Report",
    "ServiceCluster",
    "check",
    "drill",
    "every_oracle",
    "load",
    "load_kept",
    "local_cluster",
    "replay",
    "replay_kept",
    "run",
    "shrink",
    "swarm",
]

_HOMES = {
    "Checked": "checking",
    "Conditions": "cluster.proxy",
    "Drilled": "cluster.drill",
    "Finding": "checking",
    "LocalCluster": "cluster.local",
    "MeshCluster": "cluster.mesh",
    "Observer": "observers",
    "Plan": "plan",
    "PlanFileError": "planfiles",
    "ProcessCluster": "cluster",
    "ProcessError": "cluster",
    "Report": "simulator",
    "ServiceCluster": "cluster.served",
    "check": "checking",
    "drill": "cluster.drill",
    "every_oracle": "oracles",
    "load": "planfiles",
    "load_kept": "kept",
    "local_cluster": "cluster.local",
    "replay": "replaying",
    "replay_kept": "kept",
    "run": "simulator",
    "shrink": "shrinking",
    "swarm": "swarm",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pbft.testing' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
