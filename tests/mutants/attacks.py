"""Mutants for the scenarios beside the traps. Their tests claim them (`tests/scenarios`)."""

from tests.mutants.mutant import Mutant

CORE = "pbft/core"
PROTOCOL = "pbft/core/protocol"


def mutant(name: str, path: str, old: str, new: str) -> Mutant:
    """An entry whose name begins with its scenario or trap."""
    return Mutant(name, name.split()[0], path, old, new, ())


ATTACKS = (
    mutant(
        "T1 f+1 in the place of the quorum",
        f"{CORE}/quorum.py",
        "return (n + faults(n) + 2) // 2",
        "return faults(n) + 1",
    ),
    mutant(
        "EQ7 second votes are not looked at",
        f"{PROTOCOL}/ordering.py",
        "    if len(places) > 1 or first.message.digest == second.message.digest:\n",
        "    if True:\n",
    ),
    mutant(
        "EQ9 what is inside a new view is not compared",
        f"{PROTOCOL}/view_change.py",
        "        on_view_change(state, turn, message.replica, view_change)\n",
        "        pass\n",
    ),
    mutant(
        "EQ11 what nobody has prepared is decided",
        f"{PROTOCOL}/ordering.py",
        "or (state.voting and not slot.committed):",
        "or False:",
    ),
    mutant(
        "VC1 nobody suspects a primary",
        f"{PROTOCOL}/deadlines.py",
        'wanted["request", views.view, oldest] = delay',
        "pass",
    ),
    mutant(
        "VC21 a new primary is waited for without end",
        f"{PROTOCOL}/deadlines.py",
        "if views.moving(views.view) >= config.quorum:",
        "if False:",
    ),
    mutant(
        "VC3 certificates are left out of P",
        f"{PROTOCOL}/view_change.py",
        "certificates = tuple(proof.certificate for proof in prepared.values())",
        "certificates = ()",
    ),
    mutant(
        "T15 a certificate below a quorum counts",
        f"{CORE}/ingress.py",
        "if len(signers) < self._config.quorum - 1:",
        "if False:",
    ),
    mutant(
        "T46 checkpoint votes end with their view",
        f"{PROTOCOL}/view_change.py",
        "    views.accepted = None\n    stable",
        "    views.accepted = None\n    state.checkpoints.votes.clear()\n    stable",
    ),
    mutant(
        "CP1 liars about checkpoints go unnoticed",
        f"{PROTOCOL}/checkpointing.py",
        "        if vote.message.digest != stable.digest:\n",
        "        if False:\n",
    ),
    mutant(
        "CP4 the window does not bound the primary",
        f"{PROTOCOL}/performance.py",
        "return in_flight < most and log.next_sequence <= state.high_watermark",
        "return in_flight < most",
    ),
    mutant(
        "CP9 votes for the far future are kept",
        f"{PROTOCOL}/checkpointing.py",
        "for sequence in beyond[:-BEYOND_PER_SENDER]:",
        "for sequence in ():",
    ),
    mutant(
        "T53 the accepted new view is passed on to nobody",
        f"{PROTOCOL}/retransmission.py",
        "    if views.accepted is not None:\n",
        "    if False:\n",
    ),
    mutant(
        "ST13 a decision without a body is null",
        f"{PROTOCOL}/execution.py",
        "body = state.log.bodies.get(slot.decision.pre_prepare.message.digest)",
        "empty = next(iter(state.log.bodies.values()))\n"
        "        body = state.log.bodies.get(slot.decision.pre_prepare.message.digest, empty)",
    ),
    mutant(
        "CL1 whoever asks again is not answered",
        f"{PROTOCOL}/ordering.py",
        "state.requests.retried[key] = asked or state.requests.retried.get(key, False)",
        "pass",
    ),
    mutant(
        "CL4 a primary is not blamed for what nobody signed",
        f"{CORE}/ingress.py",
        "raise BadRequestError(pre_prepare, message.batch) from None",
        'raise DropError("proposal with a bad request") from None',
    ),
    mutant(
        "CL7 the newest timestamp closes all before it",
        f"{CORE}/state/sessions.py",
        "return key[1] > self.floor(key[0]) and",
        "return key[1] > max(self.table.get(key[0], Session()).answers, default=0) and",
    ),
    mutant(
        "CL12 a read that nobody agrees about is forgotten",
        "pbft/client_reads.py",
        "return None if silent and count + silent >= needed else ReadOutcome(reading)",
        "return None if count < needed else ReadOutcome(reading)",
    ),
    mutant(
        "AC6 whoever lets a view fail is blamed",
        f"{PROTOCOL}/view_change.py",
        "    turn.event(ViewChangeStarted(view, reason))\n",
        "    turn.event(ViewChangeStarted(view, reason))\n"
        '    state.keep_evidence(Evidence("late", config.primary(view - 1), ()))\n',
    ),
    mutant(
        "ST4 whoever is behind never asks for the state",
        f"{PROTOCOL}/state_transfer.py",
        "ahead = checkpoints.certified.sequence > state.executed",
        "ahead = False",
    ),
    mutant(
        "VC8 anybody may sign what a new view proposes",
        f"{CORE}/ingress.py",
        "if signed.message.replica != self._config.primary(signed.message.view):",
        "if False:",
    ),
    mutant(
        "VC15 the lowest proven checkpoint is chosen",
        f"{PROTOCOL}/new_view.py",
        "stable = max((vc.stable",
        "stable = min((vc.stable",
    ),
    mutant(
        "RP4 proposals of views that were left are taken in",
        f"{PROTOCOL}/admission.py",
        "if view < state.views.view or sequence <= state.log.low_watermark:",
        "if sequence <= state.log.low_watermark:",
    ),
    mutant(
        "CP5 a backup votes above the window",
        f"{PROTOCOL}/ordering.py",
        "if body is None or sequence > state.high_watermark or _contradicts(slot):",
        "if body is None or _contradicts(slot):",
    ),
    mutant(
        "FL5 messages of later views are kept without end",
        f"{CORE}/state/log.py",
        "if early.bytes + size > limit:",
        "if False:",
    ),
    mutant(
        "CL5 the floor refuses nothing",
        f"{CORE}/state/sessions.py",
        "key[1] > self.floor(key[0]) and self.answer(key) is None",
        "self.answer(key) is None",
    ),
    mutant(
        "RP9 the same evidence is told again",
        f"{CORE}/state/replica_state.py",
        "if key in self.evidence or len(self.evidence) >= MAX_EVIDENCE:",
        "if len(self.evidence) >= MAX_EVIDENCE:",
    ),
    mutant(
        "CR11 nobody answers a replica that begins",
        f"{PROTOCOL}/retransmission.py",
        "            if peer.status.fresh:\n",
        "            if False:\n",
    ),
    mutant(
        "CF1 any number of replicas will do",
        f"{CORE}/config.py",
        "if not 4 <= self.n <= MAX_REPLICAS:",
        "if False:",
    ),
    mutant(
        "WF2 a value has two encodings",
        f"{CORE}/wire.py",
        "    if canonical != data:\n",
        "    if False:\n",
    ),
    mutant(
        "WF7 a type has another number",
        f"{CORE}/messages.py",
        "class Commit(Message, frozen=True, tag=4):",
        "class Commit(Message, frozen=True, tag=40):",
    ),
    mutant(
        "AU4 signatures are verified by another library",
        "crypto/signing.py",
        "        _open(signature + message, public)\n",
        "        import cryptography.hazmat.primitives.asymmetric.ed25519 as other\n"
        "        other.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)\n",
    ),
    mutant(
        "CF6 anybody may read a key file",
        "crypto/keyfiles.py",
        "            if mode & 0o077:\n",
        "            if False:\n",
    ),
    mutant(
        "AU10 both directions have one key",
        "crypto/sessions.py",
        "        self._seal = AESGCM(keys[0]).encrypt\n"
        "        self._open = AESGCM(keys[1]).decrypt\n",
        "        self._seal = AESGCM(min(keys)).encrypt\n"
        "        self._open = AESGCM(min(keys)).decrypt\n",
    ),
    mutant(
        "RP1 a datagram opens twice",
        "crypto/sessions.py",
        "if behind >= WINDOW or (behind >= 0 and self._seen >> behind & 1):",
        "if behind >= WINDOW:",
    ),
    mutant(
        "NW10 a datagram that was damaged is an error of ours",
        "crypto/sessions.py",
        "except (InvalidTag, ValueError):",
        "except ValueError:",
    ),
    mutant(
        "FL11 batches below a stable checkpoint stay on the disk",
        "pbft/journal.py",
        '    yield Drop(b"5", b"5" + _number(stable) + b"\\xff" * 8)\n',
        "",
    ),
    mutant(
        "CF4 links do not compare parameters",
        "crypto/links.py",
        "        if payload != self._payload:\n",
        "        if False:\n",
    ),
    mutant(
        "CF7 links do not bind the cluster",
        "crypto/links.py",
        "parts = (VERSION, self._cluster, *ends, ticket)",
        "parts = (VERSION, *ends, ticket)",
    ),
    mutant(
        "CF9 links do not bind the version",
        "crypto/links.py",
        "parts = (VERSION, self._cluster, *ends, ticket)",
        "parts = (self._cluster, *ends, ticket)",
    ),
    mutant(
        "NW13 a peer stays where it was first",
        "crypto/links.py",
        "        if newest and session is link.current:\n",
        "        if False:\n",
    ),
    mutant(
        "CL15 anybody is shaken hands with",
        "crypto/links.py",
        "if self._admit is None if ticket else peer not in self._links:",
        "if self._admit is None if ticket else False:",
    ),
    mutant(
        "FL7 no address has to prove itself",
        "crypto/links.py",
        "        if not self._cookies.prove(datagram[5:21], address, now):\n",
        "        if False:\n",
    ),
    mutant(
        "T43 every process hashes alike",
        "pbft/testing/surroundings.py",
        "SURROUNDINGS[number % len(SURROUNDINGS)]",
        "SURROUNDINGS[0]",
    ),
    mutant(
        "T43 what is too deep depends on the stack",
        "pbft/typed/nesting.py",
        "            return True\n    return False",
        "            return False\n    return False",
    ),
    mutant(
        "AC2 nobody compares what was executed",
        "pbft/testing/checkers.py",
        "        if first != event.digest:\n",
        "        if False:\n",
    ),
    mutant(
        "TM11 nobody joins those who are ahead",
        f"{PROTOCOL}/view_change.py",
        "    if reached <= state.views.view:\n",
        "    if True:\n",
    ),
    mutant(
        "VC10 one sender may make up a quorum",
        f"{CORE}/ingress.py",
        "if len({each.signed.message.replica for each in inner}) != len(inner):",
        "if False:",
    ),
)
