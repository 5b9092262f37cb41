"""Where `pbft` begins: find the command, run it, and turn every error into one sentence.

| exit status | means |
|---|---|
| 0 | it held |
| 1 | it did not: no such key, a replica gave up, a verdict that failed |
| 2 | the command line or the configuration is wrong |
| 3 | no quorum answered in time: the outcome is not known |
| 130 | interrupted |
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Protocol, cast

from pbft import __version__
from pbft.cli.parsing import Parser, SubParsers, UsageError, new_parser
from pbft.core.errors import ConfigurationError, PbftError, UnansweredError
from pbft.crypto.errors import CryptoError

OK, FAILED, MISUSED, UNKNOWN, INTERRUPTED = 0, 1, 2, 3, 130

COMMANDS = (
    *("init", "admit", "replica", "recover", "up", "status", "kv", "demo", "bench", "simulate"),
    *("campaign", "replay", "shrink", "timeline", "determinism", "check"),
    *("diverged", "audit", "verify-receipt", "scenario"),
)


class Command(Protocol):
    """What each module of a command offers."""

    def add_parser(self, subparsers: SubParsers) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. Nothing but a defect of ours leaves as a traceback."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    named = arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS
    try:
        args = build_parser(named).parse_args(arguments)
        status = _command(args.command).run(args)
        sys.stdout.flush()
        return status
    except (UsageError, ConfigurationError, CryptoError) as error:
        return _say(error, MISUSED)
    except UnansweredError as error:
        return _say(error, UNKNOWN)
    except PbftError as error:
        return _say(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def build_parser(names: Iterable[str] = COMMANDS) -> Parser:
    """The command line with the commands named; loading one alone keeps it quick to start."""
    parser = new_parser()
    parser.add_argument("--version", action="version", version=f"pbft {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        _command(name).add_parser(subparsers)
    return parser


def _command(name: str) -> Command:
    return cast(Command, import_module(f"pbft.cli.{name.replace('-', '_')}"))


def _say(error: Exception, status: int) -> int:
    print(f"pbft: {error}", file=sys.stderr)
    return status
