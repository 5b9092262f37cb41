"""Noise KK: its parts against published vectors, the whole against another implementation."""

import hashlib

import pytest
from noise.connection import Keypair, NoiseConnection

from pbft.crypto.errors import HandshakeError
from pbft.crypto.noise import KK, LinkPrivateKey, hkdf, nonce

A = LinkPrivateKey(hashlib.sha256(b"a").digest())
B = LinkPrivateKey(hashlib.sha256(b"b").digest())
EA = LinkPrivateKey(hashlib.sha256(b"ea").digest())
EB = LinkPrivateKey(hashlib.sha256(b"eb").digest())


def test_rfc_7748() -> None:
    scalar = "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"
    point = "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"
    shared = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    assert LinkPrivateKey(bytes.fromhex(scalar)).agree(bytes.fromhex(point)).hex() == shared
    bob = LinkPrivateKey(
        bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    )
    assert bob.public.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    alice = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    agreed = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert bob.agree(bytes.fromhex(alice)).hex() == agreed


def test_rfc_5869_case_3() -> None:
    first, second = hkdf(bytes(32), b"\x0b" * 22)
    expected = (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )
    assert (first + second)[:42].hex() == expected


def test_small_order_points_are_refused() -> None:
    for point in (bytes(32), (1).to_bytes(32, "little")):
        with pytest.raises(HandshakeError):
            A.agree(point)


def pair(prologue: bytes = b"p") -> tuple[KK, KK]:
    return (
        KK(initiator=True, static=A, remote=B.public, prologue=prologue, ephemeral=EA),
        KK(initiator=False, static=B, remote=A.public, prologue=b"p", ephemeral=EB),
    )


def test_both_sides_agree() -> None:
    one, two = pair()
    assert two.read_first(one.write_first(b"hello")) == b"hello"
    assert one.read_second(two.write_second(b"there")) == b"there"
    (send, receive), (other_send, other_receive) = one.split(), two.split()
    assert (send, receive) == (other_receive, other_send)
    assert send != receive


def reference(initiator: bool) -> NoiseConnection:
    """The package `noiseprotocol`, with our fixed keys."""
    noise = NoiseConnection.from_name(b"Noise_KK_25519_AESGCM_SHA256")
    own, ephemeral, remote = (A, EA, B) if initiator else (B, EB, A)
    if initiator:
        noise.set_as_initiator()
    else:
        noise.set_as_responder()
    noise.set_prologue(b"p")
    noise.set_keypair_from_private_bytes(Keypair.STATIC, own.private)
    noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral.private)
    noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, remote.public)
    noise.start_handshake()
    return noise


@pytest.mark.filterwarnings("ignore:One of ephemeral keypairs")
def test_as_initiator_against_an_independent_implementation() -> None:
    ours, theirs = pair()[0], reference(initiator=False)
    assert theirs.read_message(ours.write_first(b"one")) == b"one"
    assert ours.read_second(bytes(theirs.write_message(b"two"))) == b"two"
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    send, receive = ours.split()
    assert theirs.decrypt(AESGCM(send).encrypt(nonce(0), b"data", b"")) == b"data"
    assert AESGCM(receive).decrypt(nonce(0), bytes(theirs.encrypt(b"back")), b"") == b"back"


@pytest.mark.filterwarnings("ignore:One of ephemeral keypairs")
def test_as_responder_the_bytes_are_the_same() -> None:
    ours, theirs = pair()[1], reference(initiator=True)
    first = bytes(theirs.write_message(b"one"))
    assert first == pair()[0].write_first(b"one")
    assert ours.read_first(first) == b"one"
    assert theirs.read_message(ours.write_second(b"two")) == b"two"


def test_other_keys_prologues_and_bits_do_not_authenticate() -> None:
    first = pair()[0].write_first(b"hello")
    other = KK(initiator=False, static=B, remote=EB.public, prologue=b"p", ephemeral=EB)
    with pytest.raises(HandshakeError):
        other.read_first(first)
    with pytest.raises(HandshakeError):
        pair()[1].read_first(pair(b"another prologue")[0].write_first(b"hello"))
    for cut in range(len(first)):
        with pytest.raises(HandshakeError):
            pair()[1].read_first(first[:cut])
    for byte in range(len(first)):
        mutant = bytearray(first)
        mutant[byte] ^= 1
        with pytest.raises(HandshakeError):
            pair()[1].read_first(bytes(mutant))
