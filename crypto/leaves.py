"""A map out of its leaves, as a disk keeps them, and out of the leaves in which it differs."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from pbft.crypto.errors import TrieError
from pbft.crypto.trie import (
    DEPTH,
    WIDTH,
    Branch,
    Leaf,
    Node,
    Path,
    Snapshot,
    Trie,
    fits,
    node_digest,
    parse_leaf,
    path_of,
)


def from_leaves(leaves: Iterable[tuple[Path, bytes]]) -> Snapshot:
    """The map that has exactly these leaves at these paths, in any order. Whoever knows the root's
    digest compares it. Raises `TrieError` where they form no map in canonical shape."""
    root: Node | None = None
    for path, data in leaves:
        leaf = parse_leaf(data, len(path))
        if not path and root is None:
            root = leaf
            continue
        root = root if root is not None else Branch([None] * WIDTH, None, 0, 0)
        _hang(root, path, leaf)
    _check_shape(root, 0)
    return Snapshot(root)


def _hang(root: Node, path: Path, leaf: Leaf) -> None:
    node: Node = root
    for depth, nibble in enumerate(path, 1):
        if not isinstance(node, Branch) or nibble >= WIDTH or depth > DEPTH:
            break
        node.count += leaf.count
        node.weight += leaf.weight
        child = node.children[nibble]
        if depth == len(path) and child is None:
            node.children[nibble] = leaf
            return
        child = child if child is not None else Branch([None] * WIDTH, None, 0, 0)
        node.children[nibble] = child
        node = child
    raise TrieError("a leaf whose place is taken, or no place")


def _check_shape(node: Node | None, depth: int) -> None:
    if isinstance(node, Branch):
        if fits(node.count, node.weight, depth):
            raise TrieError("a branch that ought to be a leaf")
        for child in node.children:
            _check_shape(child, depth + 1)


def exchange(trie: Trie, removed: Iterable[Path], placed: Iterable[tuple[Path, bytes]]) -> None:
    """Make the map whose leaves are those of `trie`, without the ones at `removed`, with the ones
    `placed`. Raises `TrieError` where one is no leaf; whether the whole is right, its digest says.
    """
    gone: set[bytes] = set()
    for path in removed:
        node = trie.node(path)
        if not isinstance(node, Leaf):
            raise TrieError("a leaf to be removed that is not there")
        gone.update(node.entries)
    entries: dict[bytes, bytes] = {}
    for path, data in placed:
        entries.update(parse_leaf(data, len(path)).entries)
    trie.update({**dict.fromkeys(gone), **entries})


def known_leaves(leaves: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, Leaf]]:
    """Of (digest, data), those that are leaves and what their digest says, by it."""
    for expected, data in leaves:
        with suppress(TrieError):
            leaf = parse_leaf(data, DEPTH)
            if node_digest(leaf) == expected:
                yield expected, leaf


def holds(snapshot: Snapshot, leaf: Leaf) -> bool:
    """Whether `leaf` is one of the map's own leaves."""
    path = iter(path_of(next(iter(leaf.entries))))
    node = snapshot.node(b"")
    while isinstance(node, Branch):
        node = node.children[next(path)]
    return node is not None and node_digest(node) == node_digest(leaf)
