"""Months computed anew from readings, hot and sealed, say what the ledger says: here and on Ray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ledger import Ledger, interval
from sqlalchemy import Engine, update
from stores import migrate

from carbon.cli.engine import Engine as Where
from carbon.cli.engine import on
from carbon.clock import FakeClock
from carbon.domain.intensity import EmissionScope, Signal
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.rollup.recomputing import Priced, recompute, team_months
from carbon.services.rollup.retention import retain
from carbon.services.rollup.rollup import roll_up
from carbon.storage.engine import create_engine, writing
from carbon.storage.rollups import quarter_hour

HOUR = 3_600_000
DAY = 24 * HOUR
#: 2026-01-31 00:00 UTC.
T = 1_769_817_600_000
WINDOW = (T, T + 3 * DAY)


@pytest.fixture
def ledger(tmp_path: Path, new_context: Callable[[Engine], Context]) -> Ledger:
    """Three days at the end of a month, the first of them sealed; two workloads on a device each,
    and one that only half of the time."""
    context = new_context(migrate(create_engine(f"sqlite:///{tmp_path / 'carbon.db'}")))
    settings = context.settings.model_copy(update={"data_dir": tmp_path, "hot_days": 2})
    made = Ledger(Context(context.engine, settings, FakeClock(T + 3 * DAY + HOUR)))
    made.intensity(T, [101.3 + n * 1.7 for n in range(3 * 24)], published_ms=T)
    for n, name in enumerate(("a", "b", "a", "a")):
        for at in (T + n * 11 * HOUR + 7, T + DAY + n * 3 * HOUR, T + 2 * DAY + n * HOUR):
            made.send([interval(at, at + 610_000, 12_345_677 + n, f"gpu-{n % 2}", workload=name)])
    roll_up(made.context)
    retain(made.context)
    return made


def test_readings_give_what_the_ledger_says(ledger: Ledger) -> None:
    found = recompute(ledger.context, *WINDOW, Priced())
    assert [one.start for one in found] == ["2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"]
    for one in found:
        assert one.quarters > 0 == one.without_readings
        assert one.energy_mj == one.recomputed_energy_mj > 0
        assert one.operational_ng == one.recomputed_operational_ng > 0
    assert list((Path(ledger.context.settings.data_dir) / "cold").rglob("*.parquet"))


def test_what_was_changed_by_hand_is_seen(ledger: Ledger) -> None:
    with writing(ledger.context.engine) as connection:
        q = quarter_hour.c
        rows = update(quarter_hour).where(q.start_ms < T + DAY)
        connection.execute(rows.values(energy_mj=q.energy_mj + 1))
    january, february = recompute(ledger.context, *WINDOW, Priced())
    assert january.energy_mj > january.recomputed_energy_mj
    assert february.energy_mj == february.recomputed_energy_mj


def test_another_signal_prices_sealed_months_too(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput) as error:
        recompute(ledger.context, *WINDOW, Priced(Signal.MARGINAL))
    assert error.value.code == "missing_intensity"
    direct = recompute(ledger.context, *WINDOW, Priced(scope=EmissionScope.LIFECYCLE))
    assert [one.recomputed_operational_ng for one in direct] == [
        one.operational_ng for one in direct
    ]


def test_tasks_are_by_team_and_month_and_a_window_has_a_length(ledger: Ledger) -> None:
    tasks = team_months(ledger.context, T + HOUR, T + 32 * DAY)
    teams = {task.team for task in tasks}
    assert len(tasks) == 3 * len(teams)
    assert tasks[0].start_ms == T + HOUR
    assert tasks[2].end_ms == T + 32 * DAY
    with pytest.raises(InvalidInput):
        recompute(ledger.context, T, T, Priced())


def test_nobody_else_can_read_a_database_in_memory(
    memory: Engine, new_context: Callable[[Engine], Context]
) -> None:
    with pytest.raises(InvalidInput) as error:
        recompute(new_context(memory), *WINDOW, Priced())
    assert error.value.code == "memory_database"


@pytest.mark.slow
def test_ray_gives_the_same_to_the_bit(ledger: Ledger) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'carbon-ledger[ray]'")
    here = recompute(ledger.context, *WINDOW, Priced())
    with on(Where.RAY) as each:
        assert recompute(ledger.context, *WINDOW, Priced(), each) == here
        with pytest.raises(InvalidInput) as error:
            recompute(ledger.context, *WINDOW, Priced(Signal.MARGINAL), each)
    assert error.value.code == "missing_intensity"
