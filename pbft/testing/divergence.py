"""Why the states of replicas differ, from their journals: the first checkpoint at which they do,
the keys, and the command that does not give the same everywhere.

A journal has the state at its last stable checkpoint, the replica's own snapshots above it, and the
batches since. A replica that finds its state contradicted sets a copy of that aside before it
fetches another (`pbft.sqlite_copy`). From the last state that is agreed, what was ordered is
executed again in several processes (`pbft.testing.reexecution`); the first operation that differs
among them is the answer. Where they do not differ, it is the first that touches a key which does.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from pbft.cluster import Cluster, replica_name
from pbft.core.errors import DecodeError, PbftError
from pbft.core.ids import Digest, SequenceNumber
from pbft.core.messages import PrePrepare
from pbft.core.records import Accepted, Leaf, Prepared, Settled, Snapshotted, Stabilised
from pbft.core.state.machine import PREFIX
from pbft.core.state.machine import SERVICE as SERVICE_REGION
from pbft.core.state.sessions import ANSWER, FLOOR, TIME, TIMESTAMP_BYTES
from pbft.core.wire import NULL_BATCH, NULL_DIGEST, decode_signed
from pbft.crypto.errors import TrieError
from pbft.crypto.leaves import exchange, from_leaves
from pbft.crypto.trie import Snapshot, Trie, region_of
from pbft.journal_files import JournalFile
from pbft.testing.determinism import imported
from pbft.testing.reexecution import Life, Ordered, Span, Step, lives, value_told
from pbft.testing.suspects import suspects
from pbft.typed.keys import told
from pbft.typed.methods import methods_of

SHOWN_KEYS = 20
SHOWN = 120


class MissingError(PbftError):
    """The journals at hand do not say enough; the text says what is missing."""


class Difference(Struct, frozen=True):
    """An entry of the state, and what each version of the state has there, by who has it."""

    key: str
    values: dict[str, str | None]


class Suspect(Struct, frozen=True):
    """An operation: `varies` where processes that execute it differ, so that its command is not
    deterministic; otherwise it is the first that touches what differs."""

    step: Step
    varies: bool
    key: str | None
    told: list[str]


class Divergence(Struct, frozen=True):
    """States differ at `sequence` and agreed at `agreed`. `said`: the digests, in hex, by who says
    so. `reached`: which of them executing again gives, if any."""

    agreed: SequenceNumber
    sequence: SequenceNumber
    said: dict[str, list[str]]
    keys: list[Difference]
    suspect: Suspect | None
    reached: list[str]
    advice: list[str]


class History(Struct, frozen=True):
    """What one file says: states, digests of states, and what was ordered. `stable`: from where."""

    name: str
    stable: SequenceNumber
    trees: dict[SequenceNumber, Snapshot]
    roots: dict[SequenceNumber, set[tuple[Digest, str]]]
    prepared: dict[SequenceNumber, tuple[int, Digest]]
    batches: dict[tuple[SequenceNumber, Digest], Ordered]


def explain(
    cluster: Cluster, directory: Path, files: Sequence[JournalFile], service: str
) -> Divergence | None:
    """None where the states agree. `directory` has the public cluster file; `service` is
    `module:Class`. Raises `MissingError`, and `ServiceError` where the service does not run."""
    histories = [_history(file) for file in files]
    sequence = _first_difference(histories)
    if sequence is None:
        if len({file.replica for file in files}) < 2:
            raise MissingError(
                f"the journal of {replica_name(files[0].replica)} alone shows no difference: give"
                " that of another replica, or the copy that a diverged one has set aside"
            )
        return None
    agreed, base = _agreed(histories, sequence)
    span = Span(service, agreed, dict(base.items()), list(_ordered(histories, agreed, sequence)))
    with tempfile.TemporaryDirectory(prefix="pbft-diverged-") as scratch:
        lived = _until_different(lives(directory, span, Path(scratch)))
    return _judged(histories, agreed, sequence, lived, imported(service))


# -- what the files say -----------------------------------------------------------------------


def _history(file: JournalFile) -> History:
    name = f"{replica_name(file.replica)} ({file.path.name})"
    stable = max((r.sequence for r in file.records if isinstance(r, Stabilised)), default=0)
    trees = _trees(file, stable)
    roots = {sequence: {(tree.digest, name)} for sequence, tree in trees.items()}
    for record in file.records:
        if isinstance(record, Snapshotted):
            roots.setdefault(record.sequence, set()).add((record.root, name))
    if file.certified is not None:
        sequence, digest = file.certified
        roots.setdefault(sequence, set()).add((digest, f"a quorum, as {name} knew"))
    history = History(name, stable, trees, roots, {}, {})
    for record in file.records:
        match record:
            case Accepted(raw, batch, large):
                pp = _pre_prepare(raw)
                history.batches[pp.sequence, pp.digest] = Ordered(pp.sequence, batch, large)
            case Prepared(sequence, certificate):
                pp = _pre_prepare(certificate.pre_prepare)
                history.prepared[sequence] = (pp.view, pp.digest)
    return history


def _pre_prepare(raw: bytes) -> PrePrepare:
    try:
        message = decode_signed(raw)
    except DecodeError as error:
        raise MissingError(f"a journal with a record that does not decode: {error}") from None
    if not isinstance(message, PrePrepare):
        raise MissingError("a journal with another message in the place of a pre-prepare")
    return message


def _trees(file: JournalFile, stable: SequenceNumber) -> dict[SequenceNumber, Snapshot]:
    """The stable state and each snapshot above it; as many as are whole."""
    leaves = {r.digest: r.data for r in file.records if isinstance(r, Leaf)}
    places = [(r.path, r.digest) for r in file.records if isinstance(r, Settled)]
    later = sorted(
        (r for r in file.records if isinstance(r, Snapshotted)), key=lambda r: r.sequence
    )
    trees: dict[SequenceNumber, Snapshot] = {}
    try:
        trees[stable] = from_leaves([(path, leaves[digest]) for path, digest in places])
        tree = Trie(trees[stable])
        for record in later:
            placed = [(path, leaves[digest]) for path, digest in record.placed]
            exchange(tree, [path for path, _ in record.removed], placed)
            trees[record.sequence] = tree.freeze()
    except (TrieError, KeyError):
        pass  # a damaged leaf: the digests in the records still count
    return trees


def _said(histories: Sequence[History], sequence: SequenceNumber) -> dict[Digest, list[str]]:
    """Who says which digest of the state there."""
    said: dict[Digest, list[str]] = {}
    for history in histories:
        for digest, who in sorted(history.roots.get(sequence, ())):
            said.setdefault(digest, []).append(who)
    return said


def _first_difference(histories: Sequence[History]) -> SequenceNumber | None:
    known = sorted({sequence for history in histories for sequence in history.roots})
    return next((each for each in known if len(_said(histories, each)) > 1), None)


def _agreed(
    histories: Sequence[History], sequence: SequenceNumber
) -> tuple[SequenceNumber, Snapshot]:
    """The last state before `sequence` that a quorum certified, or that two files have."""
    found = (0, Snapshot(None))
    for at in range(1, sequence):
        trees = [history.trees[at] for history in histories if at in history.trees]
        said = _said(histories, at)
        certified = any(history.stable == at for history in histories)
        if trees and len(said) == 1 and (certified or len(trees) > 1):
            found = (at, trees[0])
    return found


def _ordered(
    histories: Sequence[History], base: SequenceNumber, last: SequenceNumber
) -> Iterator[Ordered]:
    """What was decided for each number: the digest prepared in the highest view."""
    batches = {key: each for history in histories for key, each in history.batches.items()}
    for sequence in range(base + 1, last + 1):
        found = [h.prepared[sequence] for h in histories if sequence in h.prepared]
        digest = max(found)[1] if found else None
        if digest == NULL_DIGEST:
            yield Ordered(sequence, NULL_BATCH)
        elif digest is not None and (sequence, digest) in batches:
            yield batches[sequence, digest]
        else:
            raise MissingError(
                f"the states agree at {base} and differ at {last}, and none of these journals has"
                f" the batch at {sequence}: give those of the other replicas, or the copies that"
                " diverged ones have set aside"
            )


# -- what executing again says ----------------------------------------------------------------


def _until_different(lived: Iterator[Life]) -> list[Life]:
    """The first, and the first that differs from it, if there is one."""
    first = next(lived)
    for other in lived:
        if other.steps != first.steps or other.state.digest != first.state.digest:
            return [first, other]
    return [first]


def _judged(
    histories: Sequence[History],
    agreed: SequenceNumber,
    sequence: SequenceNumber,
    lived: list[Life],
    service: type,
) -> Divergence:
    said = _said(histories, sequence)
    keys = _keys(_versions(histories, sequence, lived), bool(methods_of(service)))
    suspect = _varying(lived) or _touching(lived[0], keys)
    reached = sorted({life.state.digest.hex() for life in lived} & {d.hex() for d in said})
    return Divergence(
        agreed,
        sequence,
        {digest.hex(): who for digest, who in said.items()},
        keys,
        suspect,
        reached,
        [] if suspect is None else suspects(service, suspect.step.command),
    )


def _versions(
    histories: Sequence[History], sequence: SequenceNumber, lived: list[Life]
) -> list[tuple[str, Snapshot]]:
    """The states at hand, one for each digest, and who has it: from the files and, where those do
    not have two, from executing again."""
    said = _said(histories, sequence)
    trees = [history.trees[sequence] for history in histories if sequence in history.trees]
    lived_trees = [life.state for life in lived]
    found: dict[Digest, tuple[str, Snapshot]] = {}
    for tree in (*trees, *lived_trees):
        if tree.digest in said:
            found.setdefault(tree.digest, (", ".join(said[tree.digest]), tree))
    for tree in lived_trees if len(found) < 2 else ():
        found.setdefault(tree.digest, ("executed again", tree))
    return list(found.values())


def _keys(states: list[tuple[str, Snapshot]], typed: bool) -> list[Difference]:
    """Where they differ, the service's own entries first; equal subtrees are not looked at."""
    keys: set[bytes] = set()
    for _, state in states[1:]:
        found = state.difference(states[0][1])
        for place in (*found.removed, *found.placed):
            keys.update(place.leaf.entries)
    differences = []
    for key in sorted(keys, key=lambda each: (region_of(each), each)):
        values = {name: state.get(key) for name, state in states}
        if len(set(values.values())) > 1:
            differences.append(_difference(key, values, typed))
    return differences


