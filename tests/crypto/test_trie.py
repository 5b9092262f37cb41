"""The map is what its entries are: shape, digest, snapshots and differences."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbft.crypto.errors import TrieError
from pbft.crypto.leaves import from_leaves
from pbft.crypto.trie import (
    DEPTH,
    EMPTY,
    LEAF_BYTES,
    LEAF_MAX,
    Branch,
    Leaf,
    Place,
    Snapshot,
    Trie,
    branch_digest,
    decode_node,
    encode_node,
    leaf_digest,
    node_digest,
    path_of,
)

KEYS = st.integers(0, 120).map(lambda number: b"%c key %d" % (number % 3, number))
VALUES = st.one_of(
    st.binary(max_size=4), st.integers(0, 20).map(lambda kib: bytes([kib]) * (kib * 1024))
)
WRITES = st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=150)
Write = tuple[bytes, bytes | None]


def written(writes: list[Write], trie: Trie | None = None) -> Trie:
    trie = trie if trie is not None else Trie()
    for key, value in writes:
        if value is None:
            trie.delete(key)
        else:
            trie.put(key, value)
    return trie


def filled(count: int, seed: int = 0) -> Trie:
    numbers = random.Random(seed)
    return written([(b"k%d" % i, numbers.randbytes(20)) for i in range(count)])


def leaves(snapshot: Snapshot) -> list[tuple[bytes, bytes]]:
    return [(path, leaf.data) for path, leaf in snapshot.leaves()]


@given(WRITES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_entries_alone_decide_shape_and_digest(
    writes: list[Write], numbers: random.Random
) -> None:
    trie = Trie()
    model: dict[bytes, bytes] = {}
    for key, value in writes:
        assert trie.get(key) == model.get(key)
        assert (trie.digest == EMPTY) is (not model)  # and every node has its digest from here on
        if value is None:
            assert trie.delete(key) == model.pop(key, None)
        else:
            assert trie.put(key, value) == model.get(key)
            model[key] = value
    again = list(model.items())
    numbers.shuffle(again)
    direct = written([*again])
    assert dict(trie.items()) == model
    assert (len(trie), trie.weight) == (len(model), sum(map(len, [*model, *model.values()])))
    for number in range(4):
        of_region = {key: value for key, value in model.items() if key[0] == number}
        assert dict(trie.region(number)) == of_region
        size = sum(map(len, [*of_region, *of_region.values()]))
        assert trie.measure(number) == (len(of_region), size)
    assert trie.digest == direct.digest
    assert list(trie.items()) == list(direct.items())
    assert leaves(trie) == leaves(direct)
    at_once = Trie()
    for some in (writes[:30], writes[30:60], writes[60:]):
        at_once.freeze()
        at_once.update(dict(some))
    assert leaves(at_once) == leaves(trie)
    assert at_once.digest == trie.digest
    rebuilt = from_leaves(numbers.sample(leaves(trie), k=len(leaves(trie))))
    assert (rebuilt.digest, len(rebuilt), rebuilt.weight) == (trie.digest, len(trie), trie.weight)


@given(WRITES, WRITES, WRITES)
@settings(deadline=None, max_examples=50)
def test_a_snapshot_stays_and_a_difference_is_exact(
    first: list[Write], second: list[Write], third: list[Write]
) -> None:
    trie = written(first)
    older = trie.freeze()
    before = leaves(older)
    newer = written(second, trie).freeze()
    between = leaves(newer)
    branched = written(third, Trie(older))
    trie.update(dict(third))
    assert leaves(older) == before == leaves(from_leaves(before))
    assert leaves(newer) == between
    assert branched.digest == written(third, written(first)).digest
    found = newer.difference(older)
    old = {path: node_digest(leaf) for path, leaf in older.leaves()}
    new = {path: node_digest(leaf) for path, leaf in newer.leaves()}
    assert digests(found.placed) == sorted(new.items() - old.items())
    assert digests(found.removed) == sorted(old.items() - new.items())


def digests(places: list[Place]) -> list[tuple[bytes, bytes | None]]:
    return [(path, leaf.digest) for path, leaf in places]


def test_writing_what_is_there_changes_no_node() -> None:
    trie = filled(1000)
    older = trie.freeze()
    trie.put(b"k7", trie.get(b"k7") or b"")
    trie.delete(b"no such key")
    assert trie.node(b"") is older.node(b"")


def test_what_is_digested_anew_is_what_changed() -> None:
    """One write into many entries leaves all nodes but those on its path untouched."""
    trie = filled(20_000)
    older = trie.freeze()
    assert older.digest == trie.digest
    trie.put(b"k77", b"changed")
    path = next(p for p, leaf in trie.leaves() if b"k77" in leaf.entries)
    fresh = [p for p, leaf in trie.leaves() if leaf.digest is None]
    assert fresh == [path]
    root, old_root = trie.node(b""), older.node(b"")
    assert isinstance(root, Branch)
    assert isinstance(old_root, Branch)
    assert sum(a is not b for a, b in zip(root.children, old_root.children, strict=True)) == 1


@pytest.mark.parametrize("count", [0, 1, LEAF_MAX, LEAF_MAX + 1, 1000])
def test_every_node_verifies_where_it_is_and_nowhere_else(count: int) -> None:
    snapshot = filled(count).freeze()
    if not count:
        assert (snapshot.digest, snapshot.node(b"")) == (EMPTY, None)
        return
    waiting = [(b"", snapshot.digest)]
    found: dict[bytes, bytes] = {}
    while waiting:
        path, expected = waiting.pop()
        data = encode_node(present(snapshot, path))
        node = decode_node(data, path, expected)
        with pytest.raises(TrieError):
            decode_node(data[:-1] + bytes([data[-1] ^ 1]), path, expected)
        if isinstance(node, Leaf):
            found |= node.entries
            with pytest.raises(TrieError):
                decode_node(data, bytes([15 - path_of(next(iter(node.entries)))[0]]), expected)
        else:
            waiting += [(path + bytes([i]), d) for i, d in enumerate(node) if d != EMPTY]
    assert found == dict(snapshot.items())


def present(snapshot: Snapshot, path: bytes) -> Leaf | Branch:
    node = snapshot.node(path)
    assert node is not None
    return node


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\x80",  # no entries
        b"\xde\x00\x01\xc4\x01a\xc4\x01b",  # a longer length than needed
        b"\x82\xc4\x01b\xc4\x01b\xc4\x01a\xc4\x01a",  # not ascending
        b"\x82\xc4\x01a\xc4\x01b\xc4\x01a\xc4\x01b",  # a key twice
        b"\x81\xc4\x01a\xc4\x01bx",  # bytes behind it
        b"\x81\xa1a\xa1b",  # text
        b"\xdf\xff\xff\xff\xff\xc4\x01a",  # a lie about the length
        b"\x81" * 5000,
    ],
)
def test_a_leaf_has_one_form(data: bytes) -> None:
    with pytest.raises(TrieError):
        decode_node(b"L" + data, b"", leaf_digest(data))


def test_a_shape_that_is_not_canonical_is_refused() -> None:
    """Few entries spread over leaves, many in one, and a place that is taken."""
    few = dict.fromkeys((b"a", b"b", b"c"), b"v")
    spread = [(path_of(key)[:1], encode_node(leaf_of({key: few[key]}))[1:]) for key in few]
    with pytest.raises(TrieError, match="ought to be a leaf"):
        from_leaves(spread)
    with pytest.raises(TrieError, match="place is taken"):
        from_leaves([spread[0], spread[0]])
    with pytest.raises(TrieError, match="place is taken"):
        from_leaves([(bytes([200]), spread[0][1])])
    many = {b"%03d" % i: b"" for i in range(LEAF_MAX + 1)}
    large = {b"a": bytes(LEAF_BYTES), b"b": b""}
    for entries in (many, large):
        with pytest.raises(TrieError, match="canonical"):
            from_leaves([(b"", encode_node(leaf_of(entries))[1:])])


def leaf_of(entries: dict[bytes, bytes]) -> Leaf:
    return Leaf(msgspec.msgpack.encode(entries), len(entries), 0)


def test_a_value_larger_than_a_leaf_stands_alone() -> None:
    trie = written([(b"%d" % i, b"") for i in range(5)])
    small = trie.digest
    assert len(leaves(trie)) == 1
    trie.put(b"large", bytes(LEAF_BYTES + 1))
    sizes = sorted(leaf.count for _, leaf in trie.leaves())
    assert sum(sizes) == 6
    assert len(sizes) > 1
    trie.put(b"large", b"")
    assert [leaf.count for _, leaf in trie.leaves()] == [6]
    trie.delete(b"large")
    assert trie.digest == small


def test_tags_keep_leaves_and_branches_apart() -> None:
    """A leaf whose bytes are those of a branch has another digest."""
    root = present(filled(1000), b"")
    body = encode_node(root)[1:]
    assert node_digest(root) == branch_digest(body)
    with pytest.raises(TrieError):
        decode_node(b"L" + body, b"", branch_digest(body))


def test_a_flipped_bit_is_found_in_one_round_and_owned_up_to() -> None:
    trie = filled(5000)
    honest = trie.freeze().digest
    path, leaf = list(trie.leaves())[100]
    leaf.data = leaf.data[:-1] + bytes([leaf.data[-1] ^ 1])
    assert trie.digest == honest  # nobody has looked yet
    after: bytes | None = None
    damaged: list[bytes] = []
    rounds = 0
    while rounds == 0 or after is not None:
        after, some = trie.scrub(after, 50)
        damaged += some
        rounds += 1
    assert damaged == [path]
    assert rounds == -(-len(leaves(trie)) // 50)
    assert trie.digest == from_leaves(leaves(trie)).digest != honest


def test_entries_that_come_together_again_are_in_the_order_of_their_keys() -> None:
    """In a branch they are in the order of their paths."""
    keys = [b"k%d" % number for number in range(LEAF_MAX + 1)]
    for change in (None, b""):
        trie = written([(key, b"v") for key in keys] if change is None else [])
        if change is None:
            trie.delete(keys[-1])
            expected = written([(key, b"v") for key in keys[:-1]])
        else:
            written([(key, bytes(LEAF_BYTES // 3)) for key in keys[:3]], trie)
            trie.put(keys[0], change)
            expected = written([(keys[0], change)])
            written([(key, bytes(LEAF_BYTES // 3)) for key in keys[1:3]], expected)
        assert isinstance(trie._root, Leaf)
        assert trie.digest == expected.digest


def test_no_branch_lies_as_deep_as_a_whole_path() -> None:
    body = bytes(16 * 32)
    data, digest = b"B" + body, branch_digest(body)
    assert isinstance(decode_node(data, bytes(DEPTH - 1), digest), list)
    with pytest.raises(TrieError):
        decode_node(data, bytes(DEPTH), digest)
