"""A map grown from verified nodes: equal to the one it was read from, whatever was at hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbft.crypto.errors import TrieError
from pbft.crypto.graft import Graft, Known, sound
from pbft.crypto.trie import Leaf, Snapshot, Trie, decode_node, encode_node, node_digest

ENTRIES = st.dictionaries(st.binary(max_size=4), st.binary(max_size=40), max_size=400)


def trie(entries: dict[bytes, bytes]) -> Snapshot:
    built = Trie()
    for key, value in entries.items():
        built.put(key, value)
    return built.freeze()


def many(count: int, value: bytes = b"v" * 100) -> dict[bytes, bytes]:
    return {b"key %d" % number: value for number in range(count)}


def fetch(graft: Graft, source: Snapshot, known: dict[bytes, Known], limit: int = 10**9) -> int:
    """Offer what is wanted until nothing is; how many nodes that took."""
    fetched = 0
    while graft.wanted and fetched < limit:
        path, digest = next(iter(graft.wanted.items()))
        node = source.node(path)
        assert node is not None
        known[digest] = decode_node(encode_node(node), path, digest)
        graft.take(path, known[digest])
        fetched += 1
    return fetched


@settings(max_examples=60, deadline=None)
@given(ENTRIES, ENTRIES)
def test_whatever_is_at_hand_the_result_is_the_source(
    old: dict[bytes, bytes], new: dict[bytes, bytes]
) -> None:
    source = trie(new)
    graft = Graft(source.digest, trie(old), {})
    fetch(graft, source, {})
    grown = graft.snapshot()
    assert grown.digest == source.digest
    assert dict(grown.items()) == new
    assert (len(grown), grown.weight) == (len(source), source.weight)


def test_only_what_differs_is_wanted() -> None:
    entries = many(20_000)
    old = trie(entries)
    entries[b"key 7"] = b"other"
    source = trie(entries)
    graft = Graft(source.digest, old, {})
    assert fetch(graft, source, {}) <= 8  # one leaf and the branches above it


def test_what_was_fetched_for_an_earlier_root_is_used_again() -> None:
    entries = many(5_000)
    first = trie(entries)
    known: dict[bytes, Known] = {}
    assert fetch(Graft(first.digest, Snapshot(None), known), first, known, limit=200) == 200
    entries[b"key 3"] = b"other"
    second = trie(entries)
    again = Graft(second.digest, Snapshot(None), known)
    fetched = fetch(again, second, known)
    whole = fetch(Graft(second.digest, Snapshot(None), {}), second, {})
    assert fetched < whole - 150
    assert again.snapshot().digest == second.digest


def test_a_node_of_another_place_or_another_content_is_refused() -> None:
    source, other = trie(many(2_000)), trie(many(2_000, b"w"))
    root, forged = source.node(b""), other.node(b"")
    assert root is not None
    assert forged is not None
    with pytest.raises(TrieError):
        decode_node(encode_node(forged), b"", source.digest)
    (_, leaf), (elsewhere, _) = list(source.leaves())[:2]
    with pytest.raises(TrieError):
        decode_node(encode_node(leaf), elsewhere, node_digest(leaf))


def test_nothing_is_taken_that_is_not_wanted_and_no_map_comes_of_half_the_nodes() -> None:
    source = trie(many(2_000))
    graft = Graft(source.digest, Snapshot(None), {})
    root = source.node(b"")
    assert root is not None
    known = decode_node(encode_node(root), b"", source.digest)
    with pytest.raises(TrieError):
        graft.take(b"\x01", known)
    (region,) = graft.take(b"", known)
    assert graft.wanted.keys() == {region}
    with pytest.raises(TrieError):
        graft.take(b"", known)
    with pytest.raises(TrieError):
        graft.snapshot()


def test_the_grown_map_can_be_written_without_touching_what_it_grew_from() -> None:
    entries = many(3_000)
    old = trie(entries)
    before = old.digest
    entries[b"key 1"] = b"other"
    source = trie(entries)
    graft = Graft(source.digest, old, {})
    fetch(graft, source, {})
    live = Trie(graft.snapshot())
    for number in range(0, 3_000, 7):
        live.put(b"key %d" % number, b"later")
    assert sound(old).digest == before
    assert dict(old.items()) == many(3_000)


def test_a_subtree_that_only_claims_to_be_equal_is_fetched_after_all() -> None:
    source = trie(many(3_000))
    rotten = trie(many(3_000))
    path, leaf = next(iter(rotten.leaves()))
    assert isinstance(leaf, Leaf)
    assert rotten.digest == source.digest
    leaf.data = leaf.data.replace(b"v", b"V", 1)
    trusting = Graft(source.digest, rotten, {})
    assert not trusting.wanted
    graft = Graft(source.digest, sound(rotten), {})
    fetch(graft, source, {})
    assert dict(graft.snapshot().items()) == many(3_000)
    assert path


def test_a_grown_map_goes_on_like_the_one_that_it_was_read_from() -> None:
    """Its shape depends on how many entries lie below each branch (T30)."""
    source = trie(many(1000))
    graft = Graft(source.digest, Snapshot(None), {})
    fetch(graft, source, {})
    grown, original = Trie(graft.snapshot()), Trie(source)
    assert (len(grown), grown.weight) == (1000, source.weight)
    for number in range(990):
        for each in (grown, original):
            each.delete(b"key %d" % number)
    assert grown.digest == original.digest
