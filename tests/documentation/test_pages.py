"""Every page, typed line by line by somebody who has installed the wheel and nothing else.

The pages in `CONTINUED` go on where the tutorial ends, as they say: in its directory, with its
cluster running.
"""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documentation.blocks import NOT_RUN, ROOT, WORDS, blocks, pages
from tests.documentation.environment import installed
from tests.documentation.typist import Desk

TUTORIAL = "docs/tutorial.md"
CONTINUED = (
    "docs/four-hosts.md",
    "docs/how-to/consistency.md",
    "docs/how-to/unanswered.md",
    "docs/how-to/receipts.md",
    "docs/how-to/monitoring.md",
    "docs/how-to/permissions.md",
)
PAGES = [str(each.relative_to(ROOT)) for each in pages()]
ALONE = [each for each in PAGES if each not in (TUTORIAL, *CONTINUED)]
MOST_NOT_RUN = {"hosts": 1, "system": 3, "fragment": 4, "make": 2, "long": 1, "picture": 1}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory, environment: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("tutorial"), environment)
    try:
        desk.type(ROOT / TUTORIAL)
        yield desk
    finally:
        desk.stop()


def test_every_block_says_what_is_to_be_done_with_it() -> None:
    for block in (block for page in pages() for block in blocks(page)):
        assert block.kind, f"{block.place}: a fence without a kind"
        assert block.words.keys() <= WORDS, f"{block.place}: {block.words}"
        typed = block.kind in ("sh", "output", "error") or "file" in block.words
        assert typed or "not-run" in block.words, f"{block.place}: nobody types this"


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    reasons = [
        block.words["not-run"]
        for page in pages()
        for block in blocks(page)
        if "not-run" in block.words
    ]
    assert set(reasons) <= NOT_RUN.keys()
    installing = [b.page for page in pages() for b in blocks(page) if "install" in b.words]
    assert installing == [TUTORIAL]
    assert Counter(reasons) <= Counter(MOST_NOT_RUN)


@pytest.mark.cluster
def test_what_is_typed_comes_from_the_wheel_alone(environment: Path) -> None:
    code = "import pbft, pbft.crypto.signing as s; print(pbft.__file__); print(s.__file__)"
    python = environment / "bin" / "python"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert all(Path(line).is_relative_to(environment) for line in done.stdout.splitlines())


@pytest.mark.cluster
@pytest.mark.usefixtures("budgeted")
def test_the_tutorial_works_as_it_stands(tutorial: Desk) -> None:
    assert tutorial.running == 1


@pytest.mark.cluster
@pytest.mark.usefixtures("budgeted")
@pytest.mark.parametrize("page", CONTINUED)
def test_a_page_that_goes_on_with_the_tutorial(page: str, tutorial: Desk) -> None:
    try:
        tutorial.type(ROOT / page)
    finally:
        tutorial.stop(keeping=1)


@pytest.mark.cluster
@pytest.mark.usefixtures("budgeted")
@pytest.mark.parametrize("page", ALONE)
def test_a_page_by_itself(page: str, environment: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", environment)
    try:
        desk.type(ROOT / page)
    finally:
        desk.stop()
