"""A scenario file: a sentence per line, `#` begins a comment, `then:` what must come of it."""

from dataclasses import dataclass
from pathlib import Path

from pbft.core.errors import ConfigurationError
from pbft.testing.plan import Plan
from pbft.testing.scenario.draft import Draft
from pbft.testing.scenario.expectations import Expectation, expectation
from pbft.testing.scenario.sentences import SENTENCES, client
from pbft.testing.scenario.traitors import traitor
from pbft.testing.scenario.words import ScenarioError, Words

__all__ = ["Scenario", "ScenarioError", "parse", "read"]

MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a file says. `title`: its first comment."""

    path: Path
    title: str
    plan: Plan
    expectations: tuple[Expectation, ...]


def read(path: Path) -> Scenario:
    """The scenario in a file. Raises `ScenarioError`: file, line, and what was expected there."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ScenarioError(f"{path}: a scenario has at most {MAX_BYTES} bytes")
        text = path.read_text("utf-8")
    except OSError as error:
        raise ScenarioError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path} is no text: a scenario has a sentence per line") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Scenario:
    """The scenario in `text`, which errors say is in `path`. Raises `ScenarioError`."""
    draft, expected, title = Draft(), [], ""
    for number, line in enumerate(text.splitlines(), 1):
        said, _, comment = line.partition("#")
        title = title or comment.strip()
        words = Words(said, f"{path}:{number}")
        if words.take("then:"):
            expected += _expectations(draft, words)
        elif words:
            _sentence(draft, words)
    if not expected:
        raise ScenarioError(f"{path}: expected a line 'then: ...' that says what must come of it")
    if not draft.calls:
        raise ScenarioError(f"{path}: expected a client that calls, like 'client-0 puts a=1'")
    try:
        return Scenario(path, title, draft.plan(), tuple(expected))
    except ConfigurationError as error:
        raise ScenarioError(f"{path}: {error}") from None


def _sentence(draft: Draft, words: Words) -> None:
    first = words.peek()
    if words.at_replica:
        traitor(draft, words)
    elif first in SENTENCES:
        SENTENCES[words.next("a sentence")](draft, words)
    elif first.startswith(("client-", "mallory")):
        client(draft, words)
    else:
        known = ", ".join(sorted(SENTENCES))
        raise words.wrong(
            f"a replica like R0, a client like client-0 or mallory, or one of {known}"
        )
    words.end()


def _expectations(draft: Draft, words: Words) -> list[Expectation]:
    found = [expectation(draft, words)]
    while words.take(","):
        found.append(expectation(draft, words))
    words.end("',' and what else is expected")
    return found
