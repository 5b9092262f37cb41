"""Bugs that are planted into the core for one test, and plans short enough to run often."""

from dataclasses import replace
from typing import Any

import pytest

from pbft.core import config
from pbft.core.quorum import quorum
from pbft.core.state.sessions import Sessions
from pbft.testing.plan import Plan


def brief(plan: Plan, operations: int = 20, **changes: Any) -> Plan:
    """The plan with fewer calls, and changed."""
    return replace(plan, operations=operations, **changes)


def low_quorum(patch: pytest.MonkeyPatch) -> None:
    """One vote less than two quorums need to share a correct replica."""
    patch.setattr(config, "quorum", lambda n: quorum(n) - 1)


def no_deduplication(patch: pytest.MonkeyPatch) -> None:
    """What was executed executes again when it is ordered again."""
    patch.setattr(Sessions, "eligible", lambda sessions, key: True)
