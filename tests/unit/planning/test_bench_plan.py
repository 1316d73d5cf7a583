"""`carbon bench plan`: what it names does not depend on whether the traces are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carbon.bench.figure import Options
from carbon.bench.plan import (
    PARTS,
    capacity,
    deadlines,
    dispatch,
    exactness,
    gaia,
    measure,
    remote_start,
    years,
)
from carbon.bench.plan.traces import Traces
from carbon.services.jobs import group_plans, plans


@pytest.fixture
def tiny(tmp_path: Path) -> Traces:
    """A year of few jobs and a grid for every zone, in the files' own layout."""
    rng = np.random.default_rng(1)
    for folder in ("jobs", "carbon"):
        (tmp_path / folder).mkdir()
    arrival = np.sort(rng.uniform(0, 8760, 700))
    length = rng.uniform(0.2, 6, 700)
    cpus = np.ones(700)
    write(tmp_path / "jobs" / "pai-100k.csv", "arrival_time,length,cpus", arrival, length, cpus)
    week = (arrival[:300] / 8760 * 86_400, length[:300] * 3600, cpus[:300])
    write(tmp_path / "jobs" / "pai_1k.csv", "arrival_time,length,cpus", *week)
    zones = ["AU-SA", "US-CAL-CISO", "DE", "GB", "CA-ON"]
    lines = [",".join(["datetime_utc", *zones])]
    grid = rng.uniform(50, 500, (8760, len(zones)))
    lines += [",".join([f"hour {i}", *map(str, row)]) for i, row in enumerate(grid)]
    (tmp_path / "carbon" / "zones_2022_hourly.csv").write_text("\n".join(lines) + "\n")
    traces = Traces.of(tmp_path)
    assert traces is not None
    return traces


def write(path: Path, header: str, *columns: np.ndarray) -> None:
    np.savetxt(path, np.stack(columns, axis=1), delimiter=",", header=header, comments="")


def test_without_traces_each_figure_is_named_with_its_target_and_the_reason():
    figures = [*gaia.absent("why"), *years.absent("why"), *capacity.absent("why")]
    assert len({figure.name for figure in figures}) == len(figures) == 12 + 11 + 24
    assert all(f.value is None and f.met is None and f.note == "why" for f in figures)
    assert all(figure.target for figure in figures)


def test_a_folder_without_the_files_counts_as_absent(tmp_path):
    assert Traces.of(tmp_path) is None
    assert Traces.of(None) is None


@pytest.mark.slow
def test_figures_taken_bear_the_names_of_those_that_could_not_be(tiny):
    for part in (gaia, years):
        taken = {figure.name for figure in part.figures(tiny, quick=True)}
        assert taken <= {figure.name for figure in part.absent("")}
    cases = {figure.name for figure in capacity.figures(tiny, quick=True)}
    learned = {name for name in cases if name.endswith("lengths learned")}
    assert cases - learned <= {figure.name for figure in capacity.absent("")}


def test_days_begin_at_their_own_time_0(tiny):
    jobs = tiny.days(100, 14)
    assert jobs.arrival_ms.min() >= 0
    assert jobs.arrival_ms.max() < 14 * 86_400_000
    assert len(tiny.whole_year()) == 700


def test_no_plan_differs_from_brute_force():
    figures = exactness.figures(quick=True)
    assert [figure.value for figure in figures] == [0.0] * len(figures)


_SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("part", "count"),
    [
        ("planner", 5 + 5 + 1),
        pytest.param("service", 5 + 5, marks=_SLOW),
        pytest.param("dispatch", 6, marks=_SLOW),
        ("traces", 12 + 11 + 24),
    ],
)
def test_each_part_reports_all_of_its_figures_where_no_data_are_at_hand(part, count):
    figures = list(measure(Options(quick=True, part=part)))
    assert len({figure.name for figure in figures}) == len(figures) == count
    assert part in PARTS


def test_no_deadline_is_missed_that_could_be_kept():
    (figure,) = deadlines.figures(quick=True)
    assert (figure.value, figure.met) == (0, True)


def test_a_guard_that_comes_late_is_seen_by_the_figure(monkeypatch):
    """The figure is no better than the misses it would show."""
    monkeypatch.setattr(plans, "margin_ms", lambda length_ms: -600_000)
    monkeypatch.setattr(group_plans, "margins_ms", lambda length_ms: length_ms * 0 - 600_000)
    monkeypatch.setattr(deadlines, "_AT_ONCE", 2_000)
    rng = np.random.default_rng(1)
    assert deadlines._simulated(rng, 2_000)[0] > 0


@pytest.mark.slow
def test_killed_schedulers_that_race_run_each_job_once(tmp_path):
    wrong, note = dispatch.race("local", 12)
    assert wrong == 0, note


@pytest.mark.slow
def test_a_call_reaches_its_target_near_its_time_and_a_missing_one_is_not_hidden():
    errors_s = remote_start.start_errors_s(3)
    assert len(errors_s) == 3
    assert max(errors_s) < 15
