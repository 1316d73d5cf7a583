"""Energy divided among subjects is neither made nor lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.attribution import split

energies = st.integers(0, 1 << 53)
weights = st.dictionaries(
    st.integers(0, 1000), st.floats(0, 1e12, allow_nan=False), min_size=1, max_size=40
)


@given(energies, weights)
def test_shares_sum_to_the_whole_exactly(energy_mj: int, given_weights: dict[int, float]) -> None:
    shares = split(energy_mj, given_weights)
    assert sum(shares.values()) == energy_mj
    assert shares.keys() == given_weights.keys()
    assert min(shares.values()) >= 0


@given(st.integers(0, 10**9), st.dictionaries(st.text(), st.integers(1, 1000), min_size=1))
def test_each_share_is_within_a_millijoule_of_its_part(
    energy_mj: int, given_weights: dict[str, int]
) -> None:
    total = sum(given_weights.values())
    for key, share in split(energy_mj, given_weights).items():
        assert abs(share - energy_mj * given_weights[key] / total) < 1.001


@given(energies, weights, st.floats(1e-3, 1e3))
def test_who_has_no_weight_gets_nothing_where_others_have(
    energy_mj: int, given_weights: dict[int, float], weight: float
) -> None:
    shares = split(energy_mj, {**given_weights, -1: 0.0, -2: weight})
    assert shares[-1] == 0


@given(st.integers(0, 10**12), st.integers(1, 30))
def test_without_any_weight_all_get_equal_parts(energy_mj: int, count: int) -> None:
    shares = split(energy_mj, dict.fromkeys(range(count), 0.0))
    assert sum(shares.values()) == energy_mj
    assert max(shares.values()) - min(shares.values()) <= 1


@given(energies, st.floats(1e-300, 1e300))
def test_one_alone_gets_all(energy_mj: int, weight: float) -> None:
    assert split(energy_mj, {"a": weight}) == {"a": energy_mj}


def test_the_odd_millijoule_goes_to_the_largest_remainder() -> None:
    assert split(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert split(10, {"a": 1, "b": 2}) == {"a": 3, "b": 7}


def test_nobody_cannot_be_given_energy() -> None:
    with pytest.raises(ValueError, match="nobody"):
        split(1, {})
