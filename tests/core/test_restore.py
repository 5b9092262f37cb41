"""What a restart may conclude from the records it finds."""

import pytest

from pbft.core.messages import Witness
from pbft.core.records import Began
from tests.core.lab import Lab


@pytest.mark.scenario("T35")
def test_t35_what_an_amnesiac_learns_gives_it_no_leave_to_vote() -> None:
    """An empty disk, a view entered on the evidence of others, and a second start."""
    lab = Lab(me=2, records=())
    changes = [lab.view_change(by, 1) for by in (0, 1, 3)]
    lab.feed(lab.new_view(1, changes, {}))
    assert lab.records
    assert Began() not in lab.records
    lab.reboot()
    lab.feed(Witness((), ()), peer=0)
    lab.feed(Witness((), ()), peer=1)
    assert not lab.replica.status().voting
