"""A Merkle tree over byte strings, as in RFC 6962 §2.1, with the leaf count bound into the root.

Leaves and inner nodes are hashed under different tags, so neither passes for the other. A tree of
one level's odd node promotes it unchanged; the count makes the shape, and so every path, unique.
"""

from collections.abc import Sequence

from pbft.crypto.digests import digest

LEAF = b"merkle leaf"
NODE = b"merkle node"
ROOT = b"merkle root"
MAX_DEPTH = 64


class MerkleTree:
    """All levels of the tree, for many proofs. At least one leaf."""

    __slots__ = ("_levels", "count", "root")

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """Raises `ValueError` without leaves."""
        if not leaves:
            raise ValueError("a Merkle tree needs at least one leaf")
        level = [digest(LEAF, leaf) for leaf in leaves]
        self._levels = [level]
        while len(level) > 1:
            pairs = [digest(NODE, *level[i : i + 2]) for i in range(0, len(level) - 1, 2)]
            level = pairs + level[len(level) & ~1 :]
            self._levels.append(level)
        self.count = len(leaves)
        self.root = _root(self.count, level[0])

    def proof(self, index: int) -> list[bytes]:
        """The siblings from leaf `index` up to the top. Raises `IndexError`."""
        if not 0 <= index < self.count:
            raise IndexError(f"leaf {index} of {self.count}")
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index //= 2
        return path


def verify(root: bytes, leaf: bytes, index: int, count: int, proof: Sequence[bytes]) -> bool:
    """Whether `leaf` is number `index` of the `count` leaves under `root`."""
    if not 0 <= index < count or len(proof) > MAX_DEPTH:
        return False
    node, width, path = digest(LEAF, leaf), count, list(reversed(proof))
    position = index
    while width > 1:
        sibling = position ^ 1
        if sibling < width:
            if not path:
                return False
            other = path.pop()
            pair = (other, node) if position & 1 else (node, other)
            node = digest(NODE, *pair)
        position //= 2
        width = (width + 1) // 2
    return not path and root == _root(count, node)


def _root(count: int, top: bytes) -> bytes:
    return digest(ROOT, count.to_bytes(8, "big"), top)
