"""`python -m docs.generator [DIRECTORY]`: the site in build/docs, or in docs/ of that directory.

First the pages are copied to pages/ beside it, with what is generated in place of its markers
(`<!-- generated: NAME -->`) and fences as the site's tool understands them; then that tool builds
the site, strictly: a link, an anchor or a name of the API that leads nowhere is an error. Only
the second step knows the tool.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from docs.generator import commands, flows, pictures, tables

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "docs"
SETTINGS = "site.toml"
MARKER = re.compile(r"^<!-- generated: (\S+) -->$", re.MULTILINE)
FENCE = re.compile(r"^```(\w+)[ \t]+([^\n]*)$", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HIGHLIGHTED = {"output": "text"}
"""Kinds of our own, as what they are shown."""

GENERATED: dict[str, Callable[[], str]] = {
    "turn": pictures.turn,
    "writers": pictures.writers,
    "normal-case": flows.normal_case,
    "view-change": flows.changed_view,
    "rules": tables.rules,
    "messages": tables.messages,
    "quorums": tables.quorums,
    "protocol-keys": tables.protocol_keys,
    "exit-statuses": tables.exit_statuses,
    "commands": commands.every_help,
}


def main(arguments: list[str]) -> int:
    """The exit status: 0 where the site is complete."""
    directory = Path(arguments[0]) if arguments else ROOT / "build"
    pages, site = directory / "pages", directory / "docs"
    for each in (pages, site):
        shutil.rmtree(each, ignore_errors=True)
    for path in sorted(SOURCE.rglob("*.md")):
        target = pages / "docs" / path.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(prepared(path.read_text("utf-8")), "utf-8")
    (pages / "zensical.toml").write_text(settings(), "utf-8")
    problems = build(pages)
    if problems:
        print(problems, "the documentation is not complete", sep="\n", file=sys.stderr)
        return 1
    (pages / "site").rename(site)
    print(site / "index.html")
    return 0


def build(pages: Path) -> str:
    """Have the tool build what is in `pages`; its complaints, if it has any, without colours and
    without the traceback that it ends with."""
    tool = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(tool, cwd=pages, capture_output=True, text=True)
    said = (COLOUR.sub("", each).partition("Traceback")[0] for each in (done.stdout, done.stderr))
    return "\n".join(said) if done.returncode else ""


def prepared(text: str) -> str:
    """A page as the tool reads it. Raises `KeyError` for a marker that nothing generates."""
    text = FENCE.sub(_fence, text)
    text = re.sub(r"^```output$", "```text", text, flags=re.MULTILINE)
    return MARKER.sub(lambda found: GENERATED[found[1]](), text)


def _fence(found: re.Match[str]) -> str:
    """Our words for the tests become a title, or nothing."""
    kind = HIGHLIGHTED.get(found[1], found[1])
    name = re.search(r"file=(\S+)", found[2])
    return f'```{kind} title="{name[1]}"' if name else f"```{kind}"


def settings() -> str:
    """With every decision in the navigation, by its number, and where the sources are."""
    text = (SOURCE / SETTINGS).read_text("utf-8")
    found = sorted((SOURCE / "decisions").glob("*.md"))
    listed = ",\n".join(f'    "decisions/{each.name}"' for each in found)
    text = text.replace('"decisions/*"', f"\n{listed},\n  ").replace("CHECKOUT", str(ROOT))
    tomllib.loads(text)
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
