"""Worked cases from public sources; the formulas of each stand in `carbon.bench.sci.golden`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from service import Service
from sqlalchemy import Engine

from carbon.bench.sci.calls import Asked
from carbon.bench.sci.golden import BY_ID, INCONSISTENT, compared, read_cases
from carbon.bench.sci.golden.stated import answering, mass_g
from carbon.domain.emissions import implied_g_per_kwh
from carbon.services.context import Context

REPOSITORY = Path(__file__).resolve().parents[2]
CASES = read_cases(Path(os.environ.get("CARBON_BENCH_DATA", REPOSITORY.parent / "shared" / "data")))
pytestmark = pytest.mark.skipif(not CASES, reason="no golden/sci_cases.json beside the data folder")


@pytest.mark.parametrize("case_id", sorted(BY_ID))
def test_our_arithmetic_gives_the_exact_result(case_id: str) -> None:
    for name, ours, exact in compared(CASES[case_id], "expected"):
        assert math.isclose(ours, exact, rel_tol=1e-9), (name, ours, exact)


@pytest.mark.parametrize("case_id", sorted(set(BY_ID) - set(INCONSISTENT)))
def test_a_consistent_source_printed_our_result_within_its_own_tolerance(case_id: str) -> None:
    case = CASES[case_id]
    assert case["source_consistent"]
    for name, ours, printed in compared(case, "published"):
        # The tightest tolerances, 1e-12, are asked of the source's own digits.
        tolerance = max(case["published_tolerance"], 1e-12)
        assert math.isclose(ours, printed, rel_tol=tolerance), (name, ours, printed)


@pytest.mark.parametrize("case_id", sorted(INCONSISTENT))
def test_an_inconsistent_source_is_caught(case_id: str) -> None:
    case = CASES[case_id]
    assert not case["source_consistent"]
    wrong = [
        name
        for name, ours, printed in compared(case, "published")
        if not math.isclose(ours, printed, rel_tol=1e-3)
    ]
    assert wrong, INCONSISTENT[case_id]


def test_every_case_at_hand_is_reproduced() -> None:
    assert set(CASES) == set(BY_ID)
    assert {id_ for id_, case in CASES.items() if not case["source_consistent"]} == set(
        INCONSISTENT
    )


def test_a_market_based_figure_betrays_itself_by_the_intensity_it_implies() -> None:
    inputs = CASES["google-gemini-carbon"]["inputs"]
    implied = implied_g_per_kwh(mass_g(inputs["scope2_mb"]), 0.24 / 1000)
    assert implied == pytest.approx(96, abs=0.5)


def test_the_call_gives_every_case_that_its_fields_can_state(
    memory: Engine, new_context: Callable[[Engine], Context]
) -> None:
    with Service.of(new_context(memory)) as service:
        asked = Asked(service.stranger)
        token = answering.set(asked)
        try:
            right = sum(asked.is_right(case) for case in CASES.values())
        finally:
            answering.reset(token)
    assert right == asked.cases >= 40
