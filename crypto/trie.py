"""An authenticated persistent map from bytes to bytes: a trie of 16-way branches over the hash of
the key, whose shape, and so whose root digest, depends on its entries alone.

The path of an entry is its *region*, the low nibble of its key's first byte, and then nibbles of a
hash of the key: so what is kept under different first bytes changes in different subtrees. What
lies under one path is a leaf where it has few entries of few bytes (`fits`), and a branch
otherwise; so deleting collapses branches. A leaf *is* its canonical bytes, the only copy of its
entries: what is read is what is digested, stored and sent. Digests are computed when asked for, and
only where something changed.

`Trie.freeze` is O(1): the snapshot keeps the nodes, and the map goes on with copies of the
branches that it touches, one path per write. Nodes are outside Python's garbage collector.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b, sha256
from typing import NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from pbft.crypto.digests import DIGEST_BYTES, domain
from pbft.crypto.errors import TrieError

Path: TypeAlias = bytes
"""One byte per nibble, each below 16; the root's is empty."""

WIDTH = 16
DEPTH = 41
"""Nibbles of a whole path: the region, and BLAKE2b-160 of the key."""
LEAF_MAX = 32
LEAF_BYTES = 32 * 1024
"""Entries of a leaf, and bytes of their keys and values; one alone may be larger."""
EMPTY = bytes(DIGEST_BYTES)
"""In place of the digest of what has no entry: an absent child, or the whole map."""
LEAF = domain(b"trie leaf")
BRANCH = domain(b"trie branch")
_ALL = range(WIDTH)
_STEPS = [bytes((nibble,)) for nibble in _ALL]
_NIBBLES = bytes.maketrans(b"0123456789abcdef", bytes(_ALL))

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode


class Leaf(Struct, gc=False):
    """`data`: its entries, ascending by key. `weight`: bytes of keys and values."""

    data: bytes
    count: int
    weight: int
    digest: bytes | None = None

    @property
    def entries(self) -> dict[bytes, bytes]:
        return _decode(self.data)


class Branch(Struct, gc=False):
    """`owner` is the one live map, between two freezes, that may write it; all others copy it."""

    children: "list[Node | None]"
    owner: object
    count: int
    weight: int
    digest: bytes | None = None


Node: TypeAlias = Leaf | Branch


Change: TypeAlias = tuple[Path, bytes, bytes | None]
"""The path of a key, the key, and its value or none."""


class Place(NamedTuple):
    """A leaf, its digest known, and where it is."""

    path: Path
    leaf: Leaf


class Difference(NamedTuple):
    """`placed`: leaves that the older map has not there; `removed`: the converse; by path."""

    placed: list[Place]
    removed: list[Place]


