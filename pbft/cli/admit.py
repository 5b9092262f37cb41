"""`pbft admit`: let another client in, without touching the cluster file or any replica."""

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pbft import tickets
from pbft.cli.parsing import SubParsers, UsageError, add_command, add_directory, whole
from pbft.cluster import KEYS, Cluster
from pbft.core.errors import ConfigurationError
from pbft.core.ids import MAX_GUESTS, SECOND
from pbft.core.messages import Ticket
from pbft.crypto.errors import KeyFileError
from pbft.crypto.keyfiles import Identity, save_identity
from pbft.serving import service_of
from pbft.typed.hosting import Hosted
from pbft.typed.permissions import ANYTHING, judge_may

DAY_NS = 24 * 3600 * SECOND
MAX_DAYS = 36_500
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def add_parser(subparsers: SubParsers) -> None:
    """admit DIR ADMITTER NEW [--may A,B] [--slot K] [--days D] [--json]"""
    parser = add_command(
        subparsers,
        "admit",
        "let another client in: writes DIR/keys/NEW.pem, its keys and a ticket\n\n"
        "ADMITTER signs the ticket with its key in DIR/keys, so this runs where that is. The\n"
        "cluster file must let it admit others (`admits = 4` at the client; `pbft init --admits`\n"
        "writes that). Give the file to the new client, over a channel that nobody else reads,\n"
        "with cluster.toml. It is a client like any other then: Client(DIR, identity=FILE).",
    )
    add_directory(parser)
    parser.add_argument("admitter", metavar="ADMITTER", help="a client of the cluster file")
    parser.add_argument("new", metavar="NEW", help="what to call the file of the new client")
    parser.add_argument(
        "--may",
        type=lambda text: tuple(text.split(",")),
        default=(ANYTHING,),
        metavar="A,B,...",
        help="the only commands and queries that it may call (all that ADMITTER may)",
    )
    parser.add_argument(
        "--slot",
        type=whole(0, MAX_GUESTS - 1),
        metavar="K",
        help="it is ADMITTER/K for the service; each slot is one client (the first not given)",
    )
    parser.add_argument(
        "--days",
        type=whole(1, MAX_DAYS),
        metavar="D",
        help="how long it may call anything (for ever); a ticket cannot be taken back otherwise",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write the file and say what it is."""
    cluster = Cluster.load(args.directory)
    if not NAME.fullmatch(args.new) or args.new in cluster.keys:
        raise UsageError(f"{args.new!r} is not a new name of letters, digits and . _ -")
    admitter = cluster.identity(args.directory, args.admitter)
    path = args.directory / KEYS / f"{args.new}.pem"
    with tickets.Register.alone(path.parent, args.admitter) as register:
        most = cluster.admits.get(args.admitter, 0)
        slot = args.slot if args.slot is not None else register.free(most) if most else 0
        guest = Identity.generate()
        guest.ticket = tickets.make(
            cluster,
            args.admitter,
            admitter,
            guest,
            slot=slot,
            may=args.may,
            until=time.time_ns() + args.days * DAY_NS if args.days else 0,
        )
        _judge(cluster.file.service.runs, args.may)
        register.note(slot, args.new)
        try:
            save_identity(path, guest)
        except KeyFileError as error:
            register.take_back()
            raise ConfigurationError(str(error)) from None
    _report(args, path, tickets.judge(cluster, guest, path))
    return 0


def _judge(runs: str, may: Sequence[str]) -> None:
    """Raises `ConfigurationError` where the service has not all of `may`. It need not be here."""
    if ANYTHING in may and len(may) == 1:
        return
    try:
        service = service_of(runs)
    except ConfigurationError as error:
        names = ", ".join(may)
        print(f"nobody has looked whether the service has {names}: {error}", file=sys.stderr)
        return
    if not isinstance(service, Hosted):
        raise ConfigurationError(
            f"the operations of {runs} have no names: leave --may out, for whoever may not call"
            " everything there may call nothing"
        )
    judge_may("--may", may, service.names)


def _report(args: argparse.Namespace, path: Path, ticket: Ticket) -> None:
    if args.json:
        found = {"file": str(path), "client": ticket.client, "slot": ticket.slot}
        print(json.dumps({**found, "may": ticket.may, "until_ns": ticket.until}))
        return
    everything = ANYTHING in ticket.may
    what = f"all that {ticket.admitter} may" if everything else ", ".join(ticket.may)
    end = datetime.fromtimestamp(ticket.until / SECOND, UTC)
    until = f", until {end:%Y-%m-%d %H:%M} UTC" if ticket.until else ""
    print(f"{path}: private keys and a ticket of {ticket.client}, which may call {what}{until}")
    print("next: give its owner that file, over a channel that nobody else reads, and cluster.toml")
    print(f'      Client("{args.directory}", identity="{args.new}")')
