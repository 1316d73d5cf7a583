"""A spool that grows too long loses resolution and no energy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.collect.spool import BodyKind, Spool
from carbon.collect.spool_db import SpoolDb
from carbon.collect.thinning import MINUTE_MS, thin_spool, thinned
from carbon.domain.energy import Method, Reading, settle
from carbon.wire.energy import (
    EnergyBatch,
    EnergyInterval,
    ReservationInfo,
    UnitBatch,
    UnitCount,
)

WEEK_MS = 7 * 86_400_000
SUBJECTS = ("idle", "user:ana", "slurm:7")
METHODS = ("counter", "integrated")


@st.composite
def device_rows(draw: st.DrawFn, device: str) -> list[EnergyInterval]:
    """Spans in order with holes, each with some of the subjects, as an agent writes them."""
    rows, at_ms = [], draw(st.integers(0, 70_000))
    for _ in range(draw(st.integers(0, 25))):
        at_ms += draw(st.sampled_from((0, 0, 0, 1_500)))
        end_ms = at_ms + draw(st.sampled_from((10_000, 10_000, 4_000, 90_000)))
        method = draw(st.sampled_from(METHODS))
        for subject in draw(st.sets(st.sampled_from(SUBJECTS), min_size=1)):
            energy_mj = draw(st.integers(0, 10**9))
            rows.append(EnergyInterval(device, at_ms, end_ms, energy_mj, method, subject=subject))
        at_ms = end_ms
    return rows


@st.composite
def batches(draw: st.DrawFn) -> list[EnergyBatch]:
    rows = sorted(draw(device_rows("GPU-1")) + draw(device_rows("GPU-2")), key=lambda i: i.start_ms)
    size = draw(st.integers(1, 20))
    parts = [rows[at : at + size] for at in range(0, len(rows), size)] or [[]]
    return [EnergyBatch("agent", "boot", seq, part) for seq, part in enumerate(parts)]


def totals(intervals: Sequence[EnergyInterval]) -> Counter[tuple[str, str | None, str]]:
    found: Counter[tuple[str, str | None, str]] = Counter()
    for i in intervals:
        found[i.device, i.subject, i.method] += i.energy_mj
    return found


def counted_mj(intervals: Sequence[EnergyInterval], device: str) -> int:
    """What the ledger makes of a device's rows."""
    ids = {name: number for number, name in enumerate(SUBJECTS)}
    readings = [
        Reading(1, ids[i.subject or ""], i.start_ms, i.end_ms, i.energy_mj, Method.COUNTER)
        for i in intervals
        if i.device == device
    ]
    return sum(reading.energy_mj for reading in settle(readings))


def rows_of(batches: Sequence[EnergyBatch]) -> list[EnergyInterval]:
    return [interval for batch in batches for interval in batch.intervals]


@given(batches())
def test_every_total_stays_what_it_was(given_batches: list[EnergyBatch]) -> None:
    before, after = rows_of(given_batches), thinned(given_batches).intervals
    assert totals(before) == totals(after)
    assert len(after) <= len(before)


@given(batches())
def test_the_ledger_counts_all_of_it(given_batches: list[EnergyBatch]) -> None:
    """Of rows that overlap it would count the shorter alone."""
    before, after = rows_of(given_batches), thinned(given_batches).intervals
    for device in ("GPU-1", "GPU-2"):
        assert counted_mj(after, device) == counted_mj(before, device)


@given(batches())
def test_no_energy_leaves_its_minute_or_its_own_longer_span(
    given_batches: list[EnergyBatch],
) -> None:
    spans = {(i.start_ms, i.end_ms) for i in rows_of(given_batches)}
    for i in thinned(given_batches).intervals:
        within = i.end_ms <= i.start_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
        assert within or (i.start_ms, i.end_ms) in spans


@given(batches())
def test_thinning_twice_changes_nothing_more(given_batches: list[EnergyBatch]) -> None:
    once = thinned(given_batches)
    assert thinned([once]) == once


def test_six_rows_of_ten_seconds_are_one_of_a_minute() -> None:
    rows = [
        EnergyInterval("D", at, at + 10_000, 7, "counter", subject="idle")
        for at in range(0, 120_000, 10_000)
    ]
    after = thinned([EnergyBatch("a", "b", 0, rows)]).intervals
    assert [(i.start_ms, i.end_ms, i.energy_mj) for i in after] == [
        (0, 60_000, 42),
        (60_000, 120_000, 42),
    ]


def test_spans_that_overlap_are_left_alone() -> None:
    rows = [
        EnergyInterval("D", 0, 10_000, 1, "counter", subject="idle"),
        EnergyInterval("D", 5_000, 10_000, 2, "counter", subject="idle"),
    ]
    assert thinned([EnergyBatch("a", "b", 0, rows)]).intervals == rows


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(SpoolDb(tmp_path / "spool.db"))


def fill(spool: Spool, boot: str = "b", count: int = 12) -> None:
    for number in range(count):
        start_ms = number * 10_000
        row = EnergyInterval("D", start_ms, start_ms + 10_000, 5, "counter", subject="idle")
        held = [ReservationInfo("D", start_ms, start_ms + 10_000, 1_000_000, "w")]
        spool.append_energy(EnergyBatch("a", boot, 0, [row], host="h", reservations=held))


def spooled(spool: Spool) -> list[EnergyBatch]:
    return [
        msgspec.json.decode(batch.body, type=EnergyBatch)
        for batch in spool.pending(10_000, 1 << 53)
        if batch.kind is BodyKind.ENERGY
    ]


def test_what_is_younger_than_a_week_stays_as_it_is(spool: Spool) -> None:
    fill(spool)
    assert thin_spool(spool, WEEK_MS - 1) == 0
    assert spool.depth == 12


def test_what_is_older_becomes_minutes_once(spool: Spool) -> None:
    fill(spool)
    last = spool.last_seq
    assert thin_spool(spool, WEEK_MS + 120_000) == 12
    (batch,) = spooled(spool)
    assert [i.energy_mj for i in batch.intervals] == [30, 30]
    assert len(batch.reservations) == 12
    assert [b.seq for b in spool.pending(9, 1 << 53)] == [last]
    assert thin_spool(spool, WEEK_MS + 120_000) == 0


def test_a_spool_that_takes_too_much_room_is_thinned_before_its_week(spool: Spool) -> None:
    fill(spool)
    assert thin_spool(spool, 4_000_000, keep_bytes=1) == 12
    assert spool.depth == 1


def test_the_last_hour_stays_in_any_case(spool: Spool) -> None:
    fill(spool)
    assert thin_spool(spool, 3_600_000, keep_bytes=1) == 0


def test_boots_stay_apart_and_unit_counts_untouched(spool: Spool) -> None:
    fill(spool, "first", 6)
    spool.append_units(UnitBatch([UnitCount("w", "token", "s", 0, 1_000, 7)]))
    fill(spool, "second", 6)
    thin_spool(spool, WEEK_MS + 120_000)
    assert [(b.boot_id, len(b.intervals)) for b in spooled(spool)] == [("first", 1), ("second", 1)]
    assert spool.depth == 3
