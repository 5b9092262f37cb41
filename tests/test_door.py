"""Strangers with forged tickets are looked at so often, and known guests always."""

import pytest

from pbft.core.authentication import Authentication
from pbft.core.ids import SECOND
from pbft.door import TICKETS_BURST, TICKETS_PER_SECOND, Door
from tests.core.lab import Lab

HERE = ("10.0.0.1", 1000)


def door(lab: Lab) -> tuple[Door, Authentication]:
    judge = Authentication(lab.config.cluster_id, lab.keys[0], lab.verifier)
    return Door(judge), judge


def test_a_guest_is_let_in_by_the_name_and_key_of_its_ticket() -> None:
    lab = Lab()
    lab.admit(3)
    admitted, _ = door(lab)
    assert admitted.admit(lab.tickets["alice/3"], HERE, 0) == ("alice/3", bytes(32))
    assert admitted.admit(lab.request(1).raw, HERE, 0) is None
    assert admitted.admit(b"", HERE, 0) is None


@pytest.mark.scenario("CL15", "AU8")
def test_forgeries_are_looked_at_so_often_and_keep_out_nobody_who_was_here() -> None:
    lab = Lab()
    lab.admit(0)
    lab.admit(1)
    good, new = lab.tickets["alice/0"], lab.tickets["alice/1"]
    one, judge = door(lab)
    # Which addresses share a group differs from process to process.
    elsewhere = next(
        (f"10.0.1.{n}", 1) for n in range(256) if hash(f"10.0.1.{n}") % 64 != hash(HERE[0]) % 64
    )
    assert one.admit(good, HERE, SECOND) is not None
    for number in range(10_000):
        assert one.admit(good[:1] + number.to_bytes(8, "big") + good[9:], HERE, SECOND) is None
    assert judge.checks == TICKETS_BURST
    assert one.admit(new, HERE, SECOND) is None
    assert one.admit(good, HERE, SECOND) is not None
    assert one.admit(new, elsewhere, SECOND) is not None
    assert one.admit(good[:1] + bytes(64) + good[65:], HERE, 2 * SECOND) is None
    assert judge.checks == TICKETS_BURST + 2
    assert TICKETS_PER_SECOND * 55 < 10_000, "microseconds per second and group"
