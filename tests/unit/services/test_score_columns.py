"""Scores by columns are those of one group at a time, to the last bit."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.embodied import EmbodiedCharge
from carbon.domain.energy import Method
from carbon.domain.factor import Factor, FactorKind, Tier, Unit
from carbon.domain.factor_book import FactorBook
from carbon.domain.intensity import PointKind
from carbon.domain.sci import Charge, Score, score
from carbon.domain.units import MS_PER_DAY
from carbon.services.sci.held_devices import embodied_charges, shares_of
from carbon.services.sci.score_columns import Rows, exact_sums, scores
from carbon.storage.ledger_rows import DeviceRef
from carbon.storage.ratings import Rating

START, END = 40 * MS_PER_DAY, 70 * MS_PER_DAY
RATINGS = {
    1: Rating("DE", "meter", "average", "lifecycle", str(PointKind.ACTUAL), ()),
    2: Rating("DE", "meter", "average", "lifecycle", str(PointKind.ACTUAL), ("pue_unset",)),
    3: Rating("DE", "other", "average", "lifecycle", str(PointKind.YEARLY), ("pue_unset",)),
    -4: Rating("FR", "meter", "average", "lifecycle", str(PointKind.FORECAST), ()),
}
DEVICES = {
    1: DeviceRef("gpu-1", "gpu", "NVIDIA A100-SXM4-40GB"),
    2: DeviceRef("gpu-2", "gpu", "NVIDIA A100-SXM4-40GB", commissioned_ms=START),
    3: DeviceRef("cpu-3", "cpu", "something", host="h", commissioned_ms=START - 1460 * MS_PER_DAY),
    7: DeviceRef("gpu-7", "gpu", "NVIDIA H100", host="h"),
}


def lifespan(id_: str, subject: str, name: str, years: float, from_ms: int | None) -> Factor:
    return Factor(
        id=id_,
        kind=FactorKind.LIFESPAN,
        subject=subject,
        name=name,
        value=years,
        unit=Unit.YEAR,
        low=years / 2,
        high=years * 1.5,
        source="us",
        licence="own",
        vintage="2026",
        tier=Tier.GENERIC,
        valid_from_ms=from_ms,
    )


BOOK = FactorBook(
    (
        lifespan("l/gpu", "gpu", "", 3.0, START + 7 * MS_PER_DAY),
        lifespan("l/h", "host", "h", 2.5, None),
        lifespan("l/one", "device", "gpu-7", 7.0, START + 1),
    )
)

_row = st.tuples(
    st.integers(0, 3),
    st.sampled_from(sorted(DEVICES)),
    st.sampled_from(list(Method)).map(int),
    st.sampled_from(sorted(RATINGS)),
    st.integers(0, 10**15),
    st.integers(0, 9 * 10**18),
    st.integers(0, 10**10),
    # Often as long as another's, which is charged alike.
    st.one_of(st.integers(0, 10**10), st.sampled_from([0, 900_000, 10**10])),
)


def one_by_one(rows: list[tuple[int, ...]], count: float) -> Score:
    """As it was computed before there were columns."""
    charges: list[Charge] = []
    held: dict[int, int] = defaultdict(int)
    for _, device, method, rating, energy_mj, ng, covered_ms, reserved_ms in rows:
        priced = RATINGS[rating]
        kind = PointKind(priced.kind)
        values = (Method(method), priced.zone, energy_mj, ng, covered_ms, kind)
        charges.append(Charge(device, *values, priced.pue_is_stated))
        held[device] += reserved_ms
    embodied: list[EmbodiedCharge] = []
    for device in sorted(held):
        ref, reserved = DEVICES[device], held[device]
        embodied += embodied_charges(BOOK, device, ref, reserved, START, END)
    return score(charges, embodied, count)


@given(st.lists(_row, min_size=1, max_size=40), st.sampled_from([0, 3, 0.1]))
def test_they_are_those_of_one_group_at_a_time(rows: list[tuple[int, ...]], count: float) -> None:
    of_group: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for row in rows:
        of_group[row[0]].append(row)
    present = sorted(of_group)
    columns = np.array(rows, dtype=np.int64).T
    group = np.searchsorted(present, columns[0])
    found = scores(
        Rows(*columns[1:]),
        group,
        [count] * len(present),
        RATINGS,
        lambda _, device: shares_of(BOOK, DEVICES[device], START, END),
    )
    assert found == [one_by_one(of_group[one], count) for one in present]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-(2**62), 2**62)), max_size=60))
def test_sums_are_exact_beyond_64_bits(told: list[tuple[int, int]]) -> None:
    group = np.array([one for one, _ in told], dtype=np.int64)
    values = np.array([value for _, value in told], dtype=np.int64)
    assert exact_sums(values, group, 5) == [sum(v for g, v in told if g == n) for n in range(5)]


def test_no_group_has_no_score() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert scores(Rows(*[nothing] * 7), nothing, [], RATINGS, lambda *_: []) == []


def test_devices_that_are_alike_are_told_apart_where_one_is_named() -> None:
    assert BOOK.likeness("gpu-1", "") is None
    assert BOOK.likeness("gpu-7", "h") != BOOK.likeness("gpu-9", "h") != BOOK.likeness("gpu-9", "i")
