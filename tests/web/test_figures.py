"""Numbers as people read them say neither less nor more than is known."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.services.sci.today import Figure
from carbon.web.figures import (
    COUNT,
    ENERGY,
    INTENSITY,
    MASS,
    POWER,
    Quantity,
    digits_of,
    percent,
    rounded,
)
from carbon.web.pages import bounds, signed_percent

VALUES = st.floats(1e-9, 1e12)
QUANTITIES = st.sampled_from([ENERGY, MASS, POWER, INTENSITY])
DIGITS = st.sampled_from([2, 3])


def size_of(quantity: Quantity, unit: str) -> float:
    return next(size for size, name in quantity.units if name == unit)


@given(QUANTITIES, VALUES, DIGITS)
def test_what_is_shown_is_the_value_to_its_digits(
    quantity: Quantity, value: float, digits: int
) -> None:
    shown = quantity.show(value, digits)
    again = float(shown.number) * size_of(quantity, shown.unit)
    assert again == pytest.approx(value, rel=0.5001 * 10 ** (1 - digits))


@given(VALUES, DIGITS)
def test_no_number_is_written_with_an_exponent_or_more_digits_than_meant(
    value: float, digits: int
) -> None:
    text = rounded(value, digits)
    assert re.fullmatch(r"\d+(\.\d+)?", text)
    assert len(text.replace(".", "").lstrip("0").rstrip("0")) <= digits


@given(st.floats(1e-6, 9.9e8), DIGITS)
def test_a_fitting_unit_leaves_one_to_three_digits_before_the_point(
    kwh: float, digits: int
) -> None:
    shown = ENERGY.show(kwh, digits)
    assert 1 <= float(shown.number) < 1000


@given(VALUES, DIGITS)
def test_a_negative_value_reads_as_its_opposite_with_a_minus(value: float, digits: int) -> None:
    negative, positive = MASS.show(-value, digits), MASS.show(value, digits)
    assert (negative.number, negative.unit) == (f"-{positive.number}", positive.unit)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0 kWh"),
        (0.000_123_4, "123 mWh"),
        (0.012_34, "12.3 Wh"),
        (0.999_6, "1.00 kWh"),
        (13.24, "13.2 kWh"),
        (1324.0, "1.32 MWh"),
    ],
)
def test_energy_reads_in_a_fitting_unit(value: float, shown: str) -> None:
    assert str(ENERGY.show(value)).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_an_unsure_figure_has_two_digits_and_a_sure_one_three() -> None:
    assert digits_of(Figure(100.0, 60.0, 140.0)) == 2
    assert digits_of(Figure(100.0, 95.0, 105.0)) == 3
    assert digits_of(Figure(0.0, 0.0, 0.0)) == 3


def test_bounds_share_the_unit_of_their_figure() -> None:
    text = bounds("mass", Figure(1200.0, 840.0, 1560.0))
    assert text == "0.84–1.6\N{NO-BREAK SPACE}kg CO₂e"


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_only_nothing_is_0_percent_and_only_all_is_100(share: float) -> None:
    assert percent(share) not in ("0", "100")


def test_nothing_and_all_are_said_plainly() -> None:
    assert (percent(0.0), percent(1.0), percent(0.5)) == ("0", "100", "50")


def test_whole_things_are_counted_without_decimals() -> None:
    assert [str(COUNT.show(n)).strip() for n in (0, 4, 37, 12_345)] == ["0", "4", "37", "12.3\xa0k"]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (0.0, "0"), (0.25, "+25"), (-0.25, "−25"), (-0.995, "−99.5"), (-0.99995, "−99.9"),
        (-1.0, "−100"), (0.004, "+0.40"), (-0.00012, "−0.012"), (12.2, "+1220"),
    ],
)  # fmt: skip
def test_a_change_is_a_figure_with_a_sign_also_near_nothing_and_all(
    change: float, shown: str
) -> None:
    assert signed_percent(change) == f"{shown}\N{NO-BREAK SPACE}%"
