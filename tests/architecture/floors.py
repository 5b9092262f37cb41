"""Who may import whom: the core does no I/O, and imports go down."""

from collections.abc import Sequence

from tests.architecture.modules import Module, calls, imports, within, within_any

NO_IO = frozenset(
    {
        *("asyncio", "socket", "time", "random", "os", "secrets", "threading", "logging"),
        *("datetime", "uuid", "select", "selectors", "signal", "subprocess", "multiprocessing"),
        *("concurrent", "pathlib", "tempfile", "ssl", "importlib", "asyncio_dgram", "uvloop"),
    }
)
NO_IO_CALLS = frozenset({"open", "print", "input", "__import__", "hash", "id"})

FLOORS = (
    "crypto",
    "the words of core",
    "core/state",
    "core/protocol",
    "the replica",
    "the world",
    "testing",
    "cli",
)
TURN = frozenset({"pbft.core.replica", "pbft.core.restore"})
PURE = frozenset(
    {
        "pbft.core",
        "pbft.client_session",
        "pbft.client_reads",
        "pbft.client_requests",
        "pbft.forensics",
    }
)
"""The replicas' half of the protocol and the clients'."""
CLUSTER = frozenset({"pbft.testing.cluster"})
"""The part of `pbft.testing` that starts real processes, and so may use the node."""
NAMES = frozenset({"pbft.testing", "pbft.testing.pytest_plugin"})
"""The list of the kit's public names, and who uses it: neither loads anything by itself."""
REAL = frozenset({"pbft.node", "pbft.transport"})


def floor(name: str) -> int | None:
    """The floor of a module of ours (an index into `FLOORS`), none for a library."""
    if not within(name, "pbft"):
        return None
    if within(name, "pbft.cli") or within(name, "pbft.__main__"):
        return FLOORS.index("cli")
    if within(name, "pbft.testing"):
        return FLOORS.index("testing")
    if within(name, "pbft.crypto"):
        return FLOORS.index("crypto")
    if not within(name, "pbft.core"):
        return FLOORS.index("the world")
    for part in ("state", "protocol"):
        if within(name, f"pbft.core.{part}"):
            return FLOORS.index(f"core/{part}")
    return FLOORS.index("the replica" if within_any(name, TURN) else "the words of core")


def upward_imports(modules: Sequence[Module]) -> list[str]:
    """Imports from a higher floor."""
    found = []
    for module in modules:
        own = floor(module.name)
        for node, target in imports(module):
            other = floor(target)
            if own is not None and other is not None and other > own:
                text = (
                    f"{FLOORS[own]} imports {target} from above ({FLOORS[other]}): imports go down"
                )
                found.append(module.at(node, text))
    return found


def impure_core(modules: Sequence[Module]) -> list[str]:
    """I/O, time, randomness or what differs between runs, in the core or the clients' half."""
    found = []
    for module in modules:
        if not within_any(module.name, PURE):
            continue
        for node, target in imports(module):
            if target.partition(".")[0] in NO_IO:
                text = f"the core imports {target}: time, keys and randomness are handed in"
                found.append(module.at(node, text))
        for call, name in calls(module):
            if name in NO_IO_CALLS:
                text = f"the core calls {name}(): it differs between runs, or is I/O"
                found.append(module.at(call, text))
    return found


def simulator_reaches_node(modules: Sequence[Module]) -> list[str]:
    """Modules of `pbft.testing`, the cluster apart, whose imports lead to node or transport."""
    known = {module.name for module in modules}
    targets = {m.name: {_module(t, known) for _, t in imports(m)} - {None} for m in modules}
    found = []
    for module in modules:
        if not within(module.name, "pbft.testing") or within_any(module.name, CLUSTER):
            continue
        if module.name in NAMES:
            continue
        reached, stack = {module.name}, [module.name]
        while stack:
            fresh = {t for t in targets.get(stack.pop(), set()) if t is not None} - reached
            reached |= fresh
            stack += fresh
        real = sorted(name for name in reached if within_any(name, REAL))
        if real:
            text = (
                f"reaches {real[0]}: the simulator drives the core, only {sorted(CLUSTER)[0]} may"
            )
            found.append(module.at(module.tree, text))
    return found


def _module(target: str, known: set[str]) -> str | None:
    """The module that an import of `target` loads, where it is one of ours."""
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target or None


def crypto_by_its_folder(modules: Sequence[Module]) -> list[str]:
    """`import crypto`: a second copy of every module, with exceptions that catch nothing."""
    return [
        module.at(node, f"imports {target}: say pbft.{target}")
        for module in modules
        for node, target in imports(module)
        if within(target, "crypto")
    ]
