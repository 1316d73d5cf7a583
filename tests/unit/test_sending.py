"""A batch judged and cut at once reads as if each interval were judged and cut alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.energy import Method, cut
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES, TEAM_SCOPES
from carbon.domain.units import BUCKET_MS, floor_to
from carbon.services.ingest import column_sending
from carbon.services.ingest.column_sending import ColumnSending
from carbon.services.ingest.frontier import Frontier
from carbon.services.ingest.pieces import cut_at_marks
from carbon.services.ingest.row_sending import RowSending
from carbon.services.ingest.sending import MAX_AHEAD_MS, MAX_POWER_W, MAX_SPAN_MS, Sending, Who
from carbon.services.ingest.sent_columns import SentColumns, SentRows, WhoText
from carbon.storage.bulk import IntervalRow
from carbon.storage.dirty import pack
from carbon.storage.interval_columns import columns_of
from carbon.wire.energy import EnergyBatch, EnergyInterval

NOW_MS = 1_790_000_000_000

spans = st.one_of(
    st.integers(-5, 20_000), st.integers(BUCKET_MS - 2, BUCKET_MS + 2), st.just(MAX_SPAN_MS + 1)
)
intervals = st.lists(
    st.builds(
        lambda device, start, span, energy, method, workload, run, subject: EnergyInterval(
            device, max(0, start), max(0, start + span), energy, method, workload, run, subject
        ),
        st.sampled_from(["a", "b"]),
        st.integers(NOW_MS - 3 * BUCKET_MS, NOW_MS + MAX_AHEAD_MS + 5),
        spans,
        st.integers(0, 1 << 53),
        st.sampled_from(["counter", "modelled", "guessed"]),
        st.sampled_from([None, "w", "own/w", "other/w", "a/b/c"]),
        st.sampled_from([None, "r1"]),
        st.sampled_from([None, "idle", "slurm:1", "nonsense"]),
    ),
    max_size=30,
)


def principal(sees_all: bool) -> Principal:
    return Principal("k", "k", "own", frozenset(ADMIN_SCOPES if sees_all else TEAM_SCOPES))


BATCH = EnergyBatch("s", "b", 1, [])


def sending(sent: list[EnergyInterval], sees_all: bool) -> ColumnSending:
    columns = SentColumns.of(sent, range(len(sent)))
    return ColumnSending(principal(sees_all), BATCH, None, NOW_MS, columns)


def row_sending(sent: list[EnergyInterval], sees_all: bool) -> RowSending:
    rows = SentRows(sent, range(len(sent)))
    return RowSending(principal(sees_all), BATCH, None, NOW_MS, rows)


def told(judged: Sending) -> list[tuple[int, str, str]]:
    return sorted((r.index, r.code, r.detail) for r in judged.rejected)


def stored(judged: Sending) -> tuple[object, ...]:
    """What would be written of it, under ids of its own names, and who was seen when."""
    seen: list[Who] = []

    def subject_of(_text: WhoText, who: Who) -> int:
        seen.append(who)
        return sum(map(ord, f"{who.subject}"))

    pieces = judged.pieces({"a": (1, 11), "b": (2, 22)}, subject_of)
    whos = sorted(seen, key=repr)
    return pieces.columns.tolist(), list(pieces.owners), sorted(pieces.dirty), whos


@given(intervals, st.booleans(), st.sets(st.sampled_from(["a", "b"])), st.integers(-5, 5))
def test_few_intervals_are_judged_and_cut_as_many_are(
    sent: list[EnergyInterval], sees_all: bool, foreign: set[str], around_ms: int
) -> None:
    rows, columns = row_sending(sent, sees_all), sending(sent, sees_all)
    middle_ms = NOW_MS - BUCKET_MS + around_ms
    for _ in range(2):
        assert len(rows) == len(columns)
        assert told(rows) == told(columns)
        assert rows.first_ms == columns.first_ms
        assert rows.before(middle_ms) == columns.before(middle_ms)
        if len(rows):
            assert stored(rows) == stored(columns)
        rows.refuse_devices(foreign)
        columns.refuse_devices(foreign)


def fault(one: EnergyInterval, sees_all: bool) -> str | None:
    """What is wrong with an interval, said once more and plainly."""
    span_ms = one.end_ms - one.start_ms
    mine = "/" not in (one.workload or "") or (one.workload or "").startswith("own/")
    faults = {
        "end_before_start": span_ms <= 0,
        "span_too_long": span_ms > MAX_SPAN_MS,
        "from_the_future": one.end_ms > NOW_MS + MAX_AHEAD_MS,
        "implausible_power": one.energy_mj > MAX_POWER_W * span_ms,
        "unknown_method": one.method == "guessed",
        "invalid_workload": one.workload == "a/b/c",
        "foreign_team": not (mine or sees_all),
        "invalid_subject": one.run is None and one.subject == "nonsense",
        "subject_not_allowed": one.run is None and one.subject == "slurm:1" and not sees_all,
    }
    return next((code for code, holds in faults.items() if holds), None)


@given(intervals, st.booleans())
def test_a_batch_is_judged_as_each_interval_alone(
    sent: list[EnergyInterval], sees_all: bool
) -> None:
    judged = sending(sent, sees_all)
    faults = [fault(one, sees_all) for one in sent]
    assert {r.index: r.code for r in judged.rejected} == {
        at: code for at, code in enumerate(faults) if code
    }
    good = [(at, one) for at, one in enumerate(sent) if faults[at] is None]
    kept = judged.accepted
    assert kept.position.tolist() == [at for at, _ in good]
    assert kept.energy_mj.tolist() == [one.energy_mj for _, one in good]
    assert [kept.devices[at] for at in kept.device] == [one.device for _, one in good]
    assert judged.methods[kept.method].tolist() == [Method.of(one.method) for _, one in good]
    for at, (_, one) in zip(kept.who.tolist(), good, strict=True):
        assert kept.whos[at] == (one.workload, one.run, one.subject)
        like = [o for _, o in good if (o.workload, o.run, o.subject) == kept.whos[at]]
        who = judged.whos[at]
        assert (who.start_ms, who.end_ms) == (
            min(o.start_ms for o in like),
            max(o.end_ms for o in like),
        )
    assert judged.first_ms == {
        device: min(o.start_ms for _, o in good if o.device == device)
        for device in {o.device for _, o in good}
    }


@given(intervals)
def test_refused_devices_are_told_and_gone(sent: list[EnergyInterval]) -> None:
    judged = sending(sent, True)
    before = {at: sent[at] for at in judged.accepted.position.tolist()}
    judged.refuse_devices({"a"})
    told = {r.index for r in judged.rejected if r.code == "foreign_device"}
    assert told == {at for at, one in before.items() if one.device == "a"}
    assert set(judged.accepted.position.tolist()) == before.keys() - told
    assert "a" not in judged.first_ms


def test_what_covers_too_many_buckets_is_told_to_come_in_parts() -> None:
    month = EnergyInterval("a", NOW_MS - MAX_SPAN_MS, NOW_MS, 5, "counter")
    short = EnergyInterval("a", NOW_MS - 1000, NOW_MS, 5, "counter")
    judged = sending([month] * 23 + [short], True)
    assert {r.code for r in judged.rejected} == {"too_many_pieces"}
    assert [r.index for r in judged.rejected] == [22]
    assert judged.accepted.position.tolist() == [*range(22), 23]


good = st.builds(
    lambda device, start, span, share, method, workload: EnergyInterval(
        device, start, start + span, share * MAX_POWER_W * span // 4, method, workload
    ),
    st.sampled_from(["a", "b"]),
    st.integers(NOW_MS - 3 * BUCKET_MS, NOW_MS),
    st.one_of(st.integers(1, 20_000), st.just(BUCKET_MS)),
    st.integers(0, 4),
    st.sampled_from(["counter", "modelled"]),
    st.sampled_from([None, "w", "own/w"]),
)
at_the_edge = [
    EnergyInterval("a", NOW_MS, NOW_MS + MAX_AHEAD_MS, 1, "counter"),
    EnergyInterval("a", NOW_MS - 7, NOW_MS + MAX_AHEAD_MS + 1, 1, "counter"),
    EnergyInterval("a", NOW_MS - MAX_SPAN_MS, NOW_MS, 1, "counter"),
    EnergyInterval("a", NOW_MS - MAX_SPAN_MS - 1, NOW_MS, 1, "counter"),
    EnergyInterval("a", NOW_MS - 1, NOW_MS, MAX_POWER_W, "counter"),
    EnergyInterval("a", NOW_MS - 1, NOW_MS, MAX_POWER_W + 1, "counter"),
    EnergyInterval("a", NOW_MS, NOW_MS, 0, "counter"),
    EnergyInterval("a", NOW_MS - 1, NOW_MS, 1, "guessed"),
    EnergyInterval("a", NOW_MS - 1, NOW_MS, 1, "counter", "other/w"),
    *[EnergyInterval("a", NOW_MS - MAX_SPAN_MS, NOW_MS, 5, "counter")] * 2,
]


@given(
    st.lists(good, max_size=12),
    st.lists(st.sampled_from(at_the_edge), max_size=1),
    st.booleans(),
    st.integers(0, 20_000),
)
def test_a_batch_judged_by_its_extremes_reads_as_if_each_were_looked_at(
    sent: list[EnergyInterval], edge: list[EnergyInterval], sees_all: bool, most_pieces: int
) -> None:
    sent = [*sent[:5], *edge, *sent[5:]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_sending, "MAX_PIECES", most_pieces)
        quick = sending(sent, sees_all)
        patch.setattr(ColumnSending, "_can_all_be_meant", lambda *_: False)
        looked_at = sending(sent, sees_all)
    assert told(quick) == told(looked_at)
    assert quick.accepted.position.tolist() == looked_at.accepted.position.tolist()
    assert (quick.devices, quick.first_ms) == (looked_at.devices, looked_at.first_ms)
    if len(quick):
        assert stored(quick) == stored(looked_at)


def test_a_good_batch_is_judged_without_a_look_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def looks(*_: object) -> None:
        raise AssertionError("looked at each")

    monkeypatch.setattr(ColumnSending, "_sift", looks)
    assert len(sending([at_the_edge[0], at_the_edge[2], at_the_edge[4]], True)) == 3
    assert len(sending([], True)) == 0


def test_of_many_subjects_nobody_is_mistaken_for_another() -> None:
    """Beyond a few they are not remembered together."""
    for count in (3, 256, 257, 600):
        sent = [
            EnergyInterval("a", NOW_MS - 10, NOW_MS, 1, "counter", f"w{n}") for n in range(count)
        ]
        for one in (sent, sent[::-1], [*sent, at_the_edge[8]]):
            judged = sending(one, False)
            seen = {str(judged.whos[at].subject.key) for at in judged.accepted.who.tolist()}
            assert seen == {f"own/w{n}" for n in range(count)}
            assert len(judged.rejected) == len(one) - count


sent_spans = st.lists(
    st.builds(
        lambda start, span, energy: EnergyInterval(
            "a",
            NOW_MS - 9 * BUCKET_MS + start,
            NOW_MS - 9 * BUCKET_MS + start + span,
            energy,
            "counter",
        ),
        st.integers(0, 2 * BUCKET_MS),
        st.one_of(st.integers(1, 20_000), st.integers(BUCKET_MS - 2, 3 * BUCKET_MS)),
        st.integers(0, 1 << 44),
    ),
    min_size=1,
    max_size=12,
)


@given(sent_spans)
def test_cut_columns_are_the_intervals_cut_one_by_one(sent: list[EnergyInterval]) -> None:
    columns = SentColumns.of(sent, range(len(sent)))
    ids = np.arange(len(sent)) + 1
    pieces = cut_at_marks(columns, ids, 10 * ids, 100 * ids, ids % 3)
    expected = [
        (hi, 10 * at, 100 * at, hi - lo, mj, at % 3)
        for at, one in enumerate(sent, start=1)
        for lo, hi, mj in cut(one.start_ms, one.end_ms, one.energy_mj)
    ]
    assert list(zip(*pieces.columns.tolist(), strict=True)) == expected
    assert [owner + 1 for owner in pieces.owners.tolist()] == [row[1] // 10 for row in expected]
    assert pieces.dirty.tolist() == sorted(
        {pack(floor_to(row[0] - row[3], BUCKET_MS), row[1] // 10) for row in expected}
    )


rows = st.lists(
    st.builds(
        lambda end, meter, subject, span: (1000 + end, meter, subject, span, 1, 1),
        st.integers(0, 40),
        st.integers(1, 2),
        st.integers(1, 3),
        st.integers(1, 12),
    ),
    min_size=1,
    max_size=8,
)


@given(st.lists(rows, min_size=1, max_size=4))
def test_few_rows_are_told_to_be_in_order_as_many_are(batches: list[list[IntervalRow]]) -> None:
    """Rows of a meter of their own, side by side, make many of few and change nothing."""
    few, many = Frontier(), Frontier()
    others = [(1000, 7, subject, 5, 1, 1) for subject in range(20)]
    for frontier in (few, many):
        frontier.advance(columns_of([(500, meter, 9, 1, 1, 1) for meter in (1, 2, 7)]))
    many.advance(columns_of(others))
    for batch in batches:
        others = [(end + 10, *rest) for end, *rest in others]
        assert few.advance(columns_of(batch)) == many.advance(columns_of([*batch, *others]))


@given(st.lists(rows, min_size=1, max_size=4))
def test_what_is_said_to_be_in_order_overlaps_nothing(batches: list[list[IntervalRow]]) -> None:
    """An error on the safe side is no error; a promise that does not hold is one."""
    frontier, seen = Frontier(), []
    frontier.advance(columns_of([(500, meter, 9, 1, 1, 1) for meter in (1, 2)]))
    for batch in batches:
        in_order = frontier.advance(columns_of(batch))
        for at, row in enumerate(batch):
            if in_order:
                for other in [*seen, *batch[:at]]:
                    assert not _contradicts(row, other)
        seen += batch


def _contradicts(row: IntervalRow, other: IntervalRow) -> bool:
    """A partial overlap at equal span of one meter."""
    if row[1] != other[1] or row[3] != other[3] or row[0] == other[0]:
        return False
    return abs(row[0] - other[0]) < row[3]