def _difference(key: bytes, values: dict[str, bytes | None], typed: bool) -> Difference:
    own = region_of(key) == SERVICE_REGION
    return Difference(
        entry_told(key, typed),
        {
            name: None if value is None else value_told(value, typed and own)
            for name, value in values.items()
        },
    )


def entry_told(key: bytes, typed: bool) -> str:
    """An entry of the whole state, for people."""
    if region_of(key) == SERVICE_REGION:
        rest = key[len(PREFIX) :]
        return told(rest) if typed else rest.hex()
    if key == TIME:
        return "the agreed time"
    if key.startswith(FLOOR):
        return f"the floor of {key[len(FLOOR) :].decode('utf-8', 'replace')}"
    timestamp = int.from_bytes(key[len(ANSWER) : len(ANSWER) + TIMESTAMP_BYTES], "big")
    client = key[len(ANSWER) + TIMESTAMP_BYTES :].decode("utf-8", "replace")
    return _answer_told(client, timestamp)


def _answer_told(client: str, timestamp: int) -> str:
    return f"what request {timestamp} of {client} gave"


def _varying(lived: list[Life]) -> Suspect | None:
    if len(lived) < 2:
        return None
    for one, other in zip(lived[0].steps, lived[1].steps, strict=True):
        if one != other:
            return _suspect(one, other)
    return None


