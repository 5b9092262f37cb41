"""The sentences about a traitor: what it does, to which of its messages, for whom, and when.

R0 equivocates                              R3 is silent to R1 R2
R0 forks for R2                             R0 delays PRE-PREPAREs by 950ms in view 0
R1 forges NEW-VIEWs with nulls              R3 changes digest of PREPAREs to other
R3 behaves like replay from 2s              R3 omits COMMITs to R1 for numbers 2..4 with 50%
"""

from collections.abc import Callable

from pbft.core.ids import ReplicaId
from pbft.testing.byzantine.attacks import (
    AnyAct,
    Attack,
    Change,
    Delay,
    Duplicate,
    Flip,
    Forge,
    Fork,
    Form,
    Fuzz,
    Ignore,
    Imitate,
    Mutate,
    Omit,
    Range,
    Repeat,
    Target,
)
from pbft.testing.byzantine.imitating import IMITATED
from pbft.testing.scenario.draft import FOREVER, Draft
from pbft.testing.scenario.words import Words

KINDS: dict[str, tuple[str, ...]] = {
    "REQUEST": ("Request",),
    "PRE-PREPARE": ("Proposal",),
    "PREPARE": ("Prepare",),
    "COMMIT": ("Commit",),
    "CHECKPOINT": ("Checkpoint", "StableProof"),
    "VIEW-CHANGE": ("ViewChange",),
    "NEW-VIEW": ("NewView",),
    "REPLY": ("Reply", "ReadReply"),
    "STATUS": ("Status",),
    "WITNESS": ("Witness",),
    "DECISION": ("Decision",),
    "BODY": ("BatchBody",),
    "NODE": ("Nodes",),
    "FETCH": ("FetchBatch", "FetchNodes"),
}
"""As the paper spells them, one or several of them."""
FIELDS = ("view", "sequence", "digest", "replica", "results", "executed", "low_watermark")


def traitor(draft: Draft, words: Words) -> None:
    """What one replica does in place of what it should."""
    number = words.replica()
    if number >= draft.n:
        raise words.wrong(f"one of the {draft.n} replicas in the place of R{number}")
    verb = words.choice("what it does", [*VERBS, "runs"])
    if verb == "runs":
        words.expect("twice")
        draft.twins.add(number)
        return
    act, kinds = VERBS[verb](draft, words)
    target = _target(draft, words, kinds)
    draft.attacks.setdefault(number, []).append(Attack(act, target))


Verb = Callable[[Draft, Words], tuple[AnyAct, tuple[str, ...]]]


def _kinds(words: Words) -> tuple[str, ...]:
    """Kinds of messages, none for all of them."""
    found: list[str] = []
    while words.peek().isupper() or words.peek().rstrip("s").isupper():
        if words.at_replica:
            break
        name = words.peek().removesuffix("s")
        if name not in KINDS:
            raise words.wrong(f"a kind of message, one of {', '.join(sorted(KINDS))}")
        words.next("a kind")
        found += KINDS[name]
        words.take("and")
    return tuple(found)


def _is(draft: Draft, words: Words) -> tuple[AnyAct, tuple[str, ...]]:
    words.expect("silent")
    return Omit(), ()


def _plain(act: AnyAct) -> Verb:
    return lambda draft, words: (act, _kinds(words))


def _delays(draft: Draft, words: Words) -> tuple[AnyAct, tuple[str, ...]]:
    kinds = _kinds(words)
    words.expect("by")
    return Delay(words.time()), kinds


def _changes(draft: Draft, words: Words) -> tuple[AnyAct, tuple[str, ...]]:
    field = words.choice("a field", FIELDS)
    words.expect("of")
    kinds = _kinds(words)
    words.expect("to")
    return Mutate(field, Change(words.choice("a change", [each.value for each in Change]))), kinds


def _forges(draft: Draft, words: Words) -> tuple[AnyAct, tuple[str, ...]]:
    kinds = _kinds(words)
    if not words.take("with"):
        return Forge(), kinds
    names = {each.name.lower().replace("_", "-"): each for each in Form}
    return Forge(names[words.choice("a way to forge", list(names))]), kinds


def _forks(draft: Draft, words: Words) -> tuple[AnyAct, tuple[str, ...]]:
    words.expect("for")
    return Fork(words.replicas(draft.n)), ()


def _equivocates(draft: Draft, words: Words) -> tuple[AnyAct, tuple[str, ...]]:
    """To everybody, or between two groups: to the second speaks another core with the same key."""
    if not words.take("between"):
        return Imitate("equivocate"), ()
    words.replicas(draft.n)
    words.expect("and")
    return Fork(words.replicas(draft.n)), ()


def _behaves(draft: Draft, words: Words) -> tuple[AnyAct, tuple[str, ...]]:
    words.expect("like")
    return Imitate(words.choice("a behaviour", list(IMITATED))), ()


VERBS: dict[str, Verb] = {
    "is": _is,
    "omits": _plain(Omit()),
    "delays": _delays,
    "duplicates": _plain(Duplicate(2)),
    "garbles": _plain(Flip(2)),
    "changes": _changes,
    "forges": _forges,
    "replays": _plain(Repeat()),
    "forks": _forks,
    "equivocates": _equivocates,
    "ignores": _plain(Ignore()),
    "behaves": _behaves,
    "fuzzes": _plain(Fuzz()),
}


def _target(draft: Draft, words: Words, kinds: tuple[str, ...]) -> Target:
    """Whatever limits the attack, in any order."""
    to: tuple[ReplicaId | str, ...] = ()
    views: Range | None = None
    numbers: Range | None = None
    rounds: Range | None = None
    begin, end, chance = 0, FOREVER, 1.0
    while words:
        if words.take("to") or words.take("of"):
            to = words.replicas(draft.n) if words.at_replica else (words.next("a client"),)
        elif words.take("in", "view") or words.take("in", "views"):
            views = words.range()
        elif words.take("for", "number") or words.take("for", "numbers"):
            numbers = words.range()
        elif words.take("in", "round") or words.take("in", "rounds"):
            rounds = words.range()
        elif words.take("from"):
            begin = words.time()
            end = words.time() if words.take("to") else end
        elif words.take("until"):
            end = words.time()
        elif words.take("with"):
            chance = words.share()
        else:
            raise words.wrong("'to', 'of', 'in view', 'in round', 'for number', 'from' or 'with'")
    times = (begin, end) if (begin, end) != (0, FOREVER) else None
    return Target(kinds, to, views, numbers, rounds, times, None, chance)
