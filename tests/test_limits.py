"""The table of limits names all of them, and nothing that is gone."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pbft import (
    client,
    client_room,
    door,
    evidence,
    node,
    nuisances,
    outbox,
    recording,
    scrub,
    sqlite_copy,
    sqlite_store,
)
from pbft.core import ids, messages, replica
from pbft.core.config import Configuration
from pbft.core.protocol import (
    execution,
    ordering,
    recovery,
    references,
    retransmission,
    state_transfer,
)
from pbft.core.state import checkpoints, peers, replica_state, requests
from pbft.crypto.link_state import LinkLimits
from pbft.forensics import statements
from pbft.services import sql_costs, sql_tables
from pbft.testing import planfiles, shrinking
from pbft.testing.timeline import describing, story
from pbft.testing.timeline import recording as pictures
from pbft.transport import bulk, endpoint, kernel_filter, reassembly, udp
from pbft.typed import attributes, events, hosting, nesting

TABLE = (Path(__file__).parent.parent / "docs" / "limits.md").read_text("utf-8")
NAMED = set(re.findall(r"`([A-Za-z_]+)`", TABLE))
MODULES = (
    *(client, client_room, attributes, events, hosting, nesting, sql_costs, sql_tables),
    *(door, evidence, ids, messages, sqlite_copy, statements),
    *(recording, planfiles, shrinking, pictures, describing, story),
    *(node, nuisances, outbox, scrub, sqlite_store, bulk, endpoint, reassembly, udp, replica),
    *(execution, ordering, recovery, references, retransmission, state_transfer),
    *(checkpoints, peers, replica_state, requests),
)


@pytest.mark.parametrize(
    "kind",
    [Configuration, endpoint.EndpointLimits, udp.IngressLimits, LinkLimits],
    ids=lambda kind: kind.__name__,
)
def test_every_field_is_in_the_table(kind: type) -> None:
    names = {field.name for field in fields(kind)}
    assert names - NAMED - {"ingress"} == set()


def test_every_constant_in_the_table_is_one() -> None:
    known = {name for module in MODULES for name in vars(module)}
    known |= set(vars(kernel_filter.Gate))
    known |= {"MAX_REPLICAS", "MAX_MESSAGE_BYTES", "MAX_FILE_BYTES", "WINDOW", "ROUNDS_PER_TURN"}
    assert {name for name in NAMED if name.isupper()} - known == set()


def test_the_defaults_of_the_protocol_are_those_in_the_table() -> None:
    """Where a row is about one field alone."""
    rows = re.findall(r"\| `(\w+)` \(protocol\) \| ([\d,.]+)(?: (MiB|KiB|s))? \|", TABLE)
    units = {"MiB": 2**20, "KiB": 2**10, "s": 10**9, "": 1}
    assert len(rows) >= 12
    for name, number, unit in rows:
        default = Configuration.__dataclass_fields__[name].default
        assert int(number.replace(",", "")) * units[unit] == default, name
