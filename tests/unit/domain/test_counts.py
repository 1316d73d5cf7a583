"""A count that is replaced: exact, in the shape of what was counted, and nowhere else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.counts import Piece, counted, replaced
from carbon.domain.energy import cut
from carbon.domain.units import BUCKET_MS

spans = st.tuples(st.integers(0, 50), st.integers(1, 5), st.integers(0, 10**6))


@st.composite
def pieces(draw: st.DrawFn) -> list[Piece]:
    found = []
    for start, length, amount in draw(st.lists(spans, max_size=8)):
        start_ms = start * 60_000
        found += [Piece(*p) for p in cut(start_ms, start_ms + length * 90_000, amount)]
    return found


windows = st.tuples(st.integers(0, 60), st.integers(1, 40)).map(
    lambda w: (w[0] * 61_000, (w[0] + w[1]) * 61_000)
)


@given(pieces(), windows, st.integers(0, 10**9))
def test_what_replaces_sums_to_the_count_and_the_rest_stays(
    known: list[Piece], window: tuple[int, int], count: int
) -> None:
    outside, inside = replaced(known, *window, count)
    assert sum(piece.amount for piece in inside) == count
    before = sum(piece.amount for piece in known)
    assert sum(piece.amount for piece in outside) == before - counted(known, *window)
    assert counted([*outside, *inside], *window) == count
    for piece in [*outside, *inside]:
        assert piece.start_ms < piece.end_ms
        assert piece.start_ms // BUCKET_MS == (piece.end_ms - 1) // BUCKET_MS
        assert piece.amount >= 0


@given(pieces(), windows)
def test_the_same_count_again_changes_nothing(known: list[Piece], window: tuple[int, int]) -> None:
    held = counted(known, *window)
    outside, inside = replaced(known, *window, held)
    if held:
        for lo in range(window[0], window[1], 61_000):
            part = (lo, lo + 61_000)
            whole = counted(known, *part)
            # cut anew, a piece may round otherwise by one unit at each of its ends
            assert abs(counted([*outside, *inside], *part) - whole) <= 2 * len(known)


def test_a_night_in_which_nothing_was_counted_stays_empty() -> None:
    day = [Piece(0, 300_000, 10), Piece(3_600_000, 3_900_000, 30)]
    outside, inside = replaced(day, 0, 7_200_000, 80)
    assert (outside, inside) == ([], [Piece(0, 300_000, 20), Piece(3_600_000, 3_900_000, 60)])


def test_where_nothing_was_counted_it_lies_evenly() -> None:
    outside, inside = replaced([], 150_000, 750_000, 4)
    assert outside == []
    assert inside == [
        Piece(150_000, 300_000, 1),
        Piece(300_000, 600_000, 2),
        Piece(600_000, 750_000, 1),
    ]
