"""What clients should have been told: the agreed batches, run once more by a single machine."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from pbft.core.errors import Refusal
from pbft.core.ids import RequestKey, SequenceNumber
from pbft.core.messages import Request
from pbft.core.protocol.execution import MAX_REFUSAL_BYTES
from pbft.core.service import OK, REFUSED, Context
from pbft.core.state.machine import Machine
from pbft.core.wire import NULL_DIGEST, decode_batch, decode_signed
from pbft.testing.checkers import Checkers, requests_of
from pbft.testing.linearizability import NEVER, Call, unlinearizable
from pbft.testing.plan import Plan
from pbft.testing.subjects import KEY_VALUE, Subject, shown_call
from pbft.testing.workload import Workload

Pairs = list[tuple[bytes, bytes]]
"""Operations, each with its result."""
FastReads = dict[SequenceNumber, list[tuple[bytes, bytes]]]
"""Reads outside the order with their results, by the sequence number that they saw."""


def check_answers(
    checkers: Checkers, workloads: dict[str, Workload], plan: Plan, about: Subject = KEY_VALUE
) -> None:
    """Every answer equals the reference's; every acknowledged operation is in the agreed order;
    and the history is linearizable, where the service is the one that the search knows."""
    results = _replay(checkers, _fast_reads(workloads), about)
    for name, workload in workloads.items():
        expected: Pairs = []
        for key in sorted(k for k in results if k[0] == name):
            expected += results[key]
        ordered = sorted(workload.answers.keys() - workload.read_at.keys())
        answered = [(workload.operations[call], workload.answers[call]) for call in ordered]
        if len(expected) < len(answered):
            checkers.complain(f"loss: {name} was acknowledged what is not in the agreed order")
        elif workload.done and sorted(answered) != sorted(expected):
            checkers.complain(f"results: {name} was told what the agreed order does not give")
        elif workload.done and not plan.config.fast_reads and answered != expected:
            checkers.complain(f"results: {name} got right answers to the wrong calls")
    if not plan.config.fast_reads:
        _check_real_time(checkers, workloads, results)
    if about is KEY_VALUE:
        _check_history(checkers, workloads)


def _check_real_time(
    checkers: Checkers, workloads: dict[str, Workload], results: dict[RequestKey, Pairs]
) -> None:
    """What began after an answer was given is ordered after it, of any service."""
    spans: list[tuple[int, float, SequenceNumber]] = []
    for name, work in workloads.items():
        keys = sorted(key for key in results if key[0] == name)
        places = [checkers.executed_at[key] for key in keys for _ in results[key]]
        for call, place in zip(sorted(work.asked), places, strict=False):
            spans.append((work.asked[call], work.answered_at.get(call, NEVER), place))
    ended = sorted((end, place) for _, end, place in spans)
    latest, index = 0, 0
    for began, _, place in sorted(spans):
        while index < len(ended) and ended[index][0] < began:
            latest = max(latest, ended[index][1])
            index += 1
        if place < latest:
            checkers.complain(f"linearizability: ordered at {place} after an answer from {latest}")
            return


def _check_history(checkers: Checkers, workloads: dict[str, Workload]) -> None:
    """Linearizable as seen from outside; not judged where a faulty client wrote too."""
    if any(client not in workloads for client, _ in checkers.executed_at):
        return
    history = [
        Call(
            asked,
            work.answered_at.get(call, NEVER),
            work.operations[call],
            work.answers.get(call),
        )
        for work in workloads.values()
        for call, asked in work.asked.items()
    ]
    for key in unlinearizable(history):
        checkers.complain(f"linearizability: no order explains what was told about {key!r}")


def _fast_reads(workloads: dict[str, Workload]) -> FastReads:
    reads: FastReads = defaultdict(list)
    for workload in workloads.values():
        for call, sequence in workload.read_at.items():
            reads[sequence].append((workload.operations[call], workload.answers[call]))
    return reads


def _replay(checkers: Checkers, reads: FastReads, about: Subject) -> dict[RequestKey, Pairs]:
    """The results of each request, from the decided batches in order; reads are judged by the
    state that they say they saw."""
    machine, time = Machine(about.make()), 0
    results: dict[RequestKey, Pairs] = {}
    _judge(checkers, machine, 0, reads.pop(0, []))
    for sequence in sorted(checkers.decided):
        digest = checkers.decided[sequence]
        body = b"" if digest == NULL_DIGEST else checkers.bodies[digest]
        batch = requests_of(checkers, body) if body else []
        time = max(time + 1, decode_batch(body).time) if batch else time
        for raw in batch:
            request = decode_signed(raw)
            if not isinstance(request, Request):
                continue
            key = (request.client, request.timestamp)
            if checkers.executed_at.get(key) == sequence and key not in results:
                contexts = (
                    Context(key[0], sequence, time, key[1], number, digest)
                    for number in range(len(request.operations))
                )
                results[key] = [
                    (op, _executed(checkers, machine, about, op, next(contexts)))
                    for op in request.operations
                ]
        _judge(checkers, machine, sequence, reads.pop(sequence, []))
    if reads:
        checkers.complain(f"reads: answered at {min(reads)}, which nobody executed")
    return results


def _executed(
    checkers: Checkers, machine: Machine, about: Subject, operation: bytes, context: Context
) -> bytes:
    """The outcome; then the service's own invariant must hold."""
    outcome = outcome_of(partial(machine.execute, operation, context))
    try:
        if about.judge is not None:
            about.judge(machine.service)
    except Exception as error:  # whatever the service's invariant raises
        call = f"{shown_call(operation)} of {context.client}"
        text = f"after {call}: {type(error).__name__}: {error}"
        checkers.complain(f"invariant: {text}")
    return outcome


def _judge(checkers: Checkers, machine: Machine, at: int, reads: Pairs) -> None:
    for operation, told in reads:
        if told != outcome_of(partial(machine.query, operation)):
            checkers.complain(f"reads: an answer that the state at {at} does not give")


def outcome_of(run: Callable[[], bytes]) -> bytes:
    """What the core makes of it: the result of a request, whether it is one or a refusal."""
    try:
        return OK + run()
    except Exception as refusal:  # whatever the service raises is the result
        own = isinstance(refusal, Refusal)
        text = str(refusal) if own else f"{type(refusal).__name__}: {refusal}"
        return REFUSED + text.encode("utf-8", "replace")[:MAX_REFUSAL_BYTES]
