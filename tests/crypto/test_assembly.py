"""A map is put together from an older one and the nodes that differ, and from nothing else."""

import random

import pytest
from hypothesis import given, settings

from pbft.crypto.assembly import Assembly
from pbft.crypto.digests import digest
from pbft.crypto.errors import TrieError
from pbft.crypto.trie import BRANCH, EMPTY, Snapshot, Trie, encode_node, path_of
from tests.crypto.test_trie import WRITES, Write, filled, leaf_of, leaves, present, written


def fetch(assembly: Assembly, source: Snapshot, numbers: random.Random) -> int:
    """Add what is wanted, in any order; how many nodes that took."""
    count = 0
    while assembly.wanted:
        path = numbers.choice(list(assembly.wanted))
        assembly.add(path, encode_node(present(source, path)))
        count += 1
    return count


@given(WRITES, WRITES)
@settings(deadline=None, max_examples=50)
def test_the_newer_map_comes_out(first: list[Write], second: list[Write]) -> None:
    trie = written(first)
    older = trie.freeze()
    before = leaves(older)
    newer = written(second, trie).freeze()
    assembly = Assembly(older, newer.digest)
    fetch(assembly, newer, random.Random(1))
    made = assembly.finish()
    assert leaves(made) == leaves(newer)
    assert (made.digest, len(made), made.weight) == (newer.digest, len(newer), newer.weight)
    again = written(first, Trie(made))
    assert again.digest == written(first, written(leaves_as_writes(newer))).digest
    assert leaves(older) == before
    assert leaves(made) == leaves(newer)


def leaves_as_writes(snapshot: Snapshot) -> list[Write]:
    return [(key, value) for key, value in snapshot.items()]


def test_only_what_differs_is_fetched() -> None:
    trie = filled(20_000)
    older = trie.freeze()
    for key in (b"1", b"2", b"3"):
        trie.put(key, b"changed")
    newer = trie.freeze()
    assembly = Assembly(older, newer.digest)
    assert fetch(assembly, newer, random.Random(2)) <= 3 * 4
    assert leaves(assembly.finish()) == leaves(newer)


def test_a_forged_or_unwanted_node_changes_nothing() -> None:
    newer = filled(1000).freeze()
    assembly = Assembly(Snapshot(None), newer.digest)
    forged = encode_node(present(filled(1000, seed=1), b""))
    for path, data in ((b"", forged), (b"", b""), (b"\x01", forged)):
        with pytest.raises(TrieError):
            assembly.add(path, data)
    assert assembly.wanted == {b"": newer.digest}
    with pytest.raises(TrieError, match="still wanted"):
        assembly.finish()
    fetch(assembly, newer, random.Random(3))
    assert assembly.finish().digest == newer.digest


def test_a_certified_shape_that_is_no_map_is_refused() -> None:
    """A branch over one small leaf: its digest verifies, and yet no map has it."""
    leaf = leaf_of({b"a": b"b"})
    data = encode_node(leaf)
    children = [EMPTY] * 16
    children[path_of(b"a")[0]] = digest(b"trie leaf", data[1:])
    body = b"".join(children)
    assembly = Assembly(Snapshot(None), digest(BRANCH, body))
    assembly.add(b"", b"B" + body)
    assembly.add(path_of(b"a")[:1], data)
    with pytest.raises(TrieError, match="ought to be a leaf"):
        assembly.finish()


def test_equal_maps_want_nothing() -> None:
    older = filled(100).freeze()
    assembly = Assembly(older, older.digest)
    assert assembly.wanted == {}
    assert assembly.finish().digest == older.digest
    assert len(Assembly(older, EMPTY).finish()) == 0
