"""Growing a map whose root digest is known out of nodes that come from anywhere.

The walk goes down from the root. A subtree that the map at hand has there, under the same digest,
is taken over as a whole; a node that is already known, from whatever source and for whatever
earlier root, is used again; the rest is wanted. A node is checked against the digest that its
parent promises before it is kept, so a liar can cost a refusal and nothing else.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from pbft.crypto.errors import TrieError
from pbft.crypto.trie import (
    EMPTY,
    WIDTH,
    Branch,
    Leaf,
    Node,
    Path,
    Snapshot,
    node_digest,
)

Known: TypeAlias = Leaf | list[bytes]
"""A leaf, or the digests of a branch's children."""


class Graft:
    """`wanted`: the digest of each node that is neither at hand nor known, by its path."""

    def __init__(self, root: bytes, at_hand: Snapshot, known: Mapping[bytes, Known]) -> None:
        """`known`: nodes by their digest, verified earlier. It is read, and may grow meanwhile."""
        self.wanted: dict[Path, bytes] = {}
        self._root = root
        self._at_hand = at_hand
        self._known = known
        self._parts: dict[Path, Node | list[bytes]] = {}
        list(self._walk(b"", root, at_hand.node(b"")))

    def take(self, path: Path, node: Known) -> list[Path]:
        """Put a wanted node, which `decode_node` verified, in its place; what it makes wanted.
        Raises `TrieError` where nothing is wanted at `path`."""
        if self.wanted.pop(path, None) is None:
            raise TrieError("a node that is not wanted")
        return list(self._keep(path, node, self._at_hand.node(path)))

    def snapshot(self) -> Snapshot:
        """The whole map. Raises `TrieError` while nodes are wanted."""
        if self.wanted:
            raise TrieError(f"{len(self.wanted)} nodes are still wanted")
        return Snapshot(self._grow(b""))

    def _walk(self, path: Path, expected: bytes, old: Node | None) -> Iterator[Path]:
        """Find what is at hand or known from `path` down; yields what is not."""
        if expected == EMPTY:
            return
        if old is not None and node_digest(old) == expected:
            self._parts[path] = old
        elif expected in self._known:
            yield from self._keep(path, self._known[expected], old)
        else:
            self.wanted[path] = expected
            yield path

    def _keep(self, path: Path, node: Known, old: Node | None) -> Iterator[Path]:
        self._parts[path] = node
        if isinstance(node, Leaf):
            return
        below = old.children if isinstance(old, Branch) else [None] * WIDTH
        for nibble, (child, counterpart) in enumerate(zip(node, below, strict=True)):
            yield from self._walk(path + bytes((nibble,)), child, counterpart)

    def _grow(self, path: Path) -> Node | None:
        part = self._parts.get(path)
        if not isinstance(part, list):
            return part
        children = [self._grow(path + bytes((nibble,))) for nibble in range(WIDTH)]
        present = [child for child in children if child is not None]
        count = sum(child.count for child in present)
        return Branch(children, None, count, sum(child.weight for child in present))


def sound(snapshot: Snapshot) -> Snapshot:
    """`snapshot`, with the digests of what it really holds: after damage in memory nothing is
    taken for what it once was. Costs what exists."""
    snapshot.scrub(None, len(snapshot) + 1)
    return snapshot
