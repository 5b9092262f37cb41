"""CF4: replicas with different parameters, in whole runs. Each pair shakes hands as real ones do; a
link that does not open carries nothing, and both ends know why."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from pbft.core.config import Configuration
from pbft.core.ids import Principal
from pbft.core.messages import AnyMessage
from pbft.crypto.links import Address, Drop, Links
from pbft.crypto.noise import LinkPrivateKey
from pbft.testing.plan import Plan
from tests.simulation.script import LOST, Rule, Script, calm


def opened(configs: Sequence[Configuration]) -> tuple[set[frozenset[Principal]], list[Drop]]:
    """Between which replicas a link opens, and what the others dropped."""
    keys = {str(number): LinkPrivateKey(bytes([number]) * 32) for number in range(len(configs))}
    found: set[frozenset[Principal]] = set()
    drops = []
    for one, other in combinations(range(len(configs)), 2):
        ends = {str(number): _links(number, keys, configs[number]) for number in (one, other)}
        drops += _shaken(ends, str(one), str(other))
        if all(
            end.established(peer) for end, peer in zip(ends.values(), [*ends][::-1], strict=True)
        ):
            found.add(frozenset((one, other)))
    return found, drops


def _links(number: int, keys: Mapping[str, LinkPrivateKey], config: Configuration) -> Links:
    return Links(
        identity=str(number),
        private=keys[str(number)],
        peers={name: key.public for name, key in keys.items()},
        cluster=config.cluster_id,
        payload=config.digest,
        random_bytes=random.Random(number).randbytes,
    )


def _shaken(ends: Mapping[str, Links], one: str, other: str) -> list[Drop]:
    where: dict[str, Address] = {one: ("host", 1), other: ("host", 2)}
    queue = [(other, each.data) for each in ends[one].open(other, where[other], 0)]
    drops = []
    while queue:
        to, data = queue.pop(0)
        source = one if to == other else other
        received = ends[to].receive(data, where[source], 0)
        queue += [(source, each.data) for each in received.outgoing]
        if received.drop is not None:
            drops.append(received.drop)
    return drops


def over(links: set[frozenset[Principal]]) -> Rule:
    """What two replicas say to each other takes a link."""

    def rule(run: Script, source: Principal, target: Principal, message: AnyMessage) -> int | None:
        replicas = isinstance(source, int) and isinstance(target, int) and source != target
        return LOST if replicas and frozenset((source, target)) not in links else None

    return rule


def started(plan: Plan, others: Mapping[int, Configuration]) -> tuple[Script, list[Drop]]:
    links, drops = opened([others.get(each, plan.config) for each in range(plan.config.n)])
    return Script(plan, configs=others, network=over(links)), drops


CHANGES: list[dict[str, Any]] = [
    {"checkpoint_interval": 4},
    {"window": 32},
    {"batch_max_requests": 2},
    {"client_window": 8},
]


@pytest.mark.scenario("CF4", kills="CF4 links do not compare parameters")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_replica_with_other_parameters_votes_nowhere_and_the_others_go_on(
    change: dict[str, Any],
) -> None:
    plan = replace(calm(), core=frozenset((0, 1, 2)))
    run, drops = started(plan, {3: replace(plan.config, **change)})
    run.held(within=1.0)
    assert drops == [Drop.MISMATCH] * 2 * 3, "both ends of three links know why"
    assert run.views() == {0}
    status = run.hosts[3].replica.status()
    assert (status.voting, status.executed, status.view) == (False, 0, 0)


@pytest.mark.scenario("CF4", kills="CF4 links do not compare parameters")
def test_two_and_two_with_different_parameters_decide_nothing() -> None:
    plan = calm(operations=6)
    other = replace(plan.config, checkpoint_interval=4)
    run, drops = started(plan, {2: other, 3: other})
    assert drops == [Drop.MISMATCH] * 2 * 4
    report = run.run()
    assert {each.partition(":")[0] for each in report.violations} == {"termination"}
    assert [host.replica.status().executed for host in run.hosts] == [0, 0, 0, 0]
    assert run.blamed() == set()


def test_with_the_same_parameters_every_link_opens() -> None:
    plan = calm()
    run, drops = started(plan, {})
    run.held(within=1.0)
    assert drops == []
