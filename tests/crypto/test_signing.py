"""Ed25519 against RFC 8032, and the edge cases where libraries disagree, pinned (T42, AU4, AU5)."""

import pytest

from pbft.crypto.signing import SigningKey, is_valid_public, verify

L = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19

RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
        "f9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
        "f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76098"
        "4dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    key = SigningKey(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert verify(key.public, bytes.fromhex(message), bytes.fromhex(signature))


KEY = SigningKey(bytes(range(32)))
MESSAGE = b"the same verdict everywhere"
GOOD = KEY.sign(MESSAGE)
IDENTITY = (1).to_bytes(32, "little")
SMALL_ORDER = [
    IDENTITY,
    bytes(32),
    (P - 1).to_bytes(32, "little"),
    (P).to_bytes(32, "little"),
    (P + 1).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


def test_every_changed_bit_is_noticed() -> None:
    for bit in range(512):
        mutant = bytearray(GOOD)
        mutant[bit // 8] ^= 1 << bit % 8
        assert not verify(KEY.public, MESSAGE, bytes(mutant))
    assert not verify(KEY.public, MESSAGE + b".", GOOD)
    assert not verify(SigningKey(bytes(32)).public, MESSAGE, GOOD)


@pytest.mark.scenario("AU5")
def test_s_plus_l_is_refused() -> None:
    s = int.from_bytes(GOOD[32:], "little")
    malleable = GOOD[:32] + (s + L).to_bytes(32, "little")
    assert not verify(KEY.public, MESSAGE, malleable)


@pytest.mark.scenario("T42", "AU4", kills="AU4 signatures are verified by another library")
def test_r_equal_to_the_identity_is_refused() -> None:
    import hashlib

    h = hashlib.sha512(bytes(range(32))).digest()
    a = int.from_bytes(h[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    k = int.from_bytes(hashlib.sha512(IDENTITY + KEY.public + MESSAGE).digest(), "little") % L
    signature = IDENTITY + (k * a % L).to_bytes(32, "little")
    assert not verify(KEY.public, MESSAGE, signature)


@pytest.mark.scenario("T42", "AU5", kills="T42 small-order keys are valid")
@pytest.mark.parametrize("point", SMALL_ORDER, ids=lambda p: p.hex()[:8])
def test_small_order_and_non_canonical_points_are_refused(point: bytes) -> None:
    assert not is_valid_public(point)
    for s in (bytes(32), IDENTITY, GOOD[32:]):
        assert not verify(point, MESSAGE, point + s)
        assert not verify(KEY.public, MESSAGE, point + s)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 63, 65, 128])
def test_wrong_lengths_are_false_and_never_raise(size: int) -> None:
    assert not verify(KEY.public, MESSAGE, bytes(size))
    if size != 32:
        assert not verify(bytes(size), MESSAGE, GOOD)
        assert not is_valid_public(bytes(size))
        with pytest.raises(ValueError, match="32 bytes"):
            SigningKey(bytes(size))


def test_real_keys_are_valid_and_signatures_deterministic() -> None:
    for _ in range(20):
        key = SigningKey.generate()
        assert is_valid_public(key.public)
        assert key.sign(MESSAGE) == SigningKey(key.seed).sign(MESSAGE)
