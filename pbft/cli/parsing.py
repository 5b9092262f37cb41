"""argparse, with one sentence instead of a usage dump, and an example under every help text."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeAlias

from pbft.cli.examples import EXAMPLES
from pbft.core.errors import PbftError

SubParsers: TypeAlias = "argparse._SubParsersAction[Parser]"

MAX_CLIENTS = 1000
MAX_SECONDS = 24 * 3600.0
RUN_SECONDS = 60.0
"""Of one simulated run, which takes a second or two."""


class UsageError(PbftError):
    """A command line that asks for something that does not exist."""


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")


def new_parser() -> Parser:
    """The parser of `pbft` itself, still without commands."""
    return Parser(
        prog="pbft",
        description="Byzantine fault-tolerant state-machine replication over UDP.",
        epilog=_epilog(""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_command(subparsers: SubParsers, command: str, description: str) -> Parser:
    """Add `command` ("kv", or "kv put" below the sub-parsers of kv) with its help and example."""
    return subparsers.add_parser(
        command.split()[-1],
        help=description.split("\n", 1)[0],
        description=description,
        epilog=_epilog(command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_directory(parser: Parser) -> None:
    """The argument DIR of all commands that work on a cluster."""
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="the directory that `pbft init` made"
    )


def whole(low: int, high: int) -> Callable[[str], int]:
    """An argument type: a whole number within [low, high]."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not between {low} and {high}")
        return value

    return parse


def seconds(text: str) -> float:
    """An argument type: a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {MAX_SECONDS:.0f} seconds")
    return value


def add_limit(parser: Parser) -> None:
    """--limit, of all commands that run what a user has written."""
    parser.add_argument(
        "--limit",
        type=seconds,
        default=RUN_SECONDS,
        metavar="S",
        help=f"a run that takes longer than S seconds has failed ({RUN_SECONDS:g})",
    )


def _epilog(command: str) -> str:
    return f"example:\n  {EXAMPLES[command]}"
