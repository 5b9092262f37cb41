"""Every fail point, each of the first times that it is reached, against a traitor that equivocates.

Run with a number it is the whole enumeration: `python -m tests.simulation.failpoints 6`.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from pbft.core.ids import MILLISECOND, SECOND
from pbft.testing.failpoints import POINTS, Point, Stop
from pbft.testing.plan import Partition, Plan, draw
from pbft.testing.simulator import Report, run

TRAITORS = ("equivocate", "propose-again", "silent")
"""The first makes the primary equivocate before the stop, the second to whoever comes back; the
third brings about a view change in which the correct replicas need each other."""
FAST_READS_SEED = 5
DOWN_NS = 300 * MILLISECOND
GST_NS = 6 * SECOND


def plan(traitor: str, stop: Stop) -> Plan:
    """Some loss, a disk that takes its time, one replica cut off for a while: it transfers state.
    The primary of view 0 is the traitor."""
    return replace(
        draw(FAST_READS_SEED, 4, 0),
        traitors={0: traitor},
        loss=0.02,
        duplicates=0.05,
        delay_ns=10 * MILLISECOND,
        disk_delay_ns=5 * MILLISECOND,
        gst_ns=GST_NS,
        faulty_clients=0,
        operations=50,
        partitions=[
            Partition(SECOND + SECOND // 10, 3 * SECOND, frozenset({3}), one_way=False),
        ],
        crashes=[],
        stops=[stop],
        damages=[],
    )


Case = tuple[str, Point, int, bool]


def cases(times: int, point: Point) -> Iterator[Case]:
    """(traitor, point, occurrence, everyone)."""
    for number, traitor in enumerate(TRAITORS):
        for occurrence in range(1, times + 1):
            yield traitor, point, occurrence, False
        if times > 1 or number == POINTS.index(point) % len(TRAITORS):
            yield from ((traitor, point, occurrence, True) for occurrence in range(1, times + 1))


def simulated(case: Case) -> Report:
    """The run of one case."""
    traitor, point, occurrence, everyone = case
    return run(plan(traitor, Stop(point, occurrence, everyone, DOWN_NS)))


def main(times: int) -> int:
    """All cases, in two processes; the status is 1 where any failed or a point was missed."""
    reached: Counter[Point] = Counter(dict.fromkeys(POINTS, 0))
    bad = 0
    every = [case for point in POINTS for case in cases(times, point)]
    with ProcessPoolExecutor(2) as pool:
        for case, report in zip(every, pool.map(simulated, every, chunksize=8), strict=True):
            reached[case[1]] += report.faults.get("fail point", 0)
            if report.violations or not report.finished:
                bad += 1
                print(case, report.finished, report.violations[:3])
    for number, point in enumerate(POINTS):
        print(f"{number:3} {point.boundary.value}: {point.kind}: {reached[point]} stops")
    print(f"{len(every)} runs, {bad} bad")
    return 1 if bad or 0 in reached.values() else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
