"""Tickets: how a client of the cluster file admits another, its guest, without touching that file
and without a word to the replicas.

A ticket is a statement that the admitter signs: under which name and keys the guest speaks, what it
may call, until when. It travels with everything the guest asks, so a replica judges it from those
bytes and the cluster file, and keeps nothing. That makes it final: what was signed holds until its
own end, or until the cluster file no longer lets its admitter admit.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pbft.cluster import Cluster
from pbft.core.authentication import Authentication
from pbft.core.errors import ConfigurationError, DecodeError
from pbft.core.ids import MAX_GUESTS, ClientId
from pbft.core.messages import MAX_COMMANDS, MAX_TICKET_BYTES, Ticket
from pbft.core.wire import decode_ticket
from pbft.crypto.keyfiles import Identity
from pbft.typed.permissions import ANYTHING, covers

OPENING_BYTES = 128
"""More than the first datagram of a link has around a ticket."""
MAX_NAME_BYTES = 64
MAX_REGISTER_BYTES = MAX_GUESTS * 2 * (MAX_NAME_BYTES + 8)


def make(
    cluster: Cluster,
    admitter: ClientId,
    identity: Identity,
    guest: Identity,
    *,
    slot: int,
    may: Sequence[str] = (ANYTHING,),
    until: int = 0,
) -> bytes:
    """The ticket by which `admitter`, whose keys are `identity`, admits the public halves of
    `guest` as its client `admitter/slot`. `may`: the commands that it may call, of those that its
    admitter may; `until`: from when on it may call nothing (wall ns), 0 for never.

    Raises `ConfigurationError` where no replica would let such a guest in, or do what it asks."""
    allowed = cluster.permitted.get(admitter)
    if allowed is None:
        names = ", ".join(cluster.clients) or "none"
        raise ConfigurationError(
            f"this cluster has no client {admitter!r} to admit others: it has {names}"
        )
    _check_slot(cluster, admitter, slot)
    wider = [each for each in may if each != ANYTHING and not covers(allowed, each)]
    if wider:
        raise ConfigurationError(
            f"{admitter} may not call {wider[0]} itself, so it admits nobody who may: it may call"
            f" {', '.join(sorted(allowed))}"
        )
    if len(may) > MAX_COMMANDS or not all(0 < len(each) <= 64 for each in may):
        raise ConfigurationError(f"a ticket names up to {MAX_COMMANDS} commands of 1 to 64 letters")
    ticket = Ticket(admitter, slot, guest.signing.public, guest.link.public, tuple(may), until)
    signing = Authentication(cluster.config.cluster_id, identity.signing, cluster.verifier())
    raw = signing.sign(ticket).raw
    room = min(MAX_TICKET_BYTES, cluster.file.transport.datagram_bytes - OPENING_BYTES)
    if len(raw) > room:
        raise ConfigurationError(
            f"this ticket has {len(raw)} bytes, and one datagram has room for {room}: name fewer"
            " commands"
        )
    return raw


def judge(cluster: Cluster, identity: Identity, path: Path) -> Ticket:
    """The ticket of `identity`, which was read from `path`. Raises `ConfigurationError` that says
    why no replica would take it."""
    again = "have `pbft admit` make a new one"
    try:
        ticket = decode_ticket(identity.ticket)
    except DecodeError:
        ticket = None
    if ticket is None:
        raise ConfigurationError(f"{path} holds no ticket that this version reads: {again}")
    if ticket.admitter not in cluster.clients:
        raise ConfigurationError(
            f"{path} holds a ticket of {ticket.admitter}, whom this cluster does not have: take"
            f" the cluster.toml of its own cluster, or {again}"
        )
    _check_slot(cluster, ticket.admitter, ticket.slot)
    if (ticket.signing, ticket.link) != (identity.signing.public, identity.link.public):
        raise ConfigurationError(f"{path} holds a ticket for other keys than its own: {again}")
    if cluster.judge().ticket(identity.ticket) is None:
        raise ConfigurationError(
            f"{path} holds a ticket that {ticket.admitter} of this cluster has not signed: take the"
            f" cluster.toml of its own cluster, or {again}"
        )
    return ticket


def _check_slot(cluster: Cluster, admitter: ClientId, slot: int) -> None:
    most = cluster.admits[admitter]
    if most == 0:
        raise ConfigurationError(
            f"the cluster file does not let {admitter} admit anybody: set `admits = 4`, say, at"
            " that client, in the cluster.toml of everybody, and start the replicas again"
        )
    if not 0 <= slot < most:
        raise ConfigurationError(
            f"{admitter} may admit {most} others, in slots 0 to {most - 1}, and {slot} is none of"
            " them (`admits` in cluster.toml)"
        )


class Register:
    """The slots that an admitter has given, in a file beside its key: for itself alone."""

    def __init__(self, keys: Path, admitter: ClientId) -> None:
        """Raises `ConfigurationError` where the file does not read."""
        self._path = keys / f"{admitter}.guests"
        try:
            with self._path.open("r", encoding="ascii") as file:
                lines = file.read(MAX_REGISTER_BYTES).splitlines()
            self.given = {int(slot): name for slot, _, name in (s.partition(" ") for s in lines)}
        except FileNotFoundError:
            self.given = {}
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{self._path} cannot be read ({error}): give a slot with --slot once it is right"
            ) from None

    @classmethod
    @contextmanager
    def alone(cls, keys: Path, admitter: ClientId) -> "Iterator[Register]":
        """One process at a time has it, or two would give one slot. Raises `ConfigurationError`."""
        try:
            folder = os.open(keys, os.O_RDONLY)
        except OSError as error:
            raise ConfigurationError(f"{keys} cannot be read: {error.strerror}") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield cls(keys, admitter)
        finally:
            os.close(folder)

    def free(self, most: int) -> int:
        """The lowest slot that was given to nobody. Raises `ConfigurationError`."""
        for slot in range(most):
            if slot not in self.given:
                return slot
        raise ConfigurationError(
            f"all {most} slots are given ({self._path} says to whom): raise `admits` in"
            " cluster.toml, or give one anew with --slot, where its guest is gone for good"
        )

    def note(self, slot: int, name: str) -> None:
        """`slot` is given to `name` now: to be noted before its key is there, so that a crash in
        between costs a slot and gives none twice. Raises `ConfigurationError`."""
        self._write(self.given | {slot: name})

    def take_back(self) -> None:
        """What was noted came to nothing. Raises `ConfigurationError`."""
        self._write(self.given)

    def _write(self, given: Mapping[int, str]) -> None:
        text = "".join(f"{each} {who}\n" for each, who in sorted(given.items()))
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            with fresh.open("w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be written: {error.strerror}") from None
