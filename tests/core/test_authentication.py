"""Who signed what: every part of the domain counts, and remembering changes no verdict."""

import pytest

from pbft.core import authentication
from pbft.core.authentication import Authentication, Ed25519Verifier
from pbft.core.messages import Commit, Prepare
from pbft.core.wire import seal_signed, split_signed
from pbft.crypto.signing import SigningKey

KEYS = {i: SigningKey(bytes([i + 1]) * 32) for i in range(2)}
VERIFIER = Ed25519Verifier({i: key.public for i, key in KEYS.items()})


def table(cluster: bytes = b"c" * 16, signer: int = 0) -> Authentication:
    return Authentication(cluster, KEYS[signer], VERIFIER)


def test_a_signature_binds_cluster_body_and_sender() -> None:
    signed = table().sign(Prepare(0, 1, bytes(32), 0))
    assert table().authentic(signed.message, signed.raw)
    assert not table(cluster=b"d" * 16).authentic(signed.message, signed.raw)
    stolen = table(signer=1).sign(Prepare(0, 1, bytes(32), 0))
    assert not table().authentic(stolen.message, stolen.raw)
    unknown = table().sign(Prepare(0, 1, bytes(32), 9))
    assert not Authentication(b"c" * 16, KEYS[1], VERIFIER).authentic(unknown.message, unknown.raw)


@pytest.mark.scenario("AU2")
def test_a_signature_does_not_move_to_another_type() -> None:
    signature, _ = split_signed(table().sign(Prepare(0, 1, bytes(32), 0)).raw)
    commit = table().sign(Commit(0, 1, bytes(32), 0))
    moved = seal_signed(split_signed(commit.raw)[1], signature)
    assert not table().authentic(commit.message, moved)


def test_the_memo_is_bounded_and_holds_only_what_verified() -> None:
    one = table()
    good = one.sign(Prepare(0, 1, bytes(32), 0))
    bad = good.raw[:-1] + b"\x01"
    assert not one.authentic(Prepare(0, 1, bytes(32), 1), bad)
    assert not one.authentic(Prepare(0, 1, bytes(32), 1), bad)
    for sequence in range(authentication.MEMO_ENTRIES + 10):
        one._remember(b"%d" % sequence)
    assert len(one._recent) + len(one._older) <= authentication.MEMO_ENTRIES
    assert one.authentic(good.message, good.raw)
