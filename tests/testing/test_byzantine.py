"""Behaviours attack as their names say, count it, and leave the honest replica inside honest."""

import pytest

from pbft.core.ids import Packet
from pbft.core.messages import Checkpoint, Prepare, Proposal, Reply, Request
from pbft.core.wire import decode, decode_signed, encode_link
from pbft.testing.byzantine import ADVERSARIES, BEHAVIOURS, Behaviour
from tests.core.lab import Lab


def around(name: str, me: int) -> tuple[Lab, Behaviour]:
    """A lab whose replica is wrapped."""
    lab = Lab(me=me)
    return lab, ADVERSARIES.get(name, Behaviour)(lab.replica)


def request(lab: Lab, behaviour: Behaviour, *timestamps: int) -> list[tuple[object, bytes]]:
    packets = [Packet("alice", lab.request(t).raw) for t in timestamps]
    effects = behaviour.receive(packets, lab.instant)
    return [(to, send.data) for send in effects.messages for to in send.to]


def test_an_equivocating_primary_tells_every_backup_something_else_validly_signed() -> None:
    lab, traitor = around("equivocate", 0)
    said = request(lab, traitor, 1, 2)
    digests: dict[object, set[bytes]] = {}
    for to, data in said:
        message = decode(data)
        if isinstance(message, Proposal):
            pp = decode_signed(message.pre_prepare)
            digests.setdefault(to, set()).add(getattr(pp, "digest"))  # noqa: B009
            victim = Lab(me=int(str(to)))
            effects = victim.replica.receive([Packet(0, data)], victim.instant)
            assert any(isinstance(send.message, Prepare) for send in effects.messages)
    assert len(set().union(*digests.values())) >= 3
    assert len(digests[3]) == 2
    assert traitor.acted >= 3


def test_a_silent_replica_tells_nobody_anything_of_the_protocol() -> None:
    lab, traitor = around("silent", 0)
    said = [decode(data) for _, data in request(lab, traitor, 1)]
    assert not [m for m in said if isinstance(m, Proposal | Prepare | Request | Reply)]
    assert traitor.acted >= 1


def test_a_slow_primary_delays_its_proposals_by_half_the_timeout() -> None:
    lab, traitor = around("slow", 0)
    assert not [d for _, d in request(lab, traitor, 1) if isinstance(decode(d), Proposal)]
    half = lab.config.request_timeout_ns // 2
    sent = 0
    begun = lab.now
    while sent == 0:
        assert traitor.deadline is not None
        lab.now = max(lab.now, traitor.deadline)
        effects = traitor.expire(lab.instant)
        sent += sum(isinstance(send.message, Proposal) for send in effects.messages)
    assert lab.now - begun == half


def test_every_behaviour_of_the_demonstration_exists() -> None:
    assert set(BEHAVIOURS) == {
        "equivocate",
        "silent",
        "slow",
        "corrupt",
        "lie-to-clients",
        "lie-in-checkpoints",
        "replay",
        "none",
    }


@pytest.mark.parametrize("name", sorted(ADVERSARIES))
def test_no_behaviour_forges_what_others_sign(name: str) -> None:
    lab, traitor = around(name, 1)
    victim = Lab(me=2)
    batches = [lab.batch(lab.request(s)) for s in range(1, 10)]
    for sequence, batch in enumerate(batches, 1):
        proposal = encode_link(lab.proposal(0, sequence, batch))
        effects = traitor.receive([Packet(0, proposal)], lab.instant)
        for send in effects.messages:
            if 2 in send.to:
                victim.replica.receive([Packet(1, send.data)], victim.instant)
    status = victim.replica.status()
    assert set(status.evidence) <= {1}
    assert status.executed == 0


def test_a_liar_about_checkpoints_signs_another_digest() -> None:
    lab, traitor = around("lie-in-checkpoints", 1)
    lies = []
    for sequence in range(1, 9):
        batch = lab.batch(lab.request(sequence))
        decision = lab.decision(0, sequence, batch, (0, 2, 3))
        effects = traitor.receive([Packet(0, encode_link(decision))], lab.instant)
        lies += [decode(s.data) for s in effects.messages if isinstance(s.message, Checkpoint)]
    (lie,) = lies
    assert isinstance(lie, Checkpoint)
    assert lie.digest != traitor.status().state_digest
