"""What holds of a host at a moment, whatever the order in which it was noted."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from carbon.storage.places import last_begun

DE = {"id": 1, "start_ms": 0, "recorded_ms": 10, "zone": "DE", "pue": 1.2}
PL = {"id": 2, "start_ms": 100, "recorded_ms": 30, "zone": "PL", "pue": None}
FR = {"id": 3, "start_ms": 200, "recorded_ms": 20, "zone": "FR", "pue": None}


@pytest.mark.parametrize("order", list(permutations([DE, PL, FR])))
def test_a_move_noted_late_does_not_undo_a_later_one(order: tuple[dict[str, Any], ...]) -> None:
    assert last_begun(order, "zone") == "FR"
    assert last_begun(order, "pue") == 1.2


def test_of_two_that_begin_together_the_last_noted_holds() -> None:
    again = {**FR, "id": 4, "recorded_ms": 40, "zone": "BE"}
    assert last_begun([again, FR], "zone") == "BE"


def test_what_nobody_said_is_not_known() -> None:
    assert last_begun([PL, FR], "pue") is None
