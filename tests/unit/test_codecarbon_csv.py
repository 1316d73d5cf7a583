"""CodeCarbon's emissions.csv becomes energy of its runs."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from carbon.clock import from_rfc3339
from carbon.errors import InvalidInput
from carbon.imports.codecarbon_csv import read_codecarbon
from carbon.imports.harvest import Harvest

HEAD = (
    "timestamp,project_name,run_id,duration,emissions,cpu_energy,gpu_energy,ram_energy,"
    "energy_consumed,country_name,os,cpu_count,cpu_model,gpu_model,ram_total_size,pue"
)
JOULE = 1 / 3_600_000


def line(at: str, run: str, duration: float, joules: float, pue: float = 1.0) -> str:
    kwh = joules * JOULE
    return (
        f"{at},my project,{run},{duration},{kwh * 0.3},{kwh},0.0,0.0,{kwh},France,Linux,8,EPYC,,"
        f"31.2,{pue}"
    )


def read(*lines: str, zone: str = "UTC") -> tuple[list[tuple[int, int, int]], Harvest]:
    harvest = Harvest()
    batches, _ = read_codecarbon([HEAD, *lines], ZoneInfo(zone), harvest)
    return [(i.start_ms, i.end_ms, i.energy_mj) for b in batches for i in b.intervals], harvest


def test_a_line_is_a_run_that_ended_then_in_the_stated_zone() -> None:
    harvest = Harvest()
    lines = [HEAD, line("2026-03-02T13:00:00", "r1", 60.0, 100.0)]
    (batch,), claimed_g = read_codecarbon(lines, ZoneInfo("Europe/Paris"), harvest)
    (interval,) = batch.intervals
    end_ms = from_rfc3339("2026-03-02T12:00:00Z")
    assert (interval.start_ms, interval.end_ms) == (end_ms - 60_000, end_ms)
    assert (interval.energy_mj, interval.method) == (100_000, "imported")
    assert (interval.workload, interval.run) == ("my-project", "r1")
    assert (batch.zone, batch.zone_is_guess, batch.is_import) == ("FR", True, True)
    assert claimed_g == pytest.approx(100 * JOULE * 300)
    assert not harvest.troubles


def test_later_lines_of_a_run_add_what_is_new() -> None:
    lines = [
        line("2026-03-02T12:01:00", "r1", 60.0, 100.0),
        line("2026-03-02T12:03:00", "r1", 180.0, 250.0),
    ]
    spans, _ = read(*lines)
    noon = from_rfc3339("2026-03-02T12:00:00Z")
    assert spans == [(noon, noon + 60_000, 100_000), (noon + 60_000, noon + 180_000, 150_000)]
    assert read(*reversed(lines))[0] == spans


def test_the_pue_is_taken_out() -> None:
    spans, _ = read(line("2026-03-02T12:01:00", "r1", 60.0, 150.0, pue=1.5))
    assert [mj for _, _, mj in spans] == [100_000]


def test_a_line_that_cannot_be_meant_is_told_and_in_no_total() -> None:
    good = line("2026-03-02T12:01:00", "r1", 60.0, 100.0)
    bad = [
        line("yesterday", "r2", 60.0, 100.0),
        line("2026-03-02T12:01:00", "r3", 60.0, -5.0),
        good.replace("60.0", "long").replace("r1", "r4"),
        "2026-03-02T12:01:00,cut off",
    ]
    spans, harvest = read(good, *bad)
    assert len(spans) == 1
    assert sorted(about for _, about in harvest.troubles) == [f"line {n}" for n in (3, 4, 5, 6)]


def test_runs_without_an_id_are_runs_of_their_own() -> None:
    lines = [
        line("2026-03-02T12:01:00", "None", 60.0, 100.0),
        line("2026-03-02T14:00:00", "None", 30.0, 50.0),
        line("2026-03-02T16:00:00", "", 90.0, 70.0),
    ]
    spans, harvest = read(*lines)
    assert sorted(mj for _, _, mj in spans) == [50_000, 70_000, 100_000]
    assert not harvest.troubles


def test_where_they_ran_is_said_beside_the_file() -> None:
    lines = [HEAD, line("2026-03-02T13:00:00", "r1", 60.0, 100.0)]
    (batch,), _ = read_codecarbon(lines, ZoneInfo("UTC"), Harvest(), "n1")
    assert (batch.host, batch.intervals[0].device) == ("n1", "n1/codecarbon/cpu")
    (info,) = batch.devices
    assert (info.kind, info.model, info.is_sum) == ("cpu", "EPYC", True)


def test_another_file_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_codecarbon(["a,b", "1,2"], ZoneInfo("UTC"), Harvest())
    assert refused.value.code == "column_missing"