def path_of(key: bytes) -> Path:
    """The whole path of a key."""
    nibbles = blake2b(key, digest_size=DEPTH // 2).hexdigest().encode().translate(_NIBBLES)
    return _STEPS[region_of(key)] + nibbles


def region_of(key: bytes) -> int:
    """In which sixteenth of the map a key lies."""
    return key[0] % WIDTH if key else 0


def fits(count: int, weight: int, depth: int) -> bool:
    """Whether so much at this depth is one leaf."""
    return (count <= LEAF_MAX and weight <= LEAF_BYTES) or count == 1 or depth == DEPTH


def leaf_digest(data: bytes) -> bytes:
    """Of a leaf with these bytes."""
    return sha256(LEAF + data).digest()


def branch_digest(digests: bytes) -> bytes:
    """Of a branch whose 16 children have these digests, in a row."""
    return sha256(BRANCH + digests).digest()


def node_digest(node: Node | None) -> bytes:
    """Its digest, computed where it is not known yet."""
    if node is None:
        return EMPTY
    if node.digest is None:
        if isinstance(node, Leaf):
            node.digest = leaf_digest(node.data)
        else:
            node.digest = branch_digest(_digests(node))
    return node.digest


def encode_node(node: Node) -> bytes:
    """`L` and the leaf's data, or `B` and the digests of 16 children."""
    return b"L" + node.data if isinstance(node, Leaf) else b"B" + _digests(node)


def decode_node(data: bytes, path: Path, expected: bytes) -> Leaf | list[bytes]:
    """The leaf, or the digests of the branch's children, if `data` is what `expected` promises
    under `path`, in the one canonical form. Raises `TrieError`."""
    kind, body = data[:1], data[1:]
    if kind == b"B" and len(body) == WIDTH * DIGEST_BYTES and len(path) < DEPTH:
        if branch_digest(body) != expected:
            raise TrieError("a branch that its digest does not promise")
        return [body[at : at + DIGEST_BYTES] for at in range(0, len(body), DIGEST_BYTES)]
    if kind != b"L" or leaf_digest(body) != expected:
        raise TrieError("no node, or a leaf that its digest does not promise")
    leaf = parse_leaf(body, len(path))
    if any(not path_of(key).startswith(path) for key in leaf.entries):
        raise TrieError("a leaf with a key that belongs elsewhere")
    leaf.digest = expected
    return leaf


def parse_leaf(data: bytes, depth: int) -> Leaf:
    """The leaf with these canonical bytes. Raises `TrieError`."""
    try:
        entries = _decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise TrieError(f"a leaf that does not decode: {error}") from None
    leaf = _leaf(dict(sorted(entries.items())))
    if leaf.data != data or not entries or not fits(leaf.count, leaf.weight, depth):
        raise TrieError("a leaf that is not in canonical form")
    leaf.data = data  # equal, and in memory already
    return leaf


class Snapshot:
    """A map that does not change. `len()` is the number of entries, `weight` their bytes."""

    __slots__ = ("_root",)

    def __init__(self, root: Node | None) -> None:
        self._root = root

    def __len__(self) -> int:
        return 0 if self._root is None else self._root.count

    @property
    def weight(self) -> int:
        return 0 if self._root is None else self._root.weight

    @property
    def digest(self) -> bytes:
        """32 bytes that commit to all entries."""
        return node_digest(self._root)

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`."""
        node, path = self._root, iter(path_of(key))
        while isinstance(node, Branch):
            node = node.children[next(path)]
        return None if node is None else node.entries.get(key)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries, in an order that depends on them alone; not to be written meanwhile."""
        for _, leaf in self.leaves():
            yield from leaf.entries.items()

    def region(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        """The entries of one region, as `items` gives them; costs what the region has."""
        root = self._root
        node = root.children[number] if isinstance(root, Branch) else root
        for _, leaf in _leaves(node, b"", None):
            for key, value in leaf.entries.items():
                if region_of(key) == number:
                    yield key, value

    def measure(self, number: int) -> tuple[int, int]:
        """(entries, bytes of keys and values) of one region."""
        if isinstance(self._root, Branch):
            node = self._root.children[number]
            return (0, 0) if node is None else (node.count, node.weight)
        found = list(self.region(number))
        return len(found), sum(len(key) + len(value) for key, value in found)

    def leaves(self, after: Path | None = None) -> Iterator[tuple[Path, Leaf]]:
        """All leaves by path, or those beyond the path `after`."""
        return _leaves(self._root, b"", after)

    def node(self, path: Path) -> Node | None:
        """What lies exactly at `path`."""
        node = self._root
        for nibble in path:
            if not isinstance(node, Branch) or nibble >= WIDTH:
                return None
            node = node.children[nibble]
        return node

    def difference(self, older: "Snapshot") -> Difference:
        """Which leaves changed since `older`; costs what changed, equal subtrees are skipped."""
        found = Difference([], [])
        _compare(older._root, self._root, b"", found)
        return found

    def scrub(self, after: Path | None, limit: int) -> tuple[Path | None, list[Path]]:
        """Re-hash up to `limit` leaves beyond `after`: (where to go on, or none at the end; the
        leaves that are not what their digest says). Those get the digest of what they really
        hold, up to the root, so that the map no longer claims to be what it is not."""
        damaged: list[Path] = []
        for done, (path, leaf) in enumerate(self.leaves(after)):
            if done == limit:
                return after, damaged
            after = path
            if leaf.digest not in (None, leaf_digest(leaf.data)):
                damaged.append(path)
                self._forget(path)
        return None, damaged

    def _forget(self, path: Path) -> None:
        for depth in range(len(path) + 1):
            node = self.node(path[:depth])
            if node is not None:
                node.digest = None


class Trie(Snapshot):
    """A map that changes; not safe for threads."""

    __slots__ = ("_owner",)

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        """Goes on from `snapshot`, which stays as it is; empty without."""
        super().__init__(None if snapshot is None else snapshot._root)
        self._owner = object()

    def freeze(self) -> Snapshot:
        """The map as it is now, for ever. O(1); its digest costs what changed, when asked for."""
        self._owner = object()
        return Snapshot(self._root)

    def put(self, key: bytes, value: bytes) -> bytes | None:
        """Set a value; what it replaced."""
        return self._write(key, value)

    def delete(self, key: bytes) -> bytes | None:
        """Remove a key; what it held."""
        return self._write(key, None)

    def update(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Put all values and delete the keys that have none: what `put` and `delete` come to, with
        each leaf written once."""
        placed = [(path_of(key), key, value) for key, value in changes.items()]
        self._root = self._merge(self._root, placed, 0)

    def _merge(self, node: Node | None, changes: list[Change], depth: int) -> Node | None:
        if not isinstance(node, Branch):
            entries = {} if node is None else node.entries
            for _, key, value in changes:
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
            return _build(dict(sorted(entries.items())), depth, self._owner)
        parts: list[list[Change]] = [[] for _ in _ALL]
        for each in changes:
            parts[each[0][depth]].append(each)
        branch = self._own(node)
        for nibble, part in enumerate(parts):
            if part:
                branch.children[nibble] = self._merge(branch.children[nibble], part, depth + 1)
        present = [child for child in branch.children if child is not None]
        branch.count = sum([child.count for child in present])
        branch.weight = sum([child.weight for child in present])
        if fits(branch.count, branch.weight, depth) or not present:
            return _build(dict(sorted(Snapshot(branch).items())), depth, self._owner)
        return branch

    def _write(self, key: bytes, value: bytes | None) -> bytes | None:
        path = path_of(key)
        trail: list[Branch] = []
        node = self._root
        while isinstance(node, Branch):
            trail.append(node)
            node = node.children[path[len(trail) - 1]]
        entries = {} if node is None else node.entries
        old = entries.get(key)
        if old == value:
            return old
        count = (value is not None) - (old is not None)
        weight = _weight(key, value) - _weight(key, old)
        gathered = False
        for depth, branch in enumerate(trail if count < 0 or weight < 0 else ()):
            if fits(branch.count + count, branch.weight + weight, depth):
                entries = dict(Snapshot(branch).items())
                trail, gathered = trail[:depth], True
                break
        if value is None:
            del entries[key]
        else:
            entries[key] = value
        if old is None or gathered:
            entries = dict(sorted(entries.items()))
        new = _build(entries, len(trail), self._owner)
        for depth in reversed(range(len(trail))):
            branch = self._own(trail[depth])
            branch.children[path[depth]] = new
            branch.count += count
            branch.weight += weight
            new = branch
        self._root = new
        return old

    def _own(self, branch: Branch) -> Branch:
        """The branch, or a copy where it is not ours alone; its digest forgotten."""
        if branch.owner is not self._owner:
            return Branch(branch.children.copy(), self._owner, branch.count, branch.weight)
        branch.digest = None
        return branch


def _digests(branch: Branch) -> bytes:
    return b"".join([EMPTY if c is None else c.digest or node_digest(c) for c in branch.children])


def _weight(key: bytes, value: bytes | None) -> int:
    return 0 if value is None else len(key) + len(value)


def _leaf(entries: dict[bytes, bytes]) -> Leaf:
    weight = sum(map(len, entries)) + sum(map(len, entries.values()))
    return Leaf(_encode(entries), len(entries), weight)


def _build(entries: dict[bytes, bytes], depth: int, owner: object) -> Node | None:
    """The canonical node for `entries`, which ascend by key."""
    if not entries:
        return None
    leaf = _leaf(entries)
    if fits(leaf.count, leaf.weight, depth):
        return leaf
    parts: list[dict[bytes, bytes]] = [{} for _ in range(WIDTH)]
    for key, value in entries.items():
        parts[path_of(key)[depth]][key] = value
    children = [_build(part, depth + 1, owner) for part in parts]
    return Branch(children, owner, leaf.count, leaf.weight)


def _leaves(node: Node | None, path: Path, after: Path | None) -> Iterator[tuple[Path, Leaf]]:
    if isinstance(node, Leaf):
        if after is None or path > after:
            yield path, node
    elif node is not None:
        first = 0
        if after is not None and after[: len(path)] == path and len(after) > len(path):
            first = after[len(path)]
        for nibble in range(first, WIDTH):
            yield from _leaves(node.children[nibble], path + _STEPS[nibble], after)


def _compare(old: Node | None, new: Node | None, path: Path, found: Difference) -> None:
    if node_digest(old) == node_digest(new):
        return
    if isinstance(old, Branch) and isinstance(new, Branch):
        left, right = old.children, new.children
        for nibble in _ALL:
            if left[nibble] is not right[nibble]:
                _compare(left[nibble], right[nibble], path + _STEPS[nibble], found)
        return
    if isinstance(old, Leaf) and isinstance(new, Leaf):  # what most differences are
        found.removed.append(Place(path, old))
        found.placed.append(Place(path, new))
        return
    found.removed.extend(Place(at, leaf) for at, leaf in _leaves(old, path, None))
    found.placed.extend(Place(at, leaf) for at, leaf in _leaves(new, path, None))
