"""Making the map behind a known root digest out of an older map and the nodes that differ.

Top down: every node is checked against the digest that its parent, and at last the root, promises
before it is kept. What the older map already has at the same place is taken over and not asked
for. Nodes may come in any order from anybody; a forged one changes nothing.
"""

from pbft.crypto.errors import TrieError
from pbft.crypto.trie import (
    EMPTY,
    WIDTH,
    Branch,
    Leaf,
    Node,
    Path,
    Snapshot,
    decode_node,
    fits,
    node_digest,
)


class Assembly:
    """`wanted`: path -> digest of the nodes still to be added, oldest first; empty at the end."""

    def __init__(self, older: Snapshot, root: bytes) -> None:
        self.wanted: dict[Path, bytes] = {}
        self._older = older
        self._made: dict[Path, Branch] = {}
        self._root = self._take(b"", root)

    def add(self, path: Path, data: bytes) -> Leaf | None:
        """Put a wanted node, as `encode_node` gives it, in its place; if it is a leaf, return it.
        Raises `TrieError` where it is not wanted, or not what is promised there."""
        expected = self.wanted.get(path)
        if expected is None:
            raise TrieError("a node that nobody asked for")
        node = decode_node(data, path, expected)
        del self.wanted[path]
        if isinstance(node, Leaf):
            self._hang(path, node)
            return node
        branch = self._made[path] = Branch([None] * WIDTH, None, 0, 0, expected)
        self._hang(path, branch)
        for nibble, child in enumerate(node):
            at = path + bytes((nibble,))
            branch.children[nibble] = self._take(at, child)
        return None

    def finish(self) -> Snapshot:
        """The whole map. Raises `TrieError` while nodes are wanted, or where the shape is not
        canonical: whoever certified such a root did not make it from a map."""
        if self.wanted:
            raise TrieError(f"{len(self.wanted)} nodes are still wanted")
        for path in sorted(self._made, key=len, reverse=True):
            branch = self._made[path]
            children = [child for child in branch.children if child is not None]
            branch.count = sum(child.count for child in children)
            branch.weight = sum(child.weight for child in children)
            if not children or fits(branch.count, branch.weight, len(path)):
                raise TrieError("a branch that ought to be a leaf")
        return Snapshot(self._root)

    def _take(self, path: Path, expected: bytes) -> Node | None:
        if expected == EMPTY:
            return None
        node = self._older.node(path)
        if node is not None and node_digest(node) == expected:
            return node
        self.wanted[path] = expected
        return None

    def _hang(self, path: Path, node: Node) -> None:
        if path:
            self._made[path[:-1]].children[path[-1]] = node
        else:
            self._root = node
