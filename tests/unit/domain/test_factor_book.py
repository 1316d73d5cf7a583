"""Which factor holds: superseded ones stay, validity decides, and no two say the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.factor import Factor, FactorKind, Tier, Unit
from carbon.domain.factor_book import FactorBook, Hardware
from carbon.domain.factors import LIFESPAN, SHIPPED, factor_for_device
from carbon.errors import Conflicting, InvalidInput, NotFound

H100 = factor_for_device("gpu", "NVIDIA H100")
MODEL = ("gpu", "NVIDIA H100 80GB HBM3")


def revision(id_: str, of: str = H100.id, value: float = 200.0, **others: object) -> Factor:
    made = replace(H100, id=id_, supersedes=of, value=value, recorded_ms=1)
    return replace(made, **others)  # type: ignore[arg-type]  # fields by name


def ids(book: FactorBook, start_ms: int = 0, end_ms: int = 100) -> list[tuple[str, int, int]]:
    held = book.for_device(*MODEL, start_ms, end_ms)
    return [(one.factor.id, one.start_ms, one.end_ms) for one in held]


def test_without_records_what_ships_holds() -> None:
    assert ids(FactorBook()) == [(H100.id, 0, 100)]
    assert FactorBook().lifespan(Hardware("gpu", ""), 0, 1)[0].factor is LIFESPAN


def test_the_newest_of_a_line_holds() -> None:
    book = FactorBook().with_factor(revision("e/a")).with_factor(revision("e/b", "e/a"))
    assert ids(book) == [("e/b", 0, 100)]


def test_outside_of_its_validity_the_superseded_one_holds_on() -> None:
    book = FactorBook().with_factor(revision("e/a", valid_from_ms=30, valid_to_ms=60))
    assert ids(book) == [(H100.id, 0, 30), ("e/a", 30, 60), (H100.id, 60, 100)]
    assert ids(book, 30, 60) == [("e/a", 30, 60)]


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 100)), max_size=4),
    st.integers(0, 99),
    st.integers(1, 100),
)
def test_a_window_is_held_without_gap_or_overlap(
    spans: list[tuple[int, int]], start_ms: int, length_ms: int
) -> None:
    book, last = FactorBook(), H100.id
    for n, (first, length) in enumerate(spans):
        made = revision(f"e/{n}", last, valid_from_ms=first, valid_to_ms=first + length)
        book, last = book.with_factor(made), made.id
    held = book.for_device(*MODEL, start_ms, start_ms + length_ms)
    assert held[0].start_ms == start_ms
    assert held[-1].end_ms == start_ms + length_ms
    assert all(one.end_ms == next_.start_ms for one, next_ in pairwise(held))
    assert all(one.factor.is_valid_at(one.start_ms) for one in held)


def test_a_factor_is_superseded_once_for_a_time() -> None:
    book = FactorBook().with_factor(revision("e/a", valid_to_ms=50))
    with pytest.raises(Conflicting) as caught:
        book.check(revision("e/b", valid_from_ms=49))
    assert caught.value.code == "already_superseded"
    later = book.with_factor(revision("e/b", valid_from_ms=50))
    assert ids(later) == [("e/a", 0, 50), ("e/b", 50, 100)]


def test_what_was_known_at_a_moment_can_be_asked() -> None:
    book = FactorBook().with_factor(revision("e/a", recorded_ms=500))
    assert ids(book.as_of(499)) == [(H100.id, 0, 100)]
    assert ids(book.as_of(500)) == [("e/a", 0, 100)]


def test_two_factors_for_one_thing_and_time_are_refused() -> None:
    other = replace(H100, id="e/other", recorded_ms=1)
    with pytest.raises(Conflicting) as caught:
        FactorBook().check(other)
    assert caught.value.code == "overlapping_factors"


def test_a_successor_speaks_of_the_same_thing() -> None:
    with pytest.raises(InvalidInput) as caught:
        FactorBook().check(revision("e/a", LIFESPAN.id))
    assert caught.value.code == "another_thing"
    with pytest.raises(NotFound):
        FactorBook().check(revision("e/a", "embodied/gpu/unheard"))


def test_a_new_product_is_known_by_the_words_of_its_name() -> None:
    l40s = replace(H100, id="e/l40s", name="NVIDIA L40S", value=150.0, recorded_ms=1)
    book = FactorBook().with_factor(l40s)
    held = book.for_device("gpu", "NVIDIA L40S 48GB", 0, 1)
    assert [one.factor.id for one in held] == ["e/l40s"]
    assert ids(book) == [(H100.id, 0, 100)]


@pytest.mark.parametrize(("kind", "model"), [("dram", "384 GB"), ("cpu", "64-Core")])
def test_a_parametric_factor_is_found_and_superseded_by_its_id(kind: str, model: str) -> None:
    base = factor_for_device(kind, model)
    assert FactorBook().find(base.id) == base
    book = FactorBook().with_factor(
        replace(base, id="e/p", supersedes=base.id, value=base.value * 1.01, recorded_ms=1)
    )
    assert book.for_device(kind, model, 0, 1)[0].factor.id == "e/p"
    assert book.for_device(kind, model.replace("4", "8"), 0, 1)[0].factor.id != "e/p"


def test_every_shipped_factor_is_found_and_none_overlaps_itself() -> None:
    assert all(FactorBook().find(factor.id) == factor for factor in SHIPPED)


def test_a_factor_cannot_supersede_itself_nor_end_before_it_begins() -> None:
    for change in ({"supersedes": H100.id}, {"valid_from_ms": 2, "valid_to_ms": 2}):
        with pytest.raises(InvalidInput):
            replace(H100, **change)  # type: ignore[arg-type]  # fields by name


def test_a_pue_below_one_is_no_pue() -> None:
    with pytest.raises(InvalidInput) as caught:
        Factor(
            "p", FactorKind.PUE, "r", "", 0.9, Unit.RATIO, 0.8, 1.0, "s", "l", "v", Tier.MEASURED
        )
    assert caught.value.code == "pue_below_one"
