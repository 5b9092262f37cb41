"""Every decoder as a function of bytes: it gives a value that is encoded as it was read, or its own
typed error. Whatever else leaves a target is a finding.

Each is run by a fuzzer that is guided by coverage (`make fuzz`), by hypothesis and over the stored
corpus in every test run (`test_targets.py`).
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pbft import cluster_file, control, receipts
from pbft.core.config import Configuration
from pbft.core.errors import (
    ConfigurationError,
    DecodeError,
    InvalidArgumentsError,
    RecordError,
)
from pbft.core.ids import Packet
from pbft.core.ingress import DropError, Ingress
from pbft.core.messages import Request, Signable
from pbft.core.records import decode_record, encode_record
from pbft.core.wire import (
    decode,
    decode_batch,
    decode_signed,
    encode_body,
    encode_link,
    split_signed,
)
from pbft.crypto.errors import KeyFileError, TrieError
from pbft.crypto.keyfiles import load_identity
from pbft.crypto.trie import branch_digest, decode_node, leaf_digest, parse_leaf
from pbft.journal import read, writes
from pbft.outcome_keys import parse_key, render_key
from pbft.timestamps import TimestampMark
from pbft.transport.frames import Fragment, FrameError, Whole, frames, unpack
from pbft.transport.reassembly import Reassembly, ReassemblyLimits
from pbft.typed.values import Codec
from tests.core.lab import Lab
from tests.crypto.test_links import Net, connected

Target = Callable[[bytes], None]
ROOM = 1100


def _wire(data: bytes) -> None:
    """A message from a link: signed or not."""
    try:
        message = decode(data)
    except DecodeError:
        return
    whole = data[:65] + encode_body(message) if isinstance(message, Signable) else None
    assert data == (whole if whole is not None else encode_link(message))  # type: ignore[arg-type]


def _signed(data: bytes) -> None:
    """What certificates and records hold."""
    try:
        message = decode_signed(data)
    except DecodeError:
        return
    assert split_signed(data)[1] == encode_body(message)


def _batch(data: bytes) -> None:
    try:
        batch = decode_batch(data)
    except DecodeError:
        return
    assert encode_body(batch) == data


@cache
def _ingress() -> Ingress:
    lab = Lab(me=1)
    return Ingress(lab.config, lab.replica.authentication)


def _certificates(data: bytes) -> None:
    """All that is nested in a message, down to the last signature."""
    try:
        _ingress().verify(decode(data), data)
    except (DecodeError, DropError):
        return


@cache
def _lab() -> Lab:
    return Lab(me=1)


def _core(data: bytes) -> None:
    """A whole turn over it, from a replica and from a client."""
    lab = _lab()
    lab.replica.receive([Packet(3, data), Packet("alice", data)], lab.instant)


def _record(data: bytes) -> None:
    try:
        record = decode_record(data)
        list(writes(record))
    except RecordError:
        return
    assert decode_record(encode_record(record)) == record


def _journal(data: bytes) -> None:
    """Rows of a store: a byte for the length of each."""
    rows, at = [], 0
    while at < len(data):
        end = at + 1 + data[at]
        rows.append((data[at : at + 2], data[at + 1 : end]))
        at = end
    try:
        read(rows)
    except RecordError:
        return


def _frames(data: bytes) -> None:
    try:
        found = unpack(data)
    except FrameError:
        return
    for frame in found:
        if isinstance(frame, Whole):
            assert list(unpack(b"".join(frames(frame.kind, frame.data, 3 + len(data))))) == [frame]


def _reassembly(data: bytes) -> None:
    """Every fragment of a payload, twice; what is kept stays within its bound."""
    try:
        found = unpack(data)
    except FrameError:
        return
    limits = ReassemblyLimits(1 << 14, 16, 10**9, 1 << 16)
    kept = Reassembly(limits, Counter())
    for now, frame in enumerate((*found, *found)):
        if isinstance(frame, Fragment):
            kept.add(frame, now)
            assert kept.held_bytes <= limits.held_bytes
    kept.ask(10**9)


@cache
def _net() -> Net:
    return connected()


def _links(data: bytes) -> None:
    """A datagram to an end that has a session: handshakes, cookies, transport."""
    net = _net()
    net.ends["b"].receive(data, ("127.0.0.1", 9), net.now)


def _cluster_file(data: bytes) -> None:
    try:
        file = cluster_file.parse(data.decode("utf-8", "replace"))
        config = cluster_file.configuration(file)
    except ConfigurationError:
        return
    assert isinstance(config, Configuration)
    assert cluster_file.parse(cluster_file.render(file)) == file


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pbft-fuzz-")


def _file(data: bytes) -> Path:
    path = Path(_folder().name) / "file"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def _key_file(data: bytes) -> None:
    try:
        load_identity(_file(data))
    except KeyFileError:
        return


def _timestamp_file(data: bytes) -> None:
    try:
        mark = TimestampMark(_file(data), 1)
    except ConfigurationError:
        return
    assert mark.first >= 1


def _receipt(data: bytes) -> None:
    try:
        receipt = receipts.parse(data.decode("utf-8", "replace"))
    except receipts.ReceiptError:
        return
    assert receipts.parse(receipts.render(receipt)) == receipt


def _outcome_key(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        raw, place = parse_key(text)
        message = decode(raw)
    except (ConfigurationError, DecodeError):
        return
    assert not isinstance(message, Request) or parse_key(render_key(raw, place)) == (raw, place)


@cache
def _codecs() -> list[Codec]:
    kinds = (dict[str, list[int]], set[str], tuple[int, str, float | None], bytes, list[bool])
    return [Codec(kind) for kind in kinds]


def _typed(data: bytes) -> None:
    for codec in _codecs():
        try:
            value = codec.decode(data, "it")
            again = codec.encode(value, "it")
        except InvalidArgumentsError:
            continue
        assert codec.encode(codec.decode(again, "it"), "it") == again


def _leaf(data: bytes) -> None:
    try:
        leaf = parse_leaf(data, 0)
    except TrieError:
        return
    assert leaf.data == data


def _node(data: bytes) -> None:
    """Under the digest that it really has: only its form can be wrong."""
    for digest in (branch_digest(data[1:]), leaf_digest(data[1:])):
        try:
            decode_node(data, data[1:2], digest)
        except TrieError:
            continue


def _control(data: bytes) -> None:
    control.decode_query(data)
    control.decode_report(data)


TARGETS: dict[str, Target] = {
    "wire": _wire,
    "signed": _signed,
    "batch": _batch,
    "certificates": _certificates,
    "core": _core,
    "record": _record,
    "journal": _journal,
    "frames": _frames,
    "reassembly": _reassembly,
    "links": _links,
    "cluster-file": _cluster_file,
    "key-file": _key_file,
    "timestamp-file": _timestamp_file,
    "receipt": _receipt,
    "outcome-key": _outcome_key,
    "typed": _typed,
    "leaf": _leaf,
    "node": _node,
    "control": _control,
}
