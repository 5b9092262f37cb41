"""The page of a run, in a real browser: it loads, draws, shows what is clicked and hides what is
filtered, in light and in dark, and works with as many messages as it keeps."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pbft.testing.plan import draw
from pbft.testing.simulator import run
from pbft.testing.timeline.observer import Recorder
from pbft.testing.timeline.page import write
from pbft.testing.timeline.recording import MAX_ARROWS, Arrow, Recording
from tests.system.browser import Browser, Page, chromium
from tests.testing.planted_plans import brief

pytestmark = pytest.mark.system
CANVAS = "document.getElementById('lanes')"


def failing() -> Recording:
    """The control: two traitors fork the cluster."""
    recorder = Recorder()
    run(brief(replace(draw(3, 4, 2), loss=0.1), 9), [recorder])
    return recorder.recording("two traitors")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "run.html"
        write(path, failing())
        yield browser.open(path)


def drawn(page: Page) -> int:
    return int(page.value(f"{CANVAS}.dataset.arrows"))


def colours(page: Page) -> int:
    """How many different colours there are in the picture."""
    return int(
        page.value(
            "(canvas => { const copy = document.createElement('canvas');"
            " [copy.width, copy.height] = [canvas.width, canvas.height];"
            " const g = copy.getContext('2d', { willReadFrequently: true });"
            " g.drawImage(canvas, 0, 0);"
            " const pixels = g.getImageData(0, 0, copy.width, copy.height).data.buffer;"
            f" return new Set(new Uint32Array(pixels)).size; }})({CANVAS})"
        )
    )


def detail(page: Page) -> str:
    return str(page.value("document.getElementById('detail').innerText"))


def press_button(page: Page, selector: str) -> None:
    page.value(f"document.querySelector({selector!r}).click()")
    page.settle()


def test_lanes_and_arrows_are_drawn_without_a_complaint(page: Page) -> None:
    assert page.value(f"{CANVAS}.dataset.lanes") == "7"
    assert drawn(page) > 50
    assert colours(page) > 20
    story = page.value("document.getElementById('story').innerText")
    assert "agreement: " in story
    assert "replica 0 is a traitor: twins" in story
    assert page.complaints == []


def test_a_click_shows_the_content_and_escape_takes_it_away(page: Page) -> None:
    page.value(f"{CANVAS}.focus()")
    page.press("n")
    place = page.value(f"{CANVAS}.dataset.selected")
    shown = detail(page)
    assert "Request" in shown
    page.press("Escape")
    assert "Click an arrow" in detail(page)
    corner = page.value(f"(box => [box.left, box.top])({CANVAS}.getBoundingClientRect())")
    x, y = map(float, place.split(","))
    page.click(corner[0] + x, corner[1] + y)
    assert detail(page).split("\n")[0] == shown.split("\n")[0]
    assert "client" in detail(page)
    page.press("Escape")


def test_the_filter_hides_a_kind_and_shows_it_again(page: Page) -> None:
    before = drawn(page)
    button = "#legend button[data-kind=Prepare]"
    count = int(page.value(f"document.querySelector({button!r}).querySelector('small').innerText"))
    press_button(page, button)
    assert page.value(f"document.querySelector({button!r}).ariaPressed") == "false"
    assert drawn(page) == before - count
    press_button(page, button)
    assert drawn(page) == before


def test_zoom_and_the_keys_show_a_part_and_the_whole_again(page: Page) -> None:
    page.value(f"{CANVAS}.focus()")
    before = page.value("document.getElementById('range').innerText")
    for key in ("+", "+", "+", "ArrowRight"):
        page.press(key)
    assert page.value("document.getElementById('range').innerText") != before
    page.press("0")
    assert page.value("document.getElementById('range').innerText") == before
    press_button(page, "#story .violation button")
    assert page.value("document.getElementById('range').innerText") != before
    press_button(page, "#all")
    press_button(page, "#pauses")
    assert drawn(page) > 50
    press_button(page, "#pauses")


def test_light_and_dark_are_two_pictures(page: Page) -> None:
    seen = set()
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        seen.add(page.value("getComputedStyle(document.body).backgroundColor"))
        assert colours(page) > 20
    assert len(seen) == 2
    assert page.complaints == []


def test_as_many_messages_as_are_kept_are_drawn_in_a_blink(
    browser: Browser, tmp_path: Path
) -> None:
    small = failing()
    arrows = [
        Arrow(n % 4, (n + 1) % 4, n * 100_000, n * 100_000 + 500_000, n % 3, "arrived", 0)
        for n in range(MAX_ARROWS)
    ]
    end = MAX_ARROWS * 100_000
    write(
        tmp_path / "big.html",
        Recording(
            "big", small.lanes, ["Prepare", "Commit", "Reply"], arrows, [], [], ["x"], [], end, 7
        ),
    )
    page = browser.open(tmp_path / "big.html")
    assert drawn(page) == MAX_ARROWS
    assert "the 7 before them are left out" in page.value("document.body.innerText")
    took = page.value(
        "(async () => { const begun = performance.now();"
        " document.getElementById('closer').click();"
        " await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
        " return performance.now() - begun; })()"
    )
    assert took < 2000
    assert page.complaints == []
