"""Knowledge that comes late changes claims, not energy; and what was rolled up follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from job_house import fresh_engine
from ledger import Ledger, interval
from service import MINUTE, T
from sqlalchemy import Engine

from carbon.errors import NotFound
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up


@pytest.fixture
def ledger(new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    made = Ledger(new_context(fresh_engine()))
    yield made
    made.close()


def test_a_run_named_late_brings_what_it_drew_before(ledger: Ledger) -> None:
    ledger.send([interval(T, T + MINUTE, 5_000, run="r1", workload=None)])
    roll_up(ledger.context)
    ledger.send([interval(T + 10 * MINUTE, T + 11 * MINUTE, 7_000, run="r1")])
    assert ledger.sci(run="r1").energy_mj == 12_000
    assert ledger.sci().energy_mj == 12_000


def test_it_makes_no_difference_when_the_roll_up_came(ledger: Ledger) -> None:
    ledger.send([interval(T + 10 * MINUTE, T + 11 * MINUTE, 7_000, run="r1")])
    roll_up(ledger.context)
    ledger.send([interval(T, T + MINUTE, 5_000, run="r1", workload=None)])
    assert ledger.sci().energy_mj == 12_000


def test_a_run_stated_under_another_workload_is_wholly_of_that_one(ledger: Ledger) -> None:
    ledger.send([interval(T, T + MINUTE, 5, run="r1", workload="a")])
    ledger.send([interval(T, T + MINUTE, 7, "gpu-1", run="r1", workload="b")])
    told = ledger.sci("b", run="r1", unit="run")
    assert (told.energy_mj, told.count) == (12, 1)
    assert ledger.sci("b").energy_mj == 12
    assert ledger.sci("a", unit="run").count == 0


def test_a_subject_that_changes_hands_keeps_each_period_with_its_owner(ledger: Ledger) -> None:
    ledger.send([interval(T, T + MINUTE, 5, subject="slurm:1", workload="a")])
    ledger.send([interval(T + MINUTE, T + 2 * MINUTE, 7, subject="slurm:1", workload="b")])
    assert ledger.sci("a").energy_mj == 5
    assert ledger.sci("b").energy_mj == 7


def test_what_nobody_claims_belongs_to_no_workload(ledger: Ledger) -> None:
    ledger.send([interval(T, T + MINUTE, 5, workload=None, subject="slurm:1")])
    with pytest.raises(NotFound):
        ledger.sci("w")
