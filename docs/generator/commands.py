"""The command line as it describes itself: the text of every `--help`."""

import argparse
import os
from collections.abc import Iterator
from unittest import mock

from pbft.cli.main import build_parser

COLUMNS = "92"


def every_help() -> str:
    """A heading and the help of `pbft` and of each command, in the program's order."""
    with mock.patch.dict(os.environ, {"COLUMNS": COLUMNS, "NO_COLOR": "1"}):
        return "\n\n".join(
            f"{'#' * (2 + prog.count(' '))} `{prog}`\n\n```text\n{text.rstrip()}\n```"
            for prog, text in _helps(build_parser())
        )


def _helps(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    yield _command(parser.prog), parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _helps(each)


def _command(prog: str) -> str:
    """Without the arguments that argparse puts before a sub-command."""
    return " ".join(word for word in prog.split() if word.islower())
