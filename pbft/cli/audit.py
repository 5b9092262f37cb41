"""`pbft audit`: who broke the protocol, from what replicas have signed, offline."""

import argparse
import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from pbft.cli.parsing import SubParsers, UsageError, add_command
from pbft.cluster import CLUSTER_FILE, Cluster
from pbft.core.errors import ConfigurationError, DecodeError, StorageError
from pbft.evidence import evidence_paths, in_records, read_evidence
from pbft.forensics import Casebook, Conviction, Fork, Verdict, verdict
from pbft.forensics.rules import told
from pbft.journal_files import journal_paths, read_journal

JOURNAL = ".db"
SHOWN_FORKS = 5


def add_parser(subparsers: SubParsers) -> None:
    """audit PATH ... [--cluster DIR] [--json]"""
    parser = add_command(
        subparsers,
        "audit",
        "name the replicas that broke the protocol, with the proof\n\n"
        "Reads what replicas keep for this: the files in DIR/evidence and their journals in\n"
        "DIR/data, or the files given, collected from the replicas' hosts. Every signature is\n"
        "verified with the public keys of the cluster file; nobody has to be trusted or running.\n"
        "A replica is named where it has signed what no correct replica signs; the statements are\n"
        "shown. Who was only slow, silent, down or damaged is never named.\n"
        "Exit status: 0 nobody is named, 1 somebody is, 2 a file cannot be read.",
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        type=Path,
        help="a directory that `pbft init` made, or files out of one",
    )
    parser.add_argument(
        "--cluster", metavar="DIR", type=Path, help=f"where {CLUSTER_FILE} is (the first directory)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """0 where nobody is convicted, 1 where somebody is; raises `ConfigurationError` for a file that
    cannot be read."""
    for path in args.paths:
        if not path.exists():
            raise UsageError(f"{path} cannot be read: it does not exist")
    cluster = Cluster.load(_directory(args.cluster, args.paths))
    files = [file for path in args.paths for file in _files(path)]
    if not files:
        raise UsageError("there is no evidence and no journal here: name the files")
    book = Casebook(cluster.config, cluster.judge(), frozenset(cluster.clients))
    shown = Console(stderr=True)
    for path in track(files, "reading", console=shown, disable=not shown.is_terminal):
        for each in _statements(path, cluster):
            book.add(each)
    found = verdict(book)
    print(json.dumps(_object(found)) if args.json else _text(found, cluster.config.f))
    return 1 if found.culprits else 0


def _directory(named: Path | None, paths: Sequence[Path]) -> Path:
    if named is not None:
        return named
    for path in paths:
        if (path / CLUSTER_FILE).exists():
            return path
    raise UsageError(f"say with --cluster where {CLUSTER_FILE} is")


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [*evidence_paths(path), *sorted(path.glob("*.jsonl")), *journal_paths(path)]


def _statements(path: Path, cluster: Cluster) -> Iterator[bytes]:
    if path.suffix == JOURNAL:
        try:
            yield from in_records(read_journal(path, cluster).records)
        except StorageError as error:
            raise ConfigurationError(str(error)) from None
    else:
        yield from read_evidence(path, cluster.config.cluster_id)


# -- for programs -----------------------------------------------------------------------------


def _object(found: Verdict) -> dict[str, object]:
    return {
        "culprits": sorted(found.culprits),
        "convictions": [
            {
                "replica": each.culprit,
                "rule": each.rule,
                "reason": each.reason,
                "statements": [base64.b64encode(raw).decode() for raw in each.statements],
                "told": [_told(raw) for raw in each.statements],
            }
            for convictions in found.culprits.values()
            for each in convictions
        ],
        "forks": [
            {
                "sequence": fork.sequence,
                "certificates": [
                    {"view": c.view, "batch": c.digest.hex(), "replicas": c.signers}
                    for c in fork.certificates
                ],
                "views_without_new_view": fork.missing,
            }
            for fork in found.forks
        ],
        "enough": found.enough,
        "doubts": found.doubts,
        "statements": found.statements,
        "refused": found.refused,
    }


# -- for people -------------------------------------------------------------------------------


def _text(found: Verdict, f: int) -> str:
    lines = [line for fork in found.forks[:SHOWN_FORKS] for line in _fork(fork)]
    for culprit, convictions in found.culprits.items():
        lines.append(f"replica {culprit} broke the protocol:")
        lines += [f"  {line}" for each in convictions for line in _conviction(each)]
    if not found.enough:
        missing = sorted({view for fork in found.forks for view in fork.missing})
        views = f"views {', '.join(map(str, missing))}" if missing else "the views in between"
        lines.append(
            f"this is not all: where agreement is broken, {f + 1} or more have lied; add what"
            f" a replica that was in {views} has kept"
        )
    lines += [f"no proof: {doubt}" for doubt in found.doubts]
    named = ", ".join(map(str, found.culprits)) or "nobody"
    lines.append(f"named: {named}; {found.statements} genuine statements, {found.refused} refused")
    return "\n".join(lines)


def _fork(fork: Fork) -> list[str]:
    lines = [f"agreement is broken: number {fork.sequence} was decided differently"]
    for each in fork.certificates:
        signers = ", ".join(map(str, each.signers))
        lines.append(f"  batch {each.digest.hex()[:12]} in view {each.view} by replicas {signers}")
    return lines


def _conviction(conviction: Conviction) -> list[str]:
    return [
        f"{conviction.rule}: {conviction.reason}",
        *(f"  it signed {_told(raw)}" for raw in conviction.statements),
    ]


def _told(raw: bytes) -> str:
    try:
        return told(raw)
    except DecodeError:
        return f"(the batch itself, {len(raw)} bytes)"
