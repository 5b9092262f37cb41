"""The sentences about the cluster and its fate: sizes, calls, partitions, crashes, disks.

replicas 4                                  client-0 puts a=1 at 1.5s
checkpoint every 16                         client-0 gets a
partition R0 R1 | R2 R3 from 1s to 3s       mallory says a=1 under 5 to R0 R1 at 2s
cut R0 -> R1 from 1s                        isolate R3 from 1s to 3s
crash R2 at 2s for 1s                       lose the disk of R2 at 2s, back at 2.2s, ...
"""

import re
from collections.abc import Callable

from pbft.core.ids import ReplicaId
from pbft.services.kv import CompareAndSwap, Delete, Get, Put, encode
from pbft.testing.failpoints import POINTS, Boundary, Point, Stop
from pbft.testing.losses import Loss
from pbft.testing.plan import Crash, Partition
from pbft.testing.scenario.draft import BEGIN_NS, FOREVER, Draft
from pbft.testing.scenario.words import Words
from pbft.testing.scripts import Saying

Sentence = Callable[[Draft, Words], None]


def _number(name: str) -> Sentence:
    def read(draft: Draft, words: Words) -> None:
        words.take("every")
        draft.numbers[name] = words.number()

    return read


def _share(name: str) -> Sentence:
    def read(draft: Draft, words: Words) -> None:
        draft.shares[name] = words.share()

    return read


def _time(name: str) -> Sentence:
    def read(draft: Draft, words: Words) -> None:
        words.take("after")
        draft.times[name] = words.time()

    return read


def _switch(second: str, name: str) -> Sentence:
    def read(draft: Draft, words: Words) -> None:
        words.expect(second)
        draft.switches.add(name)

    return read


# -- the network --------------------------------------------------------------------------------


def _nodes(draft: Draft, words: Words) -> frozenset[int]:
    """Replicas, `R0'` the second copy of a twin."""
    found = set()
    while re.fullmatch(r"R\d+'?", words.peek()):
        name = words.next("a replica")
        copy = name.endswith("'")
        found.add(int(name[1 : -1 if copy else None]) + (draft.n if copy else 0))
    if not found:
        raise words.wrong("a replica like R2, or R2' for the second copy of a twin")
    return frozenset(found)


def _while(words: Words) -> tuple[int, int]:
    """`from 1s to 3s`, `from 1s`, `until 3s`."""
    if words.take("until"):
        return 0, words.time()
    words.expect("from")
    begin = words.time()
    return begin, words.time() if words.take("to") else FOREVER


def _partition(draft: Draft, words: Words) -> None:
    groups = [_nodes(draft, words)]
    words.expect("|")
    groups.append(_nodes(draft, words))
    while words.take("|"):
        groups.append(_nodes(draft, words))
    begin, end = _while(words)
    draft.partitions += [Partition(begin, end, each, False) for each in groups[1:]]


def _isolate(draft: Draft, words: Words) -> None:
    group = _nodes(draft, words)
    begin, end = _while(words)
    draft.partitions.append(Partition(begin, end, group, False))


def _silence(draft: Draft, words: Words) -> None:
    """`mute R0 from ...`: whatever it sends is lost."""
    group = _nodes(draft, words)
    begin, end = _while(words)
    draft.partitions.append(Partition(begin, end, group, True))


def _deafen(draft: Draft, words: Words) -> None:
    """`deafen R3 from ...`: whatever is sent to it is lost."""
    group = frozenset(range(draft.n)) - _nodes(draft, words)
    begin, end = _while(words)
    draft.partitions.append(Partition(begin, end, group, True))


# -- replicas and disks ---------------------------------------------------------------------------


def _crash(draft: Draft, words: Words) -> None:
    replicas = words.replicas(draft.n)
    words.expect("at")
    begin = words.time()
    words.expect("for")
    end = begin + words.time()
    draft.crashes += [Crash(begin, end, each) for each in replicas]


def _stop(draft: Draft, words: Words) -> None:
    """`stop the 2nd after PREPARE ...`: at a fail point, by its boundary and kind."""
    everyone = words.take("everyone")
    words.expect("at", "the")
    occurrence = words.number()
    boundary = Boundary[words.choice("a boundary", [b.name.lower() for b in Boundary]).upper()]
    kinds = sorted({point.kind for point in POINTS if point.boundary is boundary})
    point = Point(boundary, words.choice("what is there", kinds))
    words.expect("for")
    draft.stops.append(Stop(point, occurrence, everyone, words.time()))


