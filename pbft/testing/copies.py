"""A copy of a user's module for each life of each simulated replica.

Replicas of one simulation share one interpreter. What a service keeps in a global of its module, or
in an attribute of its class, would be shared by all of them and would survive a restart, which no
real process gives; so each life begins with the module as it is freshly imported. Modules that it
imports are not copied, and neither are those of pbft.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec

OWN = "pbft"


@contextmanager
def copied(service: type) -> Iterator[type]:
    """The class in a new copy of its module. Within the context the copy is what the module's name
    gives, since annotations are looked up by it: make the objects there."""
    name = service.__module__
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if module is None or spec is None or spec.loader is None or name.partition(".")[0] == OWN:
        yield service
        return
    copy = module_from_spec(spec)
    sys.modules[name] = copy
    try:
        spec.loader.exec_module(copy)
        found: type = getattr(copy, service.__name__)
        yield found
    finally:
        sys.modules[name] = module
