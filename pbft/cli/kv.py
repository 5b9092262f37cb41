"""`pbft kv`: the key-value service from a shell. Keys and values are the bytes of the arguments."""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable

from pbft.cli.parsing import (
    Parser,
    SubParsers,
    UsageError,
    add_command,
    add_directory,
    seconds,
    whole,
)
from pbft.client import Client
from pbft.cluster_file import KEY_VALUE
from pbft.core.errors import RejectedError, ServiceError
from pbft.services.kv import MAX_SCAN, KeyValueClient
from pbft.transport.loop import run as run_loop

TIMEOUT_SECONDS = 10.0

Action = Callable[[KeyValueClient, argparse.Namespace], Awaitable[int]]


def add_parser(subparsers: SubParsers) -> None:
    """kv and its five operations."""
    parser = add_command(
        subparsers, "kv", "put, get, delete, compare-and-swap and scan keys of a running cluster"
    )
    add_directory(parser)
    parser.add_argument(
        "--identity",
        help="who asks: a client, or the file of a guest (the first client not in use)",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_SECONDS,
        metavar="S",
        help=f"give up after S seconds, with exit status 3 ({TIMEOUT_SECONDS:.0f})",
    )
    operations = parser.add_subparsers(dest="operation", metavar="OPERATION", required=True)
    _add_operations(operations)


def _add_operations(operations: SubParsers) -> None:
    put = add_command(operations, "kv put", "set a key to a value")
    _positional(put, "KEY", "VALUE")
    get = add_command(
        operations, "kv get", "print the value alone; exit status 1 where there is none"
    )
    _positional(get, "KEY")
    delete = add_command(
        operations, "kv delete", "delete a key; exit status 1 where there was none"
    )
    _positional(delete, "KEY")
    swap = add_command(
        operations, "kv cas", "set a key only if it holds what is expected; exit status 1 if not"
    )
    _positional(swap, "KEY")
    swap.add_argument("values", metavar="EXPECTED VALUE", nargs="+", type=os.fsencode)
    swap.add_argument(
        "--absent", action="store_true", help="expect no value: give KEY and VALUE alone"
    )
    scan = add_command(operations, "kv scan", "print the keys with a prefix and their values")
    scan.add_argument("prefix", metavar="PREFIX", nargs="?", default=b"", type=os.fsencode)
    scan.add_argument("--limit", type=whole(1, MAX_SCAN), default=100, metavar="N")


def _positional(parser: Parser, *names: str) -> None:
    for name in names:
        parser.add_argument(name.lower(), metavar=name, type=os.fsencode)


def run(args: argparse.Namespace) -> int:
    """One operation; its exit status."""
    if args.operation == "cas" and len(args.values) != (1 if args.absent else 2):
        raise UsageError("cas takes KEY EXPECTED VALUE, or --absent KEY VALUE")
    return run_loop(_ask(args))


async def _ask(args: argparse.Namespace) -> int:
    async with Client(args.directory, identity=args.identity) as client:
        kv = KeyValueClient(client, timeout=args.timeout)
        try:
            return await ACTIONS[args.operation](kv, args)
        except RejectedError as error:  # what another service says to these bytes
            runs = client.cluster.file.service.runs
            if runs == KEY_VALUE:
                raise
            text = (
                f"this cluster runs {runs}, and kv speaks with {KEY_VALUE}: call yours by a proxy"
            )
            raise ServiceError(text) from error


async def _put(kv: KeyValueClient, args: argparse.Namespace) -> int:
    await kv.put(args.key, args.value)
    return 0


async def _get(kv: KeyValueClient, args: argparse.Namespace) -> int:
    value = await kv.get(args.key)
    if value is None:
        return 1
    _print(value)
    return 0


async def _delete(kv: KeyValueClient, args: argparse.Namespace) -> int:
    return 0 if await kv.delete(args.key) else 1


async def _cas(kv: KeyValueClient, args: argparse.Namespace) -> int:
    expected = None if args.absent else args.values[0]
    return 0 if await kv.cas(args.key, expected, args.values[-1]) else 1


async def _scan(kv: KeyValueClient, args: argparse.Namespace) -> int:
    """As many answers as it takes: one answer is bounded in bytes."""
    wanted, start = args.limit, b""
    while wanted > 0:
        pairs = await kv.scan(args.prefix, start=start, limit=wanted)
        if not pairs:
            break
        for key, value in pairs:
            _print(key + b"\t" + value)
        wanted -= len(pairs)
        start = pairs[-1][0] + b"\0"
    return 0


ACTIONS: dict[str, Action] = {
    "put": _put,
    "get": _get,
    "delete": _delete,
    "cas": _cas,
    "scan": _scan,
}


def _print(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
