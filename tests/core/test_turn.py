"""What rules append to a turn comes out as effects, each in its place and in order."""

from pbft.core.effects import EnteredView, Evidence
from pbft.core.ids import Instant
from pbft.core.messages import FetchBatch, Status
from pbft.core.records import Acknowledged, AnyRecord, Began
from pbft.core.turn import Turn
from pbft.core.wire import decode
from tests.core.lab import Lab

STATUS = Status(0, True, 0, 0, False, False)


def turn() -> Turn:
    return Turn(Instant(5, 7), (1, 2, 3))


def test_a_broadcast_goes_to_every_other_replica() -> None:
    made = turn()
    made.broadcast(STATUS)
    assert [send.to for send in made.effects.messages] == [(1, 2, 3)]
    assert decode(made.effects.messages[0].data) == STATUS


def test_a_signed_message_leaves_in_the_bytes_that_were_signed() -> None:
    signed = Lab().prepare(0, 0, 1, bytes(32))
    made = turn()
    made.send((2,), signed)
    (sent,) = made.effects.messages
    assert (sent.to, sent.data, sent.message) == ((2,), signed.raw, signed.message)


def test_nothing_is_sent_to_nobody() -> None:
    made = turn()
    made.send((), FetchBatch(bytes(32)))
    assert made.effects.messages == []


def test_replies_are_kept_apart_from_messages() -> None:
    made = turn()
    made.reply("alice", STATUS)
    assert made.effects.messages == []
    assert [send.to for send in made.effects.replies] == [("alice",)]


def test_records_events_and_evidence_keep_their_order() -> None:
    made = turn()
    records: list[AnyRecord] = [Began(), Acknowledged(1), Acknowledged(2)]
    for record in records:
        made.record(record)
    made.event(EnteredView(1))
    made.blame(Evidence("kind", 2, ()))
    assert made.effects.records == records
    assert made.effects.events == [EnteredView(1)]
    assert made.effects.evidence == [Evidence("kind", 2, ())]


def test_turns_share_nothing() -> None:
    turn().record(Began())
    assert turn().effects.records == []
