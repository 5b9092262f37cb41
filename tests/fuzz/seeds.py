"""What the fuzzers begin with: for each target some valid inputs, made from fixed samples."""

from collections.abc import Iterable

import msgspec

from pbft import control, receipts
from pbft.core.messages import Batch, Signable
from pbft.core.records import encode_record
from pbft.core.wire import encode_body, encode_link, seal_signed
from pbft.outcome_keys import render_key
from pbft.transport.frames import MESSAGE, frames, missing_frames
from tests.core.lab import Lab
from tests.core.samples import EVERY, SIGNABLE
from tests.crypto.test_links import connected

FILE = """format = 1
cluster_id = "00112233445566778899aabbccddeeff"

[protocol]
window = 256
request_timeout_ms = 1000
fast_reads = true

[[replica]]
id = 0
host = "127.0.0.1"
port = 5000
client_port = 6000
signing = "SIGNING"
link = "LINK"
"""
VALUES = ({"a": [1]}, [1, "a", 0.5], b"x", [True])
PEM = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
"""


def _messages() -> list[bytes]:
    """One of everything, and some whose signatures hold in the lab."""
    plain = [
        seal_signed(encode_body(each), bytes(64))
        if isinstance(each, Signable)
        else encode_link(each)
        for each in EVERY
    ]
    lab = Lab(me=1)
    batch = lab.batch(lab.request(1))
    certificate = lab.certificate(0, 1, batch, (1, 3))
    changes = [lab.view_change(0, 1), lab.view_change(2, 1), lab.view_change(3, 1, [certificate])]
    return [
        *plain,
        lab.request(2).raw,
        lab.commit(3, 0, 1, bytes(32)).raw,
        changes[2].raw,
        lab.new_view(1, changes, {1: bytes(32)}).raw,
        encode_link(lab.decision(0, 1, batch, (0, 2, 3))),
        encode_link(lab.proposal(0, 1, batch)),
    ]


def _records() -> list[bytes]:
    lab = Lab(me=1)
    lab.settle_until(8)
    root = lab.replica.status().checkpoints[8]
    lab.feed(*(lab.checkpoint(each, 8, root) for each in (0, 2)))
    lab.feed(*(lab.view_change(each, 1) for each in (2, 3)))
    kinds = {type(record): encode_record(record) for record in lab.records}
    return list(kinds.values())


def _rows(values: Iterable[bytes]) -> bytes:
    return b"".join(bytes([len(value)]) + value for value in values if len(value) < 256)


def seeds() -> dict[str, list[bytes]]:
    """By target."""
    messages, records = _messages(), _records()
    signed = [seal_signed(encode_body(each), bytes(64)) for each in SIGNABLE]
    lab = Lab(me=1)
    lab.settle_until(4)
    batch = lab.batch(lab.request(1), lab.request(2))
    leaves = [leaf.data for _, leaf in lab.replica._state.machine.tree.leaves()]
    payload = b"".join(frames(MESSAGE, bytes(3000), 1100))
    datagrams = [data for _, _, data in connected().history]
    receipt = receipts.made(bytes(16), b"request", b"\x00done", [b"one", b"two"])
    query = control.encode(control.StatusQuery(7))
    return {
        "wire": messages,
        "signed": signed,
        "batch": [batch, encode_body(Batch(0, ()))],
        "certificates": messages,
        "core": messages,
        "record": records,
        "journal": [_rows(records)],
        "frames": [payload, missing_frames(bytes(8), (1, 5, 300))[0]],
        "reassembly": [payload],
        "links": datagrams,
        "cluster-file": [FILE.replace("SIGNING", "ab" * 32).replace("LINK", "cd" * 32).encode()],
        "key-file": [PEM * 2],
        "timestamp-file": [b"1700000000000000\n"],
        "receipt": [receipts.render(receipt).encode()],
        "outcome-key": [render_key(signed[0], 0).encode()],
        "typed": [
            msgspec.msgpack.encode(each) for each in ({"a": [1]}, [1, "a", 0.5], b"x", [True])
        ],
        "leaf": leaves,
        "node": [b"L" + leaf for leaf in leaves] + [b"B" + bytes(512)],
        "control": [query],
    }
