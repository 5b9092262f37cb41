"""Tags fail where signatures fail."""

from pbft.core.ids import Principal
from pbft.testing.tags import TagSigner, TagVerifier

SECRETS: dict[Principal, bytes] = {0: b"0" * 32, "alice": b"a" * 32}


def test_a_tag_is_valid_for_its_principal_and_message_alone() -> None:
    verifier = TagVerifier(SECRETS)
    tag = TagSigner(SECRETS[0]).sign(b"message")
    assert len(tag) == 64
    assert verifier.verify(0, b"message", tag)
    assert not verifier.verify("alice", b"message", tag)
    assert not verifier.verify(0, b"massage", tag)
    assert not verifier.verify(0, b"message", tag[:-1] + bytes([tag[-1] ^ 1]))


def test_a_stranger_and_an_empty_tag_are_not_believed() -> None:
    verifier = TagVerifier(SECRETS)
    assert not verifier.verify("mallory", b"message", TagSigner(b"m" * 32).sign(b"message"))
    assert not verifier.verify(0, b"message", b"")


def test_tags_are_deterministic() -> None:
    assert TagSigner(b"s" * 32).sign(b"m") == TagSigner(b"s" * 32).sign(b"m")