def _suspect(one: Step, other: Step) -> Suspect:
    names = sorted(one.changed.keys() | other.changed.keys())
    keys = [each for each in names if one.changed.get(each) != other.changed.get(each)]
    lines = []
    if one.result != other.result:
        lines += [f"it gives {one.result[:SHOWN]}", f"and also {other.result[:SHOWN]}"]
    for key in keys[:1]:
        lines.append(f"{key} becomes {str(one.changed.get(key))[:SHOWN]}")
        lines.append(f"and also {str(other.changed.get(key))[:SHOWN]}")
    return Suspect(one, True, keys[0] if keys else None, lines)


def _touching(life: Life, keys: list[Difference]) -> Suspect | None:
    differing = {each.key for each in keys}
    for step in life.steps:
        touched = sorted(differing & {*step.changed, _answer_told(step.client, step.timestamp)})
        if touched:
            return Suspect(step, False, touched[0], [f"it gives {step.result[:SHOWN]}"])
    return None


# -- for people -------------------------------------------------------------------------------


def text(found: Divergence) -> str:
    """The whole of it in words; the first line is the answer."""
    return "\n".join([_answer(found), *_of_suspect(found), *_of_states(found)])


def _answer(found: Divergence) -> str:
    """The command and the key, as far as they are known."""
    suspect = found.suspect
    if suspect is None:
        what = found.keys[0].key if found.keys else "something in the states"
        return (
            f"{what} differs, and nothing that was ordered since they agreed touches it: one of the"
            " states was damaged, or written by other code"
        )
    call = suspect.step.shown[:SHOWN]
    if suspect.varies:
        where = f", first of all to {suspect.key}" if suspect.key else ", and its results differ"
        return f"{call} does not do the same everywhere{where}:"
    return (
        f"{suspect.key} differs, which {call} is the first to touch; it does the same in every"
        " process here: something is kept outside the state, other code ran, or the machine erred"
    )


def _of_suspect(found: Divergence) -> list[str]:
    if found.suspect is None:
        return []
    step = found.suspect.step
    return [
        f"  operation {step.number + 1} of request {step.timestamp} of {step.client}, at sequence"
        f" number {step.sequence}",
        *(f"  {each}" for each in found.suspect.told),
        *found.advice,
    ]


def _of_states(found: Divergence) -> list[str]:
    lines = [f"the states differ at checkpoint {found.sequence}, and agreed at {found.agreed}:"]
    lines += [f"  {digest[:16]} say {', '.join(who)}" for digest, who in found.said.items()]
    lines.append(
        "the entries that differ:" if found.keys else "which entries, these files do not say"
    )
    for each in found.keys[:SHOWN_KEYS]:
        lines.append(f"  {each.key}")
        lines += [f"    {str(value)[:SHOWN]}: {name}" for name, value in each.values.items()]
    if len(found.keys) > SHOWN_KEYS:
        lines.append(f"  and {len(found.keys) - SHOWN_KEYS} more")
    return lines
