"""The network loses, repeats, delays and cuts as its plan says, and not at all once it is calm."""

from dataclasses import replace

from pbft.core.ids import MILLISECOND
from pbft.testing.network import MIN_DELAY_NS, Network
from pbft.testing.plan import Partition, Plan, draw

GST = 1000 * MILLISECOND


def plan(loss: float = 0.0, duplicates: float = 0.0) -> Plan:
    base = replace(draw(1), delay_ns=5 * MILLISECOND, gst_ns=GST, partitions=[])
    return replace(base, loss=loss, duplicates=duplicates)


def network(made: Plan) -> Network:
    return Network(made)


def test_calm_is_reliable_and_quick_however_bad_it_was_before() -> None:
    everything = Partition(0, 2 * GST, frozenset({0}), one_way=False)
    calm = network(replace(plan(loss=1.0, duplicates=1.0), partitions=[everything]))
    for _ in range(200):
        (when,) = calm.arrivals(0, 1, GST)
        assert GST + MIN_DELAY_NS <= when <= GST + plan().calm_delay_ns
    assert (calm.lost, calm.duplicated, calm.cut) == (0, 0, 0)


def test_losses_and_duplicates_come_at_their_rates_and_are_counted() -> None:
    bad = network(plan(loss=0.25, duplicates=0.5))
    copies = [len(bad.arrivals(0, 1, 0)) for _ in range(2000)]
    assert 400 < copies.count(0) < 600
    assert 650 < copies.count(2) < 850
    assert (bad.lost, bad.duplicated) == (copies.count(0), copies.count(2))


def test_some_packets_are_late_enough_to_be_overtaken() -> None:
    slow = network(plan())
    times = [when for _ in range(1000) for when in slow.arrivals(0, 1, 0)]
    assert min(times) >= MIN_DELAY_NS
    assert 1 <= sum(when > 5 * MILLISECOND for when in times) < 100


def test_a_partition_cuts_both_ways_between_the_groups_and_only_there() -> None:
    cut = network(replace(plan(), partitions=[Partition(0, 10, frozenset({0, 1}), False)]))
    through = {(a, b) for a in range(4) for b in range(4) if cut.arrivals(a, b, 5)}
    assert through == {(a, b) for a in range(4) for b in range(4) if (a < 2) == (b < 2)}
    assert cut.arrivals(0, 2, 10)


def test_a_one_way_cut_leaves_the_way_back() -> None:
    cut = network(replace(plan(), partitions=[Partition(0, 10, frozenset({0}), True)]))
    assert not cut.arrivals(0, 2, 5)
    assert cut.arrivals(2, 0, 5)


def test_clients_reach_everybody() -> None:
    cut = network(replace(plan(), partitions=[Partition(0, 10, frozenset({0}), False)]))
    assert cut.arrivals("client-0", 2, 5)
    assert cut.arrivals(0, "client-0", 5)


def test_links_of_their_own_do_not_depend_on_each_other() -> None:
    def through(others: int, *, per_link: bool) -> list[list[int]]:
        bad = network(replace(plan(loss=0.3), per_link=per_link))
        for _ in range(others):
            bad.arrivals(2, 3, 0)
        return [bad.arrivals(0, 1, 0) for _ in range(20)]

    assert through(0, per_link=True) == through(5, per_link=True)
    assert through(0, per_link=False) != through(5, per_link=False)
