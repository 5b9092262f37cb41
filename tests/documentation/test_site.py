"""The site is complete: it builds strictly, has every page, and loads nothing from elsewhere."""

import re
import tomllib
from pathlib import Path

import pytest

import pbft
from docs.generator.__main__ import GENERATED, MARKER, build, main, prepared, settings
from pbft.cli.main import COMMANDS
from pbft.core.protocol.admission import HANDLERS
from pbft.core.replica import CLOSING, RULES
from tests.documentation.blocks import ROOT

DOCS = ROOT / "docs"
SOURCES = sorted(DOCS.rglob("*.md"))


def test_it_is_built_with_every_page_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    named = re.findall(r"[\w/-]+\.md", str(tomllib.loads(settings())["project"]["nav"]))
    assert sorted(named) == [str(each.relative_to(DOCS)) for each in SOURCES]
    loads = re.compile(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="?(?:https?:)?//')
    for each in named:
        page = (tmp_path / "docs" / each).with_suffix(".html")
        assert not loads.search(page.read_text("utf-8")), page


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a page](nowhere.md)", "nowhere.md"),
        ("[an anchor](#nowhere)", "anchor does not exist"),
        ("::: pbft.client.Nobody", "pbft.client.Nobody could not be found"),
        ("[itself](index.md)", ""),
    ],
)
def test_what_leads_nowhere_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    nav = re.compile(r"^nav = \[.*?^\]$", re.MULTILINE | re.DOTALL)
    small = nav.sub('nav = ["index.md"]', settings())
    (tmp_path / "zensical.toml").write_text(small, "utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# A page\n\n{text}\n", "utf-8")
    problems = build(tmp_path)
    assert says in problems
    assert bool(problems) == bool(says)


def test_every_generated_part_is_used_once_and_no_other_is_asked_for() -> None:
    asked = [name for page in SOURCES for name in MARKER.findall(page.read_text("utf-8"))]
    assert sorted(asked) == sorted(GENERATED)
    with pytest.raises(KeyError):
        prepared("<!-- generated: nothing -->")


def test_the_pictures_show_every_rule_and_every_message_with_a_handler() -> None:
    turn, rules = GENERATED["turn"](), GENERATED["rules"]()
    for rule in (*RULES, *CLOSING):
        assert f">{rule.__name__.replace('_', ' ')}<" in turn
        assert f"| {rule.__name__.replace('_', ' ')} (" in rules
    assert turn.count("<rect") == len(RULES) + len(CLOSING) + len(HANDLERS)


def test_the_flows_are_of_one_request() -> None:
    normal, changed = GENERATED["normal-case"](), GENERATED["view-change"]()
    for kind in ("REQUEST", "PRE-PREPARE", "PREPARE", "COMMIT", "REPLY"):
        assert f">{kind}<" in normal
        assert f">{kind}<" in changed
    assert ">VIEW-CHANGE<" in changed
    assert ">NEW-VIEW<" in changed
    assert ">VIEW-CHANGE<" not in normal


def test_the_command_line_is_there_as_it_describes_itself() -> None:
    text = GENERATED["commands"]()
    for command in COMMANDS:
        assert f"### `pbft {command}`\n" in text
        assert f"usage: pbft {command} " in text


def test_the_fences_lose_our_words() -> None:
    before = "```python file=a.py\nx\n```\n```output\ny\n```\n```sh background\nz\n```\n"
    after = '```python title="a.py"\nx\n```\n```text\ny\n```\n```sh\nz\n```\n'
    assert prepared(before) == after


def test_the_reference_has_every_public_name() -> None:
    """Under the module that it comes from, since that is what is documented."""
    text = "\n".join(each.read_text("utf-8") for each in (DOCS / "reference").glob("*.md"))
    named = re.findall(r"^::: (\S+)", text, re.MULTILINE)
    for name in pbft.__all__:
        home = pbft._HOMES.get(name, "pbft.core.errors")
        if not name.startswith("__"):
            assert {home, f"{home}.{name}"} & set(named), f"{name} is not in docs/reference"
