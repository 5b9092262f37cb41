"""`pbft verify-receipt`: what a receipt proves, from the public cluster file alone."""

import argparse
import json
from pathlib import Path

import msgspec

from pbft.cli.parsing import SubParsers, add_command
from pbft.cluster import CLUSTER_FILE, Cluster
from pbft.core.errors import InvalidArgumentsError
from pbft.receipts import MAX_BYTES, ReceiptError, parse, verify
from pbft.typed.methods import parse_operation

MAX_READABLE = 500
"""Letters of a value that are printed beside its bytes."""


def add_parser(subparsers: SubParsers) -> None:
    """verify-receipt FILE [--cluster DIR|FILE] [--json]"""
    parser = add_command(
        subparsers, "verify-receipt", "check a receipt offline and say what it proves"
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the receipt")
    parser.add_argument(
        "--cluster",
        type=Path,
        default=Path(),
        metavar="DIR|FILE",
        help="cluster.toml under any name, or the directory that has it (the current one)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """0 where the receipt is genuine; raises `ReceiptError` where it is not."""
    try:
        with args.file.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("ascii")
    except OSError as error:
        raise ReceiptError(f"{args.file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ReceiptError(f"{args.file} is not a receipt: it is not text") from None
    proven = verify(parse(text), Cluster.read(_file(args.cluster)))
    if args.json:
        print(
            json.dumps(
                {
                    "client": proven.client,
                    "command": _command(proven.operation),
                    "operation": proven.operation.hex(),
                    "result": proven.result.hex(),
                    "sequence": proven.sequence,
                    "replicas": proven.replicas,
                }
            )
        )
        return 0
    said = ", ".join(map(str, proven.replicas))
    command = _command(proven.operation)
    called = command or "an operation"
    print(f"genuine: {proven.client} called {called}")
    print(f"executed at sequence number {proven.sequence}; so say replicas {said}")
    print(f"operation: {proven.operation.hex()}{_readable(proven.operation) if command else ''}")
    print(f"result: {proven.result.hex()}{_readable(proven.result) if command else ''}")
    return 0


def _readable(data: bytes) -> str:
    """The values of a typed call behind its bytes; nothing where they cannot be read."""
    try:
        text = repr(msgspec.msgpack.decode(data))
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return ""
    return f" = {text if len(text) <= MAX_READABLE else text[:MAX_READABLE] + '...'}"


def _file(path: Path) -> Path:
    return path / CLUSTER_FILE if path.is_dir() else path


def _command(operation: bytes) -> str | None:
    """The name of a typed call; none for other operations, which may hold anything."""
    try:
        name = parse_operation(operation)[0]
    except InvalidArgumentsError:
        return None
    return name if name.isprintable() else None
