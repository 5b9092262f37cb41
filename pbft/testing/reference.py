"""What clients should have been told: the agreed batches, run once more by a single machine."""

from collections import defaultdict

from pbft.core.errors import PbftError
from pbft.core.ids import RequestKey, SequenceNumber
from pbft.core.messages import Request
from pbft.core.service import OK, REFUSED, Context
from pbft.core.state.machine import Machine
from pbft.core.wire import NULL_DIGEST, decode_signed
from pbft.services.kv import KeyValueService
from pbft.testing.checkers import Checkers, requests_of
from pbft.testing.linearizability import NEVER, Call, unlinearizable
from pbft.testing.plan import Plan
from pbft.testing.workload import Workload

Pairs = list[tuple[bytes, bytes]]
"""Operations, each with its result."""
FastReads = dict[SequenceNumber, list[tuple[bytes, bytes]]]
"""Reads outside the order with their results, by the sequence number that they saw."""


def check_answers(checkers: Checkers, workloads: dict[str, Workload], plan: Plan) -> None:
    """Every answer equals the reference's; every acknowledged operation is in the agreed order."""
    results = _replay(checkers, _fast_reads(workloads))
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
    _check_history(checkers, workloads)


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


def _replay(checkers: Checkers, reads: FastReads) -> dict[RequestKey, Pairs]:
    """The results of each request, from the decided batches in order; reads are judged by the
    state that they say they saw."""
    machine = Machine(KeyValueService())
    results: dict[RequestKey, Pairs] = {}
    _judge(checkers, machine, 0, reads.pop(0, []))
    for sequence in sorted(checkers.decided):
        digest = checkers.decided[sequence]
        batch = [] if digest == NULL_DIGEST else requests_of(checkers, checkers.bodies[digest])
        for raw in batch:
            request = decode_signed(raw)
            if not isinstance(request, Request):
                continue
            key = (request.client, request.timestamp)
            if checkers.executed_at.get(key) == sequence and key not in results:
                context = Context(request.client, sequence, 0)
                results[key] = [(op, _run(machine, op, context)) for op in request.operations]
        _judge(checkers, machine, sequence, reads.pop(sequence, []))
    if reads:
        checkers.complain(f"reads: answered at {min(reads)}, which nobody executed")
    return results


def _judge(checkers: Checkers, machine: Machine, at: int, reads: Pairs) -> None:
    for operation, told in reads:
        if told != OK + machine.query(operation):
            checkers.complain(f"reads: an answer that the state at {at} does not give")


def _run(machine: Machine, operation: bytes, context: Context) -> bytes:
    try:
        return OK + machine.execute(operation, context)
    except PbftError as refusal:
        return REFUSED + f"{type(refusal).__name__}: {refusal}".encode()
