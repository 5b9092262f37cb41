"""Digests are injective in tag and parts."""

from pbft.crypto.digests import DIGEST_BYTES, digest


def test_no_two_framings_collide() -> None:
    inputs = [
        (b"t", b"ab", b"c"),
        (b"t", b"a", b"bc"),
        (b"t", b"abc"),
        (b"t",),
        (b"t", b""),
        (b"t", b"", b""),
        (b"u", b"abc"),
        (b"ta", b"bc"),
    ]
    assert len({digest(*each) for each in inputs}) == len(inputs)
    assert all(len(digest(*each)) == DIGEST_BYTES for each in inputs)


def test_the_digest_never_changes() -> None:
    assert digest(b"pbft batch", b"abc").hex() == GOLDEN


GOLDEN = "2699f1295151fc97068a80aedc8bfd0aea32fca5ab7ada850c048c35503063e6"
