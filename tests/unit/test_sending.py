"""A batch judged in one pass reads as if each interval were judged alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.energy import Method
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES, TEAM_SCOPES
from carbon.domain.units import BUCKET_MS
from carbon.services.frontier import Frontier
from carbon.services.sending import MAX_AHEAD_MS, MAX_SPAN_MS, Sending
from carbon.storage.bulk import IntervalRow
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


def sending(sees_all: bool) -> Sending:
    scopes = ADMIN_SCOPES if sees_all else TEAM_SCOPES
    return Sending(
        Principal("k", "k", "own", frozenset(scopes)), EnergyBatch("s", "b", 1, []), None, NOW_MS
    )


def told(one: Sending) -> object:
    whos = [(w.subject, w.workload, w.start_ms, w.end_ms) for w in one.whos]
    accepted = [(a.position, a.sent, a.who.subject, a.method) for a in one.accepted]
    return accepted, one.rejected, one.first_ms, one.pieces, whos


@given(intervals, st.booleans())
def test_one_pass_is_as_one_by_one(sent: list[EnergyInterval], sees_all: bool) -> None:
    at_once, singly = sending(sees_all), sending(sees_all)
    at_once.add_all(range(len(sent)), sent)
    for position, interval in enumerate(sent):
        singly.add(position, interval)
    assert told(at_once) == told(singly)


def test_a_method_is_kept_as_its_number() -> None:
    one = sending(True)
    interval = EnergyInterval("a", NOW_MS - 2000, NOW_MS - 1000, 5, "counter")
    one.add_all([0, 1], [interval, interval])
    assert [type(a.method) for a in one.accepted] == [int, int]
    assert one.accepted[1].method == Method.COUNTER


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
def test_what_is_said_to_be_in_order_overlaps_nothing(batches: list[list[IntervalRow]]) -> None:
    """An error on the safe side is no error; a promise that does not hold is one."""
    frontier, seen = Frontier(), []
    frontier.advance([(500, meter, 9, 1, 1, 1) for meter in (1, 2)])
    for batch in batches:
        in_order = frontier.advance(batch)
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
