"""Digests are injective in tag and parts; Merkle proofs place one leaf and no other."""

import itertools

import pytest

from pbft.crypto.digests import DIGEST_BYTES, digest
from pbft.crypto.merkle import MerkleTree, verify


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


@pytest.mark.parametrize("count", [*range(1, 18), 31, 33])
def test_every_leaf_has_a_proof_and_only_in_its_place(count: int) -> None:
    leaves = [b"leaf %d" % i for i in range(count)]
    tree = MerkleTree(leaves)
    for index, leaf in enumerate(leaves):
        proof = tree.proof(index)
        assert verify(tree.root, leaf, index, count, proof)
        assert not verify(tree.root, leaf + b".", index, count, proof)
        assert not verify(tree.root, leaf, index, count + 1, proof)
        assert not verify(tree.root, leaf, index, count, [*proof, bytes(32)])
        if proof:
            assert not verify(tree.root, leaf, index, count, proof[:-1])
            assert not verify(tree.root, leaf, index ^ 1, count, proof)


def test_trees_of_different_leaves_have_different_roots() -> None:
    shapes = [[b"a"], [b"a", b"a"], [b"a", b"b"], [b"b", b"a"], [b"a", b"b", b"b"], [b""]]
    roots = [MerkleTree(leaves).root for leaves in shapes]
    assert all(a != b for a, b in itertools.combinations(roots, 2))


def test_hostile_arguments_are_false_or_typed_errors() -> None:
    tree = MerkleTree([b"a", b"b"])
    assert not verify(tree.root, b"a", -1, 2, tree.proof(0))
    assert not verify(tree.root, b"a", 0, 0, [])
    assert not verify(tree.root, b"a", 0, 2**63, [bytes(32)] * 63)
    assert not verify(tree.root, b"a", 0, 2, [bytes(32)] * 65)
    with pytest.raises(IndexError):
        tree.proof(2)
    with pytest.raises(ValueError, match="at least one leaf"):
        MerkleTree([])
