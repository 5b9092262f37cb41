"""Receipts: proof for third parties that the cluster executed an operation, and what it gave.

A receipt holds the signed request, its result, and what f+1 replicas or more state about it, each
signed. Whoever has the public cluster file verifies it offline: among f+1 replicas one is correct,
and it says so only of what took effect at that place in the order. The text is canonical: a
receipt has one form, and any other is refused.
"""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from msgspec import Struct

from pbft.cluster import Cluster
from pbft.core.authentication import Authentication
from pbft.core.errors import DecodeError, PbftError
from pbft.core.ids import ClientId, ReplicaId, SequenceNumber, Timestamp
from pbft.core.messages import Attest, Request
from pbft.core.messages import Receipt as Statement
from pbft.core.service import OK
from pbft.core.wire import decode_signed, encode_link, request_digest, results_digest

FORMAT = 1
ASK_SECONDS = 0.2
MAX_BYTES = 16 * 1024 * 1024


class ReceiptError(PbftError):
    """What is not a receipt of this cluster, or not a genuine one."""


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """In base64: the request as its client signed it; the result, whose first byte says whether it
    is a value; statements as their replicas signed them."""

    format: int
    cluster: str
    request: str
    result: str
    statements: tuple[str, ...]


class Proven(Struct, frozen=True):
    """What a genuine receipt says: `client` asked for `operation`, which gave `result` at
    `sequence`, and these replicas say so."""

    client: ClientId
    operation: bytes
    result: bytes
    sequence: SequenceNumber
    replicas: tuple[ReplicaId, ...]


class Statements:
    """Collects what replicas say about requests that have executed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._judge = cluster.judge()
        self._wanted: dict[Timestamp, _Collection] = {}
        self.wrong: Counter[ReplicaId] = Counter()
        """Statements that contradict what f+1 replicas agreed on, by replica."""

    def absorb(self, raw: bytes) -> bool:
        """Whether `raw` is a genuine statement that somebody waits for, its replica's first."""
        try:
            said = _signed(self._judge, raw, Statement, "a statement")
        except ReceiptError:
            return False
        found = self._wanted.get(said.timestamp)
        if found is None or said.replica in found.replicas:
            return False
        found.replicas.add(said.replica)
        if (said.client, said.request, said.results) != found.about:
            self.wrong[said.replica] += 1
            return False
        agreed = found.said.setdefault(said.sequence, {})
        agreed[said.replica] = raw
        if len(agreed) >= self._cluster.config.weak_quorum and not found.enough.done():
            found.enough.set_result(said.sequence)
        return True

    async def collect(self, request: bytes, result: bytes, ask: Callable[[bytes], None]) -> Receipt:
        """A receipt of what f+1 say alike; asks again until they do."""
        message = _signed(self._judge, request, Request, "the request")
        about = message.client, request_digest(request), results_digest((result,))
        wanted = _Collection(about, asyncio.get_running_loop().create_future())
        self._wanted[message.timestamp] = wanted
        try:
            while not wanted.enough.done():
                ask(encode_link(Attest(message.timestamp)))
                await asyncio.wait((wanted.enough,), timeout=ASK_SECONDS)
        finally:
            del self._wanted[message.timestamp]
        agreed = wanted.said.pop(wanted.enough.result())
        for others in wanted.said.values():
            self.wrong.update(others.keys())
        return made(self._cluster.config.cluster_id, request, result, list(agreed.values()))


@dataclass(slots=True)
class _Collection:
    """Of statements `about` a client, a request and its result, by the place in the order: a liar
    names another. `enough`: the place that f+1 name."""

    about: tuple[ClientId, bytes, bytes]
    enough: "asyncio.Future[SequenceNumber]"
    said: dict[SequenceNumber, dict[ReplicaId, bytes]] = field(default_factory=dict)
    replicas: set[ReplicaId] = field(default_factory=set)


def made(cluster_id: bytes, request: bytes, result: bytes, statements: list[bytes]) -> Receipt:
    """Of raw messages."""
    texts = tuple(_text(each) for each in sorted(statements))
    return Receipt(FORMAT, cluster_id.hex(), _text(request), _text(result), texts)


def render(receipt: Receipt) -> str:
    """The text of a receipt; `parse` gives it back."""
    return json.dumps(msgspec.to_builtins(receipt), indent=1) + "\n"


def parse(text: str) -> Receipt:
    """Raises `ReceiptError`."""
    if len(text) > MAX_BYTES:
        raise ReceiptError("this is too large for a receipt")
    try:
        receipt = msgspec.json.decode(text, type=Receipt)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ReceiptError(f"this is not a receipt: {error}") from None
    if receipt.format != FORMAT:
        raise ReceiptError(f"this has format {receipt.format}, and this version reads {FORMAT}")
    if render(receipt) != text:
        raise ReceiptError("this is not the text of a receipt as it was written")
    return receipt


def verify(receipt: Receipt, cluster: Cluster) -> Proven:
    """What a receipt proves. Raises `ReceiptError` where that is nothing."""
    if receipt.cluster != cluster.config.cluster_id.hex():
        raise ReceiptError("this receipt is of another cluster")
    judge = cluster.judge()
    raw, result = _bytes(receipt.request), _bytes(receipt.result)
    request = _signed(judge, raw, Request, "the request")
    if len(request.operations) != 1:
        raise ReceiptError("this receipt is about more than one operation")
    statements = [
        _signed(judge, _bytes(each), Statement, "a statement") for each in receipt.statements
    ]
    said = {(s.client, s.timestamp, s.request, s.sequence, s.results) for s in statements}
    replicas = tuple(sorted({each.replica for each in statements}))
    if len(replicas) < cluster.config.weak_quorum or len(replicas) != len(statements):
        needed = cluster.config.weak_quorum
        raise ReceiptError(f"{len(replicas)} replicas speak here, and {needed} have to")
    sequence = statements[0].sequence
    about = (
        request.client,
        request.timestamp,
        request_digest(raw),
        sequence,
        results_digest((result,)),
    )
    if said != {about}:
        raise ReceiptError("the statements are about another request or result, or differ")
    if result[:1] != OK:
        raise ReceiptError("the operation was refused")
    return Proven(request.client, request.operations[0], result[1:], sequence, replicas)


M = TypeVar("M", Request, Statement)


def _signed(judge: Authentication, raw: bytes, kind: type[M], what: str) -> M:
    try:
        message = decode_signed(raw)
    except DecodeError as error:
        raise ReceiptError(f"{what} does not decode: {error}") from None
    if not isinstance(message, kind):
        raise ReceiptError(f"{what} is another message")
    if not judge.authentic(message, raw):
        raise ReceiptError(f"{what} was not signed by whom it names")
    return message


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise ReceiptError("this receipt has a part that is not base64") from None
    if _text(data) != text:
        raise ReceiptError("this receipt has a part that is not canonical base64")
    return data
