"""Configuration: wrong values are refused with the rule they break, and digests tell them apart."""

from dataclasses import fields, replace

import pytest

from pbft.core.config import Configuration
from pbft.core.errors import ConfigurationError

GOOD = Configuration(cluster_id=bytes(16), n=4)


@pytest.mark.scenario("CF1", kills="CF1 any number of replicas will do")
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n": 3}, "n = 3"),
        ({"n": 101}, "n = 101"),
        ({"cluster_id": b"short"}, "cluster_id"),
        ({"window": 255}, "window must be"),
        ({"window": -1}, "window"),
        ({"pipeline": 257}, "pipeline"),
        ({"timeout_max_ns": 1}, "timeout_max_ns"),
        ({"batch_max_bytes": 1024}, "batch_max_bytes"),
        ({"status_interval_ns": 600_000_000}, "status_interval_ns"),
        ({"checkpoint_interval": True}, "checkpoint_interval"),
        ({"fast_reads": 1}, "fast_reads must be true or false"),
    ],
)
def test_each_rule_is_named(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        replace(GOOD, **changes)  # type: ignore[arg-type]


def test_the_digest_covers_every_field() -> None:
    for field in fields(GOOD):
        value = getattr(GOOD, field.name)
        other = b"another cluster." if field.name == "cluster_id" else value + 4
        if field.name in ("checkpoint_interval", "pipeline", "request_timeout_ns"):
            other = value // 2 + 1
        if field.name == "request_timeout_ns":
            other = value + 4
        if field.name == "fast_reads":
            other = not value
        changed = replace(GOOD, **{field.name: other})  # type: ignore[arg-type]
        assert changed.digest != GOOD.digest


@pytest.mark.parametrize(("n", "f", "q"), [(4, 1, 3), (5, 1, 4), (6, 1, 4), (7, 2, 5), (10, 3, 7)])
def test_sizes(n: int, f: int, q: int) -> None:
    config = replace(GOOD, n=n)
    assert (config.f, config.quorum, config.weak_quorum) == (f, q, f + 1)
    assert [config.primary(v) for v in (0, n - 1, n)] == [0, n - 1, 0]
