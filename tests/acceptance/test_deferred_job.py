"""`carbon submit`: placed where the forecast is cleanest, started there, and its saving shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance import Deployment, TwoGpus, burn, operational_g, wait_out_a_mark
from acceptance.test_main_job import epoch_ms, vintage

pytest_plugins = ["tests.scripted_nvml.plugin"]

Points = list[tuple[int, int, float]]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
LENGTH_MS = 10 * MINUTE_MS
DIRTY, CLEAN, FAIR = 600.0, 60.0, 300.0
#: What a plan assumes of a job that states no power.
ASSUMED_W = 100.0
BURN_S = 4
#: From before the job is submitted to the window: a busy machine starts a program in seconds.
LEAD_S = 10


@dataclass(frozen=True)
class Deferred:
    gpus: TwoGpus
    points: Points
    #: Where the forecast is cleanest.
    window_ms: int
    submitted: dict[str, Any]
    #: As `carbon jobs show` has it, once the job has ended and its energy has arrived.
    ended: dict[str, Any]
    shown: str
    logs: dict[str, Any]

    @property
    def saving(self) -> dict[str, Any]:
        return dict(self.ended["saving"])


def forecast(now_ms: int, window_ms: int) -> Points:
    """Dirty until the window, then clean for just the job's length, then fair for a day."""
    begin_ms = now_ms - now_ms % HOUR_MS - 2 * HOUR_MS
    end_ms = window_ms + LENGTH_MS
    return [
        (begin_ms, window_ms, DIRTY),
        (window_ms, end_ms, CLEAN),
        (end_ms, end_ms + 24 * HOUR_MS, FAIR),
    ]


@pytest.fixture(scope="module")
def deferred(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deferred]:
    folder = tmp_path_factory.mktemp("deferred")
    gpus = TwoGpus(folder)
    quick = {"CARBON_AGENT_PERIOD_S": "1"}
    with Deployment(folder, **gpus.env(nvml_library), **quick) as deployment:
        deployment.up()
        deployment.wait_for_agent(devices=4)
        wait_out_a_mark(within_s=LEAD_S + 2 * BURN_S)
        now_ms = time.time_ns() // 1_000_000
        window_ms = now_ms + LEAD_S * 1000
        points = forecast(now_ms, window_ms)
        deployment.post("/v1/intensity/DE", vintage(points, now_ms))
        command = ("--", *burn(BURN_S))
        limits = ("--deadline", "6h", "--length", "10m", "--executor", "local", "--json")
        submitted = deployment.carbon_json("submit", "--workload", "training", *limits, *command)
        job = submitted["id"]
        deployment.carbon_json("jobs", "wait", job, "--json")
        show = ("jobs", "show", job)
        ended: dict[str, Any] = {}

        def energy_is_complete() -> bool:
            ended.update(deployment.carbon_json(*show, "--json"))
            return "energy_incomplete" not in ended["saving"]["flags"]

        deployment.wait_for("energy of the job", energy_is_complete)
        shown = deployment.carbon(*show).stdout
        logs = deployment.carbon_json("jobs", "logs", job, "--json")
        yield Deferred(gpus, points, window_ms, submitted, ended, shown, logs)


def test_it_is_placed_where_the_forecast_is_cleanest(deferred: Deferred) -> None:
    placement = deferred.submitted["placement"]
    assert (deferred.submitted["state"], deferred.submitted["reason"]) == (
        "waiting",
        "clean_window",
    )
    assert epoch_ms(placement["start"]) == deferred.window_ms
    assert epoch_ms(placement["end"]) == deferred.window_ms + LENGTH_MS
    assert placement["zone"] == "DE"


def test_the_grams_of_the_plan_are_those_of_the_forecast(deferred: Deferred) -> None:
    placement = deferred.submitted["placement"]
    kwh = ASSUMED_W * LENGTH_MS / 3.6e9
    begin_ms = epoch_ms(deferred.submitted["created"])
    dirty = (deferred.window_ms - begin_ms) / LENGTH_MS
    assert placement["expected_g"] == pytest.approx(kwh * CLEAN)
    # The plan is made some ms after the job is.
    at_once_g = kwh * (dirty * DIRTY + (1 - dirty) * CLEAN)
    assert placement["start_now_g"] == pytest.approx(at_once_g, rel=0.02)
    assert "power_assumed" in deferred.submitted["flags"]


def test_it_starts_there_and_ends_well(deferred: Deferred) -> None:
    start_ms, end_ms = epoch_ms(deferred.ended["start"]), epoch_ms(deferred.ended["end"])
    assert deferred.ended["state"] == "succeeded"
    assert deferred.ended["exit_code"] == 0
    assert deferred.window_ms <= start_ms < deferred.window_ms + 3_000
    assert end_ms - start_ms >= BURN_S * 1000


def test_its_output_is_kept(deferred: Deferred) -> None:
    assert deferred.logs["stdout"] == "burning\n"
    assert deferred.logs["stderr"] == "burnt\n"


def test_its_energy_is_found_by_its_environment(deferred: Deferred) -> None:
    """Nobody told the agent of the run, so its edges are the agent's seconds."""
    start_ms, end_ms = epoch_ms(deferred.ended["start"]), epoch_ms(deferred.ended["end"])
    most_mj = deferred.gpus.energy_mj(start_ms - 1100, end_ms + 1100)
    least_mj = deferred.gpus.energy_mj(start_ms + 1100, end_ms - 1100)
    assert least_mj < deferred.saving["energy_mj"] < 1.01 * most_mj


def test_its_carbon_is_its_energy_at_the_intensity_of_its_buckets(deferred: Deferred) -> None:
    saving = deferred.saving
    start_ms, end_ms = epoch_ms(deferred.ended["start"]), epoch_ms(deferred.ended["end"])
    true_g = operational_g(deferred.gpus, start_ms, end_ms, deferred.points)
    true_mj = deferred.gpus.energy_mj(start_ms, end_ms)
    assert saving["actual_g"] == pytest.approx(true_g * saving["energy_mj"] / true_mj, rel=0.01)


def test_a_saving_by_forecast_alone_is_shown_and_not_credited(deferred: Deferred) -> None:
    saving = deferred.saving
    assert saving["saving_g"] == pytest.approx(saving["counterfactual_g"] - saving["actual_g"])
    assert saving["saving_g"] >= 0
    assert saving["expected_saving_g"] > 0
    assert saving["credited_g"] == 0
    assert "intensity_not_actual" in saving["flags"]
    delay_ms = epoch_ms(deferred.ended["start"]) - epoch_ms(deferred.submitted["created"])
    assert saving["delay_s"] * 1000 == pytest.approx(delay_ms, abs=1)


def test_a_person_reads_it_in_four_lines(deferred: Deferred) -> None:
    for said in ("succeeded", "energy", "carbon", "saving", "provisional"):
        assert said in deferred.shown
