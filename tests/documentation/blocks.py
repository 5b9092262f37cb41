"""The blocks of the pages, and what the words behind a fence mean.

| word | means |
|---|---|
| `file=NAME` | the block is the whole of that file |
| `background` | each line is a program that goes on running; one that runs is started again |
| `interrupt=N` | Ctrl-C to the N-th program in the background, before the block is typed |
| `exit=N` | the block ends with that status, not with 0 |
| `install` | how the reader installs; tests have a virtual environment that was made otherwise |
| `not-run=WHY` | nobody types this here; WHY is one of `NOT_RUN` |

After a block of `sh`, `output` is all that it printed and `error` what it complained about; `...`
stands for anything.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```([\w-]*)[ \t]*([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = {
    "hosts": "needs other hosts",
    "system": "changes the machine",
    "fragment": "a part of a file, which says nothing by itself",
    "make": "sets up the checkout, or runs all tests",
    "long": "takes longer than all tests of the documentation",
    "picture": "is not code",
}
WORDS = frozenset({"file", "background", "interrupt", "exit", "install", "not-run"})


class Block(NamedTuple):
    """`kind`: what it is highlighted as. `line`: of its fence, from 1."""

    page: str
    line: int
    kind: str
    words: dict[str, str]
    text: str

    @property
    def place(self) -> str:
        """For people."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """All that is read by people and has blocks: the README and what is in docs/."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [each for each in found if "```" in each.read_text("utf-8")]


def blocks(page: Path) -> Iterator[Block]:
    """In the order of the page."""
    text = page.read_text("utf-8")
    for found in BLOCK.finditer(text):
        words = dict(word.partition("=")[::2] for word in found[2].split())
        line = text.count("\n", 0, found.start()) + 1
        yield Block(str(page.relative_to(ROOT)), line, found[1], words, found[3])
