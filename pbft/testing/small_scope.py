"""Runs with few events on a calm network: where what happens is enumerated or counted, nothing else
shall happen besides."""

from typing import Any

from pbft.core.config import Configuration
from pbft.core.ids import MILLISECOND
from pbft.testing.plan import Plan

T = 400 * MILLISECOND


def small(seed: int, config: Configuration, **events: Any) -> Plan:
    """A plan with two clients and those fields of `Plan` that say what happens."""
    return Plan(
        seed=seed,
        config=config,
        twins=False,
        real_keys=False,
        loss=0.0,
        duplicates=0.0,
        delay_ns=2 * MILLISECOND,
        calm_delay_ns=5 * MILLISECOND,
        disk_delay_ns=0,
        clients=2,
        faulty_clients=0,
        outbursts=[],
        per_link=True,
        **events,
    )


def configuration(name: bytes, n: int, *, pipeline: int, batch_max_requests: int) -> Configuration:
    """A checkpoint at every second number, and the timeout T."""
    return Configuration(
        cluster_id=name.ljust(16, b"."),
        n=n,
        checkpoint_interval=2,
        window=4,
        pipeline=pipeline,
        batch_max_requests=batch_max_requests,
        client_window=16,
        request_timeout_ns=T,
        timeout_max_ns=4 * T,
        status_interval_ns=T // 4,
    )
