"""The client table: part of the replicated state, and of its digest (T30).

Per client a floor and the executed timestamps above it, each with its request's digest, its
results and the sequence number. Nothing that differs per replica -- no view, sender, signature or
local time -- is in it. Everything here changes only by executing, so it is equal everywhere.
"""

from dataclasses import dataclass, field

import msgspec

from pbft.core.errors import ServiceError
from pbft.core.ids import ClientId, Digest, RequestKey, SequenceNumber, Timestamp


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


class SessionImage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A session inside a snapshot; answers ascend in timestamp."""

    client: ClientId
    floor: Timestamp
    answers: tuple[Answer, ...]


@dataclass(slots=True)
class Session:
    """Timestamps at or below `floor` never execute again; those in `answers` have executed.
    `weight`: bytes of all remembered results."""

    floor: Timestamp = 0
    answers: dict[Timestamp, Answer] = field(default_factory=dict)
    weight: int = 0


@dataclass(slots=True)
class Sessions:
    """`time` is the agreed time of the last sequence number that carried one (wall ns)."""

    time: int = 0
    table: dict[ClientId, Session] = field(default_factory=dict)

    def eligible(self, key: RequestKey) -> bool:
        """Whether the request may still execute: above the floor, and not executed yet."""
        session = self.table.get(key[0])
        return session is None or (key[1] > session.floor and key[1] not in session.answers)

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
        before = session.floor
        while len(session.answers) > window or (
            session.weight > max_bytes and len(session.answers) > 1
        ):
            session.floor = min(session.answers)
            session.weight -= session.answers.pop(session.floor).weight
        return session.floor > before

    def image(self) -> tuple[SessionImage, ...]:
        """The table in canonical order."""
        return tuple(
            SessionImage(
                client,
                session.floor,
                tuple(session.answers[t] for t in sorted(session.answers)),
            )
            for client, session in sorted(self.table.items())
        )


class Image(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The whole replicated state as it is digested, transferred and stored."""

    time: int
    sessions: tuple[SessionImage, ...]
    service: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Image)


def encode_image(sessions: Sessions, service: bytes) -> bytes:
    """Canonical bytes of client table and service state."""
    return _encoder.encode(Image(sessions.time, sessions.image(), service))


def decode_image(data: bytes) -> tuple[Sessions, bytes]:
    """(client table, service snapshot). Raises `ServiceError` on bytes that are neither."""
    try:
        image = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ServiceError(f"a snapshot that does not decode: {error}") from None
    sessions = Sessions(time=image.time)
    for each in image.sessions:
        answers = {answer.timestamp: answer for answer in each.answers}
        weight = sum(answer.weight for answer in each.answers)
        sessions.table[each.client] = Session(each.floor, answers, weight)
    return sessions, image.service
