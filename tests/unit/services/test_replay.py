"""What is sent again, in whatever order, leaves every table bit for bit as it was."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from job_house import fresh_engine
from ledger import NOON_MS, Ledger, interval

from carbon.clock import FakeClock
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.settings import Settings
from carbon.storage.energy import energy_interval, interval_conflict
from carbon.storage.rollups import bucket, quarter_hour, workload_day, workload_hour

T = NOON_MS - 6 * 3_600_000
TABLES = (energy_interval, interval_conflict, bucket, quarter_hour, workload_hour, workload_day)
#: When a row was computed is all that may differ.
CLOCKS = {"recorded_ms"}

#: (source, device, workload, slot of 10 s, span in slots, mJ): each device has its span, so that
#: nothing contradicts.
rows = st.lists(
    st.builds(
        lambda source, device, workload, step, mj: (
            source,
            f"gpu-{device}",
            f"w{workload}",
            step,
            (1, 3, 45)[device],
            mj,
        ),
        st.sampled_from(["a", "b"]),
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 40),
        st.integers(0, 1 << 39),  # below 100 MW over the shortest span
    ),
    min_size=1,
    max_size=24,
    unique_by=lambda row: row[:4],
)


def new_ledger() -> Ledger:
    """With every name known beforehand, so that numbers do not depend on the order."""
    deployment = Settings(data_dir=Path(gettempdir()), feeds=False, zone="DE")
    ledger = Ledger(Context(fresh_engine(), deployment, FakeClock(NOON_MS)))
    ledger.intensity(T, [123.4, 567.8])
    known = [
        interval(T - 10_000, T, 1, f"gpu-{device}", workload=f"w{workload}")
        for device in range(3)
        for workload in range(2)
    ]
    for source in ("a", "b"):
        ledger.send(known, source=source)
    return ledger


def send(ledger: Ledger, batch: Iterable[tuple[Any, ...]]) -> None:
    for source in ("a", "b"):
        wire = [
            interval(
                T + step * span * 10_000,
                T + (step + 1) * span * 10_000,
                mj,
                device,
                workload=workload,
            )
            for of, device, workload, step, span, mj in batch
            if of == source
        ]
        answer = ledger.send(wire, source=source)
        assert (answer.conflict, answer.rejected) == (0, [])


def closed(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """What every table holds; the store is then given to the next."""
    found = {
        table.name: [
            {k: v for k, v in zip(table.c.keys(), row, strict=True) if k not in CLOCKS}
            for row in ledger.rows(table)
        ]
        for table in TABLES
    }
    ledger.close()
    return found


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows, st.integers(1, 9), st.randoms(use_true_random=False))
def test_every_batch_twice_in_any_order_is_bit_for_bit_the_same(
    sent: list[tuple[Any, ...]], size: int, rng: random.Random
) -> None:
    batches = [sent[at : at + size] for at in range(0, len(sent), size)]
    ledger = new_ledger()
    for batch in batches:
        send(ledger, batch)
    once = closed(ledger)
    ledger = new_ledger()
    again = batches * 2
    rng.shuffle(again)
    for batch in again:
        send(ledger, batch)
        if rng.random() < 0.3:
            roll_up(ledger.context)
    assert closed(ledger) == once
