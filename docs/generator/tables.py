"""Tables that are the code's own: rules, messages, quorums, the cluster file, exit statuses."""

import re
from collections.abc import Iterable, Sequence
from typing import get_args

import griffe

from docs.generator.pictures import module_of
from docs.generator.runs import paper_name
from pbft import cluster_file
from pbft.cli import main
from pbft.core import quorum
from pbft.core.config import Configuration
from pbft.core.messages import LinkMessage, Signable
from pbft.core.protocol.admission import HANDLERS
from pbft.core.replica import CLOSING, RULES

SIZES = (4, 5, 6, 7, 10, 13, 31, 100)


def rules() -> str:
    """Every rule in its order, in the words of its own first sentence."""
    rows = [
        (f"{rule.__name__.replace('_', ' ')} ({_words(rule)})", _first(rule.__doc__))
        for rule in (*RULES, *CLOSING)
    ]
    return _table(("rule", "what it does"), rows)


def messages() -> str:
    """Every message, what vouches for it, and the module whose handler takes it in."""
    rows = []
    for vouched, kinds in (("signature", get_args(Signable)), ("link", get_args(LinkMessage))):
        for kind in kinds:
            handler = HANDLERS.get(kind)
            taken = _words(handler) if handler else ""
            rows.append((paper_name(kind.__name__), vouched, _first(kind.__doc__, 2), taken))
    return _table(("message", "vouched for by", "what it is", "taken in by"), rows)


def quorums() -> str:
    """The arithmetic for some sizes."""
    rows = []
    for n in SIZES:
        f, q = quorum.faults(n), quorum.quorum(n)
        rows.append([str(each) for each in (n, f, q, quorum.weak_quorum(n), 2 * q - n)])
    headings = ("n", "f", "quorum q", "f + 1", "two quorums share at least")
    return _table(headings, rows)


def protocol_keys() -> str:
    """The keys of `[protocol]` in the cluster file, with their defaults."""
    told = _attributes("pbft.core.config", Configuration.__name__)
    rows = []
    for key, default in cluster_file.defaults().items():
        field = key.removesuffix("_ms") + "_ns" if key.endswith("_ms") else key
        value = str(default).lower() if isinstance(default, bool) else f"{default:,}"
        rows.append((f"`{key}`", value, _first(told.get(field), sentences=2)))
    return _table(("key", "default", "what it is"), rows)


def exit_statuses() -> str:
    """The table in the words of the program."""
    return "\n".join(line for line in (main.__doc__ or "").splitlines() if line.startswith("|"))


def _words(function: object) -> str:
    return module_of(function).replace("_", " ")


def _attributes(module: str, owner: str) -> dict[str, str]:
    """What is written under the fields of a class."""
    members = griffe.load(module)[owner].members
    return {name: each.docstring.value for name, each in members.items() if each.docstring}


def _first(text: str | None, sentences: int = 1) -> str:
    """The first sentences, on one line."""
    line = re.sub(r"\s+", " ", (text or "").strip())
    parts = re.split(r"(?<=[.:])\s(?=[A-Z`])", line)
    return " ".join(parts[:sentences]).rstrip(":").replace("|", "\\|").replace("<", "&lt;")


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
