"""Lines of `unit count` that a job appends to $CARBON_UNITS."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.unit_lines import sum_unit_lines

UNITS = st.sampled_from(["token", "image", "training run", "größe"])


@given(st.lists(st.tuples(UNITS, st.integers(0, 10**9))))
def test_counts_of_a_unit_add_up_in_any_order(made: list[tuple[str, int]]) -> None:
    counts, bad = sum_unit_lines(f"{unit} {count}\n" for unit, count in made)
    assert bad == []
    assert counts == {
        unit: sum(n for u, n in made if u == unit) for unit in {unit for unit, _ in made}
    }


def test_a_line_that_cannot_be_meant_is_named_and_spoils_no_other() -> None:
    lines = [
        *("token 5", "", "# a remark", "token", "token -1", "token 1.5", "token ²", " 7"),
        *("run 3", "device_hour 1", f"{'x' * 201} 1", "token 99999999999999999", "token 6"),
    ]
    assert sum_unit_lines(lines) == ({"token": 11}, [4, 5, 6, 7, 8, 9, 10, 11, 12])
