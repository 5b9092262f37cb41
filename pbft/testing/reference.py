"""What clients should have been told: the agreed batches, run once more by a single machine."""

from pbft.core.errors import PbftError
from pbft.core.ids import RequestKey
from pbft.core.messages import Request
from pbft.core.service import OK, REFUSED, Context
from pbft.core.wire import NULL_DIGEST, decode_signed
from pbft.services.kv import KeyValueService
from pbft.testing.checkers import Checkers, requests_of
from pbft.testing.plan import Plan
from pbft.testing.workload import Workload


def check_answers(checkers: Checkers, workloads: dict[str, Workload], plan: Plan) -> None:
    """Every answer equals the reference's; every acknowledged operation is in the agreed order."""
    results = _replay(checkers)
    for name, workload in workloads.items():
        expected: list[bytes] = []
        for key in sorted(k for k in results if k[0] == name):
            expected += results[key]
        answered = [workload.answers[call] for call in sorted(workload.answers)]
        if len(expected) < len(answered):
            checkers.complain(f"loss: {name} was acknowledged what is not in the agreed order")
        elif workload.done and sorted(answered) != sorted(expected):
            checkers.complain(f"results: {name} was told what the agreed order does not give")
        elif workload.done and answered != expected:
            checkers.complain(f"results: {name} got right answers to the wrong calls")


def _replay(checkers: Checkers) -> dict[RequestKey, list[bytes]]:
    """The results of each request, from the decided batches in order."""
    service = KeyValueService()
    results: dict[RequestKey, list[bytes]] = {}
    for sequence in sorted(checkers.decided):
        digest = checkers.decided[sequence]
        if digest == NULL_DIGEST:
            continue
        for raw in requests_of(checkers.bodies[digest]):
            request = decode_signed(raw)
            if not isinstance(request, Request):
                continue
            key = (request.client, request.timestamp)
            if checkers.executed_at.get(key) == sequence and key not in results:
                context = Context(request.client, sequence, 0)
                results[key] = [_run(service, op, context) for op in request.operations]
    return results


def _run(service: KeyValueService, operation: bytes, context: Context) -> bytes:
    try:
        return OK + service.execute(operation, context)
    except PbftError as refusal:
        return REFUSED + f"{type(refusal).__name__}: {refusal}".encode()
