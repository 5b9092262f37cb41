"""A body whose large requests travelled beside it becomes whole, in the agreed order."""

import pytest

from pbft.core.verified import Body
from tests.core.lab import Lab


def test_large_requests_take_the_places_that_the_batch_names() -> None:
    lab = Lab()
    small, first, last = (lab.request(timestamp) for timestamp in (1, 2, 3))
    body = Body(b"d" * 32, b"raw", 9, (small,), ((0, b"a" * 32), (2, b"b" * 32)))
    whole = body.made_whole((first, last))
    assert whole.requests == (first, small, last)
    assert whole.references == ()
    assert whole.beside == (first.raw, last.raw)
    assert (whole.digest, whole.raw, whole.time) == (body.digest, body.raw, body.time)


def test_a_body_is_not_made_whole_by_too_few() -> None:
    lab = Lab()
    body = Body(b"d" * 32, b"raw", 9, (), ((0, b"a" * 32), (1, b"b" * 32)))
    with pytest.raises(ValueError, match="shorter"):
        body.made_whole((lab.request(1),))
