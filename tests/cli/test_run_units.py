"""What `carbon run` refuses before it starts anything."""

from __future__ import annotations

import pytest

from carbon.cli.run import parse_counts
from carbon.errors import InvalidInput


def test_units_are_read_as_they_are_stated() -> None:
    assert parse_counts(["request=1000", "token=0"]) == {"request": 1000, "token": 0}


@pytest.mark.parametrize(
    ("units", "code"),
    [
        (["request=²"], "invalid_unit"),
        (["request=-1"], "invalid_unit"),
        (["request=1e3"], "invalid_unit"),
        (["request"], "invalid_unit"),
        (["=5"], "invalid_unit"),
        (["request=99999999999999999999"], "invalid_unit"),
        ([f"{'r' * 300}=1"], "invalid_unit"),
        (["a=1", "a=2"], "invalid_unit"),
        (["run=5"], "derived_unit"),
        (["device_hour=2"], "derived_unit"),
    ],
)
def test_a_unit_that_cannot_be_meant_is_refused(units: list[str], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_counts(units)
    assert caught.value.code == code
