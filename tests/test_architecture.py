"""The house's rules hold for the sources, and each rule finds a synthetic module that breaks it."""

from collections.abc import Callable, Sequence

import pytest

from tests.architecture import floors, ownership, style
from tests.architecture.modules import Module, load, parse

Rule = Callable[[Sequence[Module]], list[str]]

PBFT = load("pbft")
EVERYTHING = [*PBFT, *load("tests"), *load("examples"), *load("docs")]

RULES: list[tuple[Rule, Sequence[Module]]] = [
    (floors.upward_imports, PBFT),
    (floors.impure_core, PBFT),
    (floors.simulator_reaches_node, PBFT),
    (floors.crypto_by_its_folder, EVERYTHING),
    (style.long_functions, PBFT),
    (style.long_files, PBFT),
    (style.long_core, PBFT),
    (style.asserts, PBFT),
    (style.unsafe_code, PBFT),
    (style.foreign_signatures, PBFT),
    (ownership.misplaced_writes, PBFT),
    (ownership.scattered_messages, PBFT),
]


@pytest.mark.parametrize(("rule", "modules"), RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_the_sources_keep_the_rule(rule: Rule, modules: Sequence[Module]) -> None:
    violations = rule(modules)
    assert not violations, "\n" + "\n".join(violations)


def test_the_sources_include_crypto_through_its_link() -> None:
    names = {module.name for module in PBFT}
    assert {"pbft.crypto.signing", "pbft.core.replica", "pbft.core.state.log"} <= names
    assert not any(name.startswith("crypto") for name in names)


# -- negative controls: one module, one rule that must speak up --------------------------------

BROKEN: list[tuple[Rule, str, str]] = [
    (floors.upward_imports, "pbft.core.ids", "from pbft.core.state.log import Log"),
    (floors.upward_imports, "pbft.core.state.log", "from pbft.core.protocol import ordering"),
    (floors.upward_imports, "pbft.core.state.log", "from ..protocol import ordering"),
    (floors.upward_imports, "pbft.core.protocol.ordering", "import pbft.core.replica"),
    (floors.upward_imports, "pbft.core.replica", "from pbft.node import Node"),
    (floors.upward_imports, "pbft.core.ids", "from pbft import Client"),
    (floors.upward_imports, "pbft.crypto.links", "from pbft.core import errors"),
    (floors.upward_imports, "pbft.node", "def f():\n    import pbft.testing.network"),
    (floors.upward_imports, "pbft.testing.network", "from pbft.cli.main import main"),
    (floors.impure_core, "pbft.core.ids", "import time"),
    (floors.impure_core, "pbft.core.ids", "from os import path"),
    (floors.impure_core, "pbft.core.state.log", "def f():\n    from asyncio import sleep"),
    (floors.impure_core, "pbft.core.ids", "order = hash('a')"),
    (floors.crypto_by_its_folder, "tests.test_x", "import crypto"),
    (floors.crypto_by_its_folder, "tests.test_x", "from crypto.signing import verify"),
    (style.long_functions, "pbft.node", "def f():\n" + "    x = 1\n" * 70),
    (style.long_files, "pbft.node", "x = 1\n" * 401),
    (style.long_core, "pbft.core.ids", "x = 1\n" * (style.MAX_CORE_LINES + 1)),
    (style.asserts, "pbft.node", "def f(x):\n    assert x"),
    (style.unsafe_code, "pbft.node", "import pickle"),
    (style.unsafe_code, "pbft.node", "eval('1')"),
    (style.foreign_signatures, "pbft.core.ids", "import nacl.signing"),
    (style.foreign_signatures, "pbft.crypto.keyfiles", "def f(key):\n    key.verify(b'', b'')"),
    (
        style.foreign_signatures,
        "pbft.crypto.links",
        "from cryptography.hazmat.primitives.asymmetric import ed25519",
    ),
]


@pytest.mark.parametrize(("rule", "name", "source"), BROKEN)
def test_a_broken_rule_is_found(rule: Rule, name: str, source: str) -> None:
    (violation,) = rule([parse(name, source)])
    assert name.replace(".", "/") in violation or "pbft/core has" in violation


def test_what_the_rules_allow_is_left_alone() -> None:
    allowed = [
        parse("pbft.core.ids", "import hashlib\nfrom pbft.crypto.digests import digest"),
        parse("pbft.core.state.log", "from pbft.core import ids"),
        parse("pbft.crypto.signing", "import nacl.bindings"),
        parse("pbft.node", "import time, re\nre.compile('x')\ndef f():\n" + "    x = 1\n" * 69),
    ]
    for rule, _ in RULES:
        if rule is not ownership.scattered_messages:
            assert rule(allowed) == []


def test_the_simulator_is_found_to_reach_the_node_however_far_away() -> None:
    service = parse("pbft.services.kv", "from pbft.transport.udp import Socket")
    real = [parse("pbft.transport.udp", ""), parse("pbft.node", "")]
    simulator = parse("pbft.testing.simulator", "from pbft.services import kv")
    cluster = parse("pbft.testing.cluster", "import pbft.node")
    (violation,) = floors.simulator_reaches_node([service, *real, simulator, cluster])
    assert "pbft/testing/simulator.py" in violation
    assert "pbft.transport.udp" in violation


# -- negative controls: writers ------------------------------------------------------------------

STATE = """
WRITERS: dict[str, frozenset[str]] = {
    "log": frozenset({"ordering"}),
    "log.touched": frozenset({"ordering", "execution"}),
    "executed": frozenset({"execution"}),
}
class ReplicaState:
    executed: int
    log: Log
    views: Views
"""
LOG = """
class Slot:
    voted = False
class Log:
    def slot(self, n):
        return self.slots[n]
    def truncate(self, n):
        self.low_watermark = n
"""

WRITES = [
    "state.executed += 1",
    "state.log.low_watermark = 3",
    "state.log.slots[1].voted = True",
    "del state.log.slots[1]",
    "state.log.slots.pop(1)",
    "state.log.truncate(3)",
    "log = state.log\n    log.low_watermark = 3",
    "log, executed = state.log, state.executed\n    log.low_watermark = 3",
    "slot = state.log.slot(1)\n    slot.voted = True",
    "for slot in sorted(state.log.slots.values()):\n        slot.voted = True",
    "if slot := state.log.slots.get(1):\n        slot.voted, x = True, 1",
    "state.views.view = 3",
]
READS = [
    "log = state.log\n    low = log.low_watermark",
    "view = state.views.view\n    view = 3",
    "slot = state.log.slot(1)\n    return slot.voted",
    "state.drops['noise'] += 1",
    "mine = {}\n    mine['x'] = state.log.slots",
]


def _writes(module: str, body: str, parameters: str = "state: ReplicaState") -> list[str]:
    verb = f"def rule({parameters}):\n    {body}\n"
    sources = {ownership.STATE: STATE, "pbft.core.state.log": LOG, module: verb}
    return ownership.misplaced_writes([parse(name, text) for name, text in sources.items()])


@pytest.mark.parametrize("body", WRITES)
def test_a_write_by_another_module_is_found(body: str) -> None:
    (violation,) = _writes("pbft.core.protocol.checkpointing", body)
    assert "pbft/core/protocol/checkpointing.py:" in violation


@pytest.mark.parametrize("body", READS)
def test_reading_is_free(body: str) -> None:
    assert _writes("pbft.core.protocol.checkpointing", body) == []


def test_a_write_through_a_parameter_of_a_nouns_type_is_found() -> None:
    body, parameters = "slot.voted = True", "slot: Slot"
    assert len(_writes("pbft.core.protocol.checkpointing", body, parameters)) == 1
    assert _writes("pbft.core.protocol.ordering", body, parameters) == []


def test_the_replica_itself_is_held_to_the_table() -> None:
    assert len(_writes("pbft.core.replica", "self._state.executed = 1", "self")) == 1


def test_the_most_special_row_decides() -> None:
    assert _writes("pbft.core.protocol.execution", "state.log.touched[1] = None") == []
    assert len(_writes("pbft.core.protocol.execution", "state.log.slots[1] = None")) == 1


# -- negative controls: messages -----------------------------------------------------------------

ONE_MESSAGE = "class Message: ...\nclass Ping(Message, frozen=True): ..."
MAKE = "from pbft.core.messages import Ping\ndef f():\n    return Ping()"


@pytest.mark.parametrize(
    "places",
    [
        (),
        ("pbft.core.protocol.a", "pbft.core.protocol.b"),
        ("pbft.node",),
        ("pbft.core.restore",),
    ],
)
def test_a_message_made_nowhere_twice_or_elsewhere_is_found(places: tuple[str, ...]) -> None:
    modules = [parse(ownership.MESSAGES, ONE_MESSAGE), *(parse(name, MAKE) for name in places)]
    (violation,) = ownership.scattered_messages(modules)
    assert "Ping" in violation


@pytest.mark.parametrize("place", ["pbft.core.protocol.a", "pbft.client_session"])
def test_a_message_made_once_is_fine_and_traitors_may_forge(place: str) -> None:
    aliased = "from pbft.core import messages\ndef f():\n    return messages.Ping()"
    modules = [
        parse(ownership.MESSAGES, ONE_MESSAGE),
        parse(place, aliased),
        parse("pbft.testing.byzantine.x", MAKE),
    ]
    assert ownership.scattered_messages(modules) == []
