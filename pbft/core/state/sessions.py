"""The client table: part of the replicated state, and of its digest (T30).

Per client a floor and the executed timestamps above it, each with its request's digest, its
results and the sequence number. Nothing that differs per replica -- no view, sender, signature or
local time -- is in it. Everything here changes only by executing, so it is equal everywhere.
A region of the tree holds it; what changed is written together, at a checkpoint at the latest.
"""

from dataclasses import dataclass, field

import msgspec

from pbft.core.errors import ServiceError
from pbft.core.ids import ClientId, Digest, RequestKey, SequenceNumber, Timestamp
from pbft.crypto.trie import Snapshot, Trie

SESSIONS = 1
"""The region of the tree that holds the table, and the first byte of its keys."""
PREFIX = bytes((SESSIONS,))
TIME, FLOOR, ANSWER = PREFIX + b"t", PREFIX + b"f", PREFIX + b"a"
"""The agreed time; a client's floor, by its name; an answer, by timestamp and client."""
TIMESTAMP_BYTES = 8


class Answer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What executing one request gave."""

    timestamp: Timestamp
    request: Digest
    sequence: SequenceNumber
    results: tuple[bytes, ...]

    @property
    def weight(self) -> int:
        """Bytes of its results."""
        return sum(map(len, self.results))


@dataclass(slots=True)
class Session:
    """Timestamps at or below `floor` never execute again; those in `answers` have executed.
    `weight`: bytes of all remembered results."""

    floor: Timestamp = 0
    answers: dict[Timestamp, Answer] = field(default_factory=dict)
    weight: int = 0


@dataclass(slots=True)
class Sessions:
    """`time` is the agreed time of the last sequence number that carried one (wall ns).
    `changed`: answers that the tree lacks, or still has; `raised`: clients whose floor it does
    not know. What comes and goes in between never reaches the tree."""

    time: int = 0
    table: dict[ClientId, Session] = field(default_factory=dict)
    changed: set[RequestKey] = field(default_factory=set)
    raised: set[ClientId] = field(default_factory=set)

    def eligible(self, key: RequestKey) -> bool:
        """Whether the request may still execute: above the floor, and not executed yet. The floor
        of a client that is not known yet is 0 like that of one that is: what waits under timestamp
        0 would not leave when its session begins (T55)."""
        return key[1] > self.floor(key[0]) and self.answer(key) is None

    def answer(self, key: RequestKey) -> Answer | None:
        """The cached answer of an executed request."""
        session = self.table.get(key[0])
        return None if session is None else session.answers.get(key[1])

    def floor(self, client: ClientId) -> Timestamp:
        """Timestamps up to here are closed for `client`."""
        session = self.table.get(client)
        return 0 if session is None else session.floor

    def close(self, client: ClientId, answer: Answer, window: int, max_bytes: int) -> bool:
        """Remember that a request executed; true where that raised the floor. At most `window`
        answers and, beyond the newest, `max_bytes` of results are remembered."""
        session = self.table.setdefault(client, Session())
        session.answers[answer.timestamp] = answer
        session.weight += answer.weight
        self.changed.add((client, answer.timestamp))
        before = session.floor
        while len(session.answers) > window or (
            session.weight > max_bytes and len(session.answers) > 1
        ):
            session.floor = min(session.answers)
            session.weight -= session.answers.pop(session.floor).weight
            self.changed ^= {(client, session.floor)}
        if session.floor > before:
            self.raised.add(client)
        return session.floor > before

    def flush(self, tree: Trie) -> None:
        """Write what changed since the last time into the tree."""
        changes: dict[bytes, bytes | None] = {TIME: self.time.to_bytes(8, "big")}
        for key in self.changed:
            answer = self.answer(key)
            changes[_answer_key(key)] = None if answer is None else _encoder.encode(answer)
        for client in self.raised:
            changes[FLOOR + client.encode()] = self.floor(client).to_bytes(8, "big")
        tree.update(changes)
        self.changed.clear()
        self.raised.clear()


def load(tree: Snapshot) -> Sessions:
    """The table in a tree. Raises `ServiceError` where the tree holds another thing there."""
    sessions = Sessions()
    try:
        for key, value in tree.region(SESSIONS):
            if key == TIME:
                sessions.time = int.from_bytes(value, "big")
            elif key.startswith(FLOOR):
                session = sessions.table.setdefault(key[len(FLOOR) :].decode(), Session())
                session.floor = int.from_bytes(value, "big")
            else:
                answer = _decoder.decode(value)
                client = key[len(ANSWER) + TIMESTAMP_BYTES :].decode()
                session = sessions.table.setdefault(client, Session())
                session.answers[answer.timestamp] = answer
                session.weight += answer.weight
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ServiceError(f"a client table that does not decode: {error}") from None
    return sessions


def _answer_key(key: RequestKey) -> bytes:
    return ANSWER + key[1].to_bytes(TIMESTAMP_BYTES, "big") + key[0].encode()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Answer)
