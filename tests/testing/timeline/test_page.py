"""The page is one file that reaches nothing, and nothing that was said in the run becomes part of
its markup or its code."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from pbft.testing.plan import draw
from pbft.testing.planfiles import PlanFileError
from pbft.testing.scripts import Call, Script
from pbft.testing.simulator import run
from pbft.testing.timeline.observer import Recorder
from pbft.testing.timeline.page import render, write
from pbft.testing.timeline.recording import Recording
from tests.testing.planted_plans import brief

EVIL = "</script><img src=x onerror=alert(1)>{{data}}<!--"
VOID = {"meta", "br", "img", "link", "input", "hr"}


def evil_recording() -> Recording:
    """Everybody says something that would be markup."""
    script = Script(1, (Call(EVIL.encode(), 0), Call(b"\x93\x01\xc4\x04key0\xc4\x01<", 0)))
    plan = brief(draw(4), scripts={"client-0": script}, outbursts=[])
    recorder = Recorder()
    run(plan, [recorder])
    return recorder.recording(EVIL)


@pytest.fixture(scope="module")
def page() -> str:
    return render(evil_recording())


class Reader(HTMLParser):
    """Follows what is open, and collects elements with their texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_the_page_is_well_formed(page: str) -> None:
    reader = read(page)
    assert page.startswith("<!doctype html>\n<html lang=")
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"lanes", "legend", "detail", "story", "recording"} <= set(ids)


def test_nothing_is_fetched_and_nothing_else_may_run(page: str) -> None:
    reader = read(page)
    assert not re.search(
        r"https?://|//[a-z]|url\(|@import|\bfetch\(|XMLHttp|eval\(",
        page.split('<script type="application/json"')[0] + page.rsplit("</script>", 2)[1],
    )
    for tag, attributes in reader.found:
        assert tag not in ("img", "link", "iframe", "object")
        assert not {"src", "href", "style", "srcdoc"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)


def test_the_policy_names_the_digests_of_style_and_script_alone(page: str) -> None:
    reader = read(page)
    (policy,) = (a["content"] for t, a in reader.found if a.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for text in ("".join(reader.texts["style"]), "".join(reader.texts["script"][1:])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_what_was_said_is_data_and_survives_as_it_was(page: str) -> None:
    assert "<img" not in page
    reader = read(page)
    data = msgspec.json.decode(reader.texts["script"][0], type=Recording)
    assert data == evil_recording()
    assert any("<img src=x" in content for content in data.contents)
    assert reader.texts["h1"] == [EVIL]
    assert reader.texts["title"] == [f"{EVIL} - pbft timeline"]


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    recording = evil_recording()
    write(tmp_path / "run.html", recording)
    assert (tmp_path / "run.html").read_text("utf-8") == render(recording)
    with pytest.raises(PlanFileError, match="cannot be written"):
        write(tmp_path / "run.html" / "run.html", recording)
