"""Canonical, bounded bytes for every message: one encoding per value, one value per encoding.

A signed message travels as `0x01 | signature (64) | body`, a link message as `0x02 | body`; a
body is a msgpack array whose first element is the message's type. Canonical form is enforced by
re-encoding what was decoded, since msgpack itself admits several encodings of one value.
"""

from typing import TypeVar

import msgspec

from pbft.core.errors import DecodeError
from pbft.core.ids import Digest
from pbft.core.messages import AnyMessage, Batch, LinkMessage, Message, Signable, Ticket
from pbft.crypto.digests import digest

SIGNATURE_BYTES = 64
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
SIGNED = b"\x01"
LINK = b"\x02"
REFERENCE = b"\x03"
"""Begins an entry of a batch that names a request by its digest."""

_encoder = msgspec.msgpack.Encoder()
_signable: "msgspec.msgpack.Decoder[Signable]" = msgspec.msgpack.Decoder(Signable)
_link: "msgspec.msgpack.Decoder[LinkMessage]" = msgspec.msgpack.Decoder(LinkMessage)
_batch = msgspec.msgpack.Decoder(Batch)
_MSGSPEC_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError)

T = TypeVar("T")


def _decode(decoder: "msgspec.msgpack.Decoder[T]", data: bytes) -> T:
    if len(data) > MAX_MESSAGE_BYTES:
        raise DecodeError(f"a message of {len(data)} bytes is above {MAX_MESSAGE_BYTES}")
    try:
        value = decoder.decode(data)
        canonical = _encoder.encode(value)
    except _MSGSPEC_ERRORS as error:
        raise DecodeError(f"not a message: {error}") from None
    if canonical != data:
        raise DecodeError("not the canonical encoding of its value")
    return value


def encode_body(message: Message | Batch) -> bytes:
    """The canonical body of `message`, without marker or signature."""
    return _encoder.encode(message)


def encode_link(message: LinkMessage) -> bytes:
    """The whole message as it goes onto a link."""
    return LINK + _encoder.encode(message)


def seal_signed(body: bytes, signature: bytes) -> bytes:
    """The whole signed message, as it is sent, stored and put into certificates."""
    return SIGNED + signature + body


def split_signed(raw: bytes) -> tuple[bytes, bytes]:
    """(signature, body) of a signed message. Raises `DecodeError`."""
    if raw[:1] != SIGNED or len(raw) <= 1 + SIGNATURE_BYTES:
        raise DecodeError("not a signed message")
    return raw[1 : 1 + SIGNATURE_BYTES], raw[1 + SIGNATURE_BYTES :]


def decode_signed(raw: bytes) -> Signable:
    """The claim inside a signed message; its signature is *not* checked here."""
    return _decode(_signable, split_signed(raw)[1])


def decode_ticket(raw: bytes) -> Ticket | None:
    """The claim of a ticket that a message carries, none where it carries none. Raises
    `DecodeError`."""
    message = decode_signed(raw) if raw else None
    if message is not None and not isinstance(message, Ticket):
        raise DecodeError("not a ticket")
    return message


def decode(data: bytes) -> AnyMessage:
    """Any message from a link. Raises `DecodeError`, and nothing else, on any input."""
    if data[:1] == SIGNED:
        return decode_signed(data)
    if data[:1] == LINK:
        return _decode(_link, data[1:])
    raise DecodeError("neither a signed nor a link message")


def decode_batch(raw: bytes) -> Batch:
    """The batch behind a digest. Raises `DecodeError`."""
    return _decode(_batch, raw)


def batch_digest(raw: bytes) -> Digest:
    """d in a pre-prepare: over the whole batch (order, requests, agreed time; T8)."""
    return digest(b"pbft batch", raw)


def request_digest(raw: bytes) -> Digest:
    """What replies name a request by: over the body, so that re-signing changes nothing."""
    return digest(b"pbft request", raw[1 + SIGNATURE_BYTES :])


def reference_to(request: Digest) -> bytes:
    """The entry of a batch that stands for a large request."""
    return REFERENCE + request


def referred(entry: bytes) -> Digest | None:
    """The digest of the request that a batch's entry stands for; none where it is the request."""
    return entry[1:] if entry[:1] == REFERENCE and len(entry) == 33 else None


def results_digest(results: tuple[bytes, ...]) -> Digest:
    """What stands for the results of one request in the replies of all replicas but one."""
    return digest(b"pbft results", *results)


def digest_of(results: tuple[bytes, ...] | Digest) -> Digest:
    """Of results as a reply carries them: computed, where they came whole."""
    return results_digest(results) if isinstance(results, tuple) else results


NULL_BATCH = encode_body(Batch(time=0, requests=()))
NULL_DIGEST = batch_digest(NULL_BATCH)
