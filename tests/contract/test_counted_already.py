"""What an import tells of a run or a host that was metered from nearer by is in no total."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger import NOON_MS, Ledger, interval
from sqlalchemy import Engine

from carbon.clock import to_rfc3339
from carbon.domain.units import QUARTER_MS
from carbon.services.context import Context
from carbon.services.ingest.import_quality import import_quality
from carbon.services.rollup.rollup import roll_up
from carbon.wire.energy import IngestAnswer

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
KWH = 3_600_000_000


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    made = Ledger(new_context(engine))
    yield made
    made.close()


def agent(ledger: Ledger, start_ms: int, end_ms: int, **others: Any) -> IngestAnswer:
    sent = interval(start_ms, end_ms, KWH, **{"device": "GPU-1", "workload": "w", **others})
    infos = [{"device": sent["device"], "kind": "gpu"}]
    return ledger.send([sent], source="agent@n1", host="n1", devices=infos)


def accounts(ledger: Ledger, *spans: tuple[int, int], **others: Any) -> IngestAnswer:
    """Jobs of a node as a whole."""
    sent = [
        interval(start_ms, end_ms, KWH, **{"device": "n1/slurm", "run": f"job-{n}", **others})
        for n, (start_ms, end_ms) in enumerate(spans)
    ]
    info = {"device": "n1/slurm", "kind": "server", "is_sum": True}
    return ledger.send(sent, source="sacct", host="n1", is_import=True, devices=[info])


def codes(answer: IngestAnswer) -> list[tuple[int, str]]:
    return [(rejection.index, rejection.code) for rejection in answer.rejected]


@pytest.mark.parametrize("is_rolled_up", [True, False])
def test_the_sum_of_a_host_counts_only_while_nothing_of_it_is_metered(
    ledger: Ledger, is_rolled_up: bool
) -> None:
    agent(ledger, T + HOUR, T + 2 * HOUR)
    if is_rolled_up:
        roll_up(ledger.context)
    before, within = (T, T + HOUR), (T + HOUR, T + HOUR + QUARTER_MS)
    reaching, after = (T + HOUR // 2, T + 3 * HOUR), (T + 2 * HOUR, T + 3 * HOUR)
    answer = accounts(ledger, before, within, reaching, after, workload="jobs")
    assert codes(answer) == [(1, "host_metered"), (2, "host_metered")]
    assert ledger.sci("jobs").energy_mj == 2 * KWH
    again = accounts(ledger, before, within, reaching, after, workload="jobs")
    assert (codes(again), again.duplicate) == (codes(answer), 2)


def test_another_host_says_nothing_of_this_one(ledger: Ledger) -> None:
    ledger.send([interval(T, T + HOUR, KWH, device="GPU-2", workload="w")], host="n2")
    assert accounts(ledger, (T, T + HOUR)).accepted == 1


def test_a_host_that_came_in_as_a_whole_before_its_devices_is_set_aside_and_told(
    ledger: Ledger,
) -> None:
    """The order of imports changes no total: the quarter-hours in which devices were read count
    these alone, the others the whole."""
    accounts(ledger, (T, T + 2 * QUARTER_MS), workload="jobs")
    roll_up(ledger.context)
    assert import_quality(ledger.context, T, NOON_MS).troubles == []
    assert ledger.sci("jobs").energy_mj == KWH
    agent(ledger, T + QUARTER_MS, T + 3 * QUARTER_MS)
    roll_up(ledger.context)
    assert ledger.sci("jobs").energy_mj == KWH // 2
    assert ledger.sci("w").energy_mj == KWH
    [line] = import_quality(ledger.context, T, NOON_MS).troubles
    assert (line.code, line.about) == ("host_sum_set_aside", "n1")
    assert (line.first, line.last) == (to_rfc3339(T + QUARTER_MS), to_rfc3339(T + 2 * QUARTER_MS))


def test_a_whole_that_is_read_beside_its_devices_counts_in_neither_order(ledger: Ledger) -> None:
    """A rack's meter, which is no import and never refused."""
    whole = [interval(T, T + QUARTER_MS, KWH, device="psu", workload="rack")]
    infos = [{"device": "psu", "kind": "server"}]
    agent(ledger, T, T + QUARTER_MS)
    ledger.send(whole, source="psu", host="n1", devices=infos)
    roll_up(ledger.context)
    assert ledger.sci("w").energy_mj == KWH
    assert ledger.sci("rack").energy_mj in (0, None)
    assert {one.code for one in import_quality(ledger.context, T, NOON_MS).troubles} == {
        "host_sum_set_aside"
    }


def test_a_whole_host_beside_which_nothing_was_read_counts(ledger: Ledger) -> None:
    whole = [interval(T, T + QUARTER_MS, KWH, device="psu", workload="rack")]
    infos = [{"device": "psu", "kind": "server"}]
    ledger.send(whole, source="psu", host="n1", devices=infos)
    agent(ledger, T + QUARTER_MS, T + 2 * QUARTER_MS)
    roll_up(ledger.context)
    assert ledger.sci("rack").energy_mj == KWH
    assert import_quality(ledger.context, T, NOON_MS).troubles == []


def test_accounts_of_months_without_energy_leave_nothing_to_roll_up(ledger: Ledger) -> None:
    held = {"device": "n1/slurm", "workload": "jobs", "start_ms": T - 30 * 24 * HOUR}
    held |= {"end_ms": T, "share_ppm": 1_000_000}
    ledger.send([], source="sacct", host="n1", is_import=True, reservations=[held])
    assert roll_up(ledger.context) == 0


def test_what_is_held_later_than_it_was_read_is_rolled_up_with_it(ledger: Ledger) -> None:
    agent(ledger, T, T + QUARTER_MS)
    roll_up(ledger.context)
    held = {"device": "GPU-1", "workload": "w", "start_ms": T - HOUR, "end_ms": T + 2 * HOUR}
    ledger.send([], source="sacct", is_import=True, reservations=[held | {"share_ppm": 500_000}])
    assert roll_up(ledger.context) == QUARTER_MS // 300_000


def test_a_run_that_was_told_as_it_ran_is_not_imported_too(ledger: Ledger) -> None:
    agent(ledger, T, T + HOUR, run="r1")
    roll_up(ledger.context)
    sent = [
        interval(T, T + HOUR, KWH, device="cc/cpu", workload="w", run=run) for run in ("r1", "r2")
    ]
    answer = ledger.send(sent, source="codecarbon-csv", is_import=True)
    assert (codes(answer), answer.accepted) == ([(0, "run_metered")], 1)
    assert ledger.sci("w").energy_mj == 2 * KWH
    roll_up(ledger.context)
    again = ledger.send(sent, source="codecarbon-csv", is_import=True)
    assert (codes(again), again.duplicate) == ([(0, "run_metered")], 1)


def test_a_run_that_is_told_while_it_runs_is_nobodys_import(ledger: Ledger) -> None:
    """Devices of one run may well be several sources'."""
    agent(ledger, T, T + HOUR, run="r1")
    roll_up(ledger.context)
    sent = [interval(T, T + HOUR, KWH, device="psu", workload="w", run="r1")]
    assert ledger.send(sent, source="psu").accepted == 1