def _lose(draft: Draft, words: Words) -> None:
    words.expect("the", "disk", "of")
    _loss(draft, words, words.replica(), None)


def _roll(draft: Draft, words: Words) -> None:
    words.expect("back", "the", "disk", "of")
    replica = words.replica()
    words.expect("to")
    _loss(draft, words, replica, words.time())


def _loss(draft: Draft, words: Words, replica: ReplicaId, copied: int | None) -> None:
    words.expect("at")
    begin = words.time()
    words.expect(",", "back", "at")
    end = words.time()
    words.expect(",", "recovered", "at")
    draft.losses.append(Loss(replica, copied, begin, end, words.time()))


# -- clients --------------------------------------------------------------------------------------


def client(draft: Draft, words: Words) -> None:
    """What a client does; one that `says` or `repeats` something is a faulty one."""
    name = words.next("a client")
    verb = words.choice(
        "what it does", ["puts", "gets", "deletes", "swaps", "keeps", "says", "repeats"]
    )
    if verb in ("says", "repeats"):
        _faulty(draft, words, name, repeats=verb == "repeats")
        return
    if verb == "keeps":
        draft.at_once[name] = words.number()
        words.expect("under", "way")
        return
    operation = _operation(words, verb)
    times = 1
    if words.peek().isdigit():
        times = words.number()
        words.expect("times")
    at = words.time() if words.take("at") else BEGIN_NS
    pause = words.time() if words.take("every") else 0
    known = draft.calls.setdefault(name, [])
    at = max(at, known[-1][0]) if known else at
    known += [(at + turn * pause, operation) for turn in range(times)]


def _operation(words: Words, verb: str) -> bytes:
    """`puts a=1`, `swaps a=1:2` (from 1 to 2), `gets a`, `deletes a`."""
    if verb in ("gets", "deletes"):
        name = words.next("a key").encode()
        return encode(Get(name) if verb == "gets" else Delete(name))
    key, given, value = words.peek().partition("=")
    if not given:
        raise words.wrong("a key and a value like a=1")
    words.next("a key and a value")
    if verb == "puts":
        return encode(Put(key.encode(), value.encode()))
    old, _, new = value.partition(":")
    return encode(CompareAndSwap(key.encode(), old.encode() or None, new.encode()))


def _faulty(draft: Draft, words: Words, name: str, *, repeats: bool) -> None:
    """`mallory says a=1 under 5 to R0 R1 20 times at 2s through R3`."""
    victim, stamp, operation = None, 0, encode(Get(b""))
    if repeats:
        victim = words.next("a client")
    else:
        operation = _operation(words, "puts")
        words.expect("under")
        stamp = words.number()
    names = words.next("a client") if words.take("as") else None
    words.expect("to")
    to = words.replicas(draft.n)
    times = 1
    if words.peek().isdigit():
        times = words.number()
        words.expect("times")
    words.expect("at")
    at = words.time()
    through = words.replica() if words.take("through") else None
    saying = Saying(to, stamp, (operation,), times=times, names=names, repeats=victim)
    draft.says(name, at, saying, through)


SENTENCES: dict[str, Sentence] = {
    "replicas": _number("replicas"),
    "checkpoint": _number("checkpoint"),
    "window": _number("window"),
    "pipeline": _number("pipeline"),
    "batch": _number("batch"),
    "inline": _number("inline"),
    "seed": _number("seed"),
    "timeout": _time("timeout"),
    "delay": _time("delay"),
    "disk": _time("disk"),
    "calm": _time("calm"),
    "loss": _share("loss"),
    "duplicates": _share("duplicates"),
    "real": _switch("keys", "keys"),
    "fast": _switch("reads", "fast reads"),
    "partition": _partition,
    "isolate": _isolate,
    "mute": _silence,
    "deafen": _deafen,
    "crash": _crash,
    "stop": _stop,
    "lose": _lose,
    "roll": _roll,
}
"""By their first word."""
