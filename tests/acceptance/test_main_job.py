"""The main job, end to end, on GPUs whose true energy is known: measured, delivered, priced with a
zone's real hours, and asked for. What must come out is computed here, without carbon."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from acceptance import (
    GPU_KG,
    Deployment,
    TwoGpus,
    burn,
    embodied_g,
    last_json,
    operational_g,
)
from acceptance.zone_week import zone_week

pytest_plugins = ["tests.scripted_nvml.plugin"]

TRUE = pytest.approx
WITHIN = 0.005
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class MainJob:
    """One run of the main job; the tests below look at it from all sides."""

    deployment: Deployment
    gpus: TwoGpus
    points: list[tuple[int, int, float]]
    stored: dict[str, Any]
    #: What `carbon run` printed, and the API's answers before and after further counts.
    output: str
    errors: str
    told: dict[str, Any]
    asked: dict[str, Any]
    counts: dict[str, Any]
    asked_again: dict[str, Any]

    @property
    def span_ms(self) -> tuple[int, int]:
        return epoch_ms(self.told["start"]), epoch_ms(self.told["end"])

    @property
    def true_g(self) -> float:
        """Two GPUs, held by this run alone from its start to its end."""
        start_ms, end_ms = self.span_ms
        held_g = 2 * embodied_g(GPU_KG, end_ms - start_ms)
        return operational_g(self.gpus, start_ms, end_ms, self.points) + held_g


def epoch_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def demo(*command: str) -> tuple[str, ...]:
    return ("run", "--workload", "demo", "--unit", "request=1000", "--json", "--", *command)


@pytest.fixture(scope="module")
def job(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MainJob]:
    folder = tmp_path_factory.mktemp("main")
    gpus = TwoGpus(folder)
    with Deployment(folder, **gpus.env(nvml_library)) as deployment:
        deployment.up()
        deployment.wait_for_agent(devices=4)
        now_ms = time.time_ns() // 1_000_000
        points = zone_week("DE", now_ms)
        stored = deployment.post("/v1/intensity/DE", vintage(points, now_ms))
        done = deployment.carbon(*demo(*burn(5)))
        assert done.returncode == 0, done.stderr
        told = last_json(done.stdout)
        asked = deployment.get("/v1/workloads/demo/sci", run=told["run_id"])
        counts = deployment.post("/v1/units", {"units": further_units(told)})
        asked_again = deployment.get("/v1/workloads/demo/sci", unit="request")
        yield MainJob(
            deployment,
            gpus,
            points,
            stored,
            done.stdout,
            done.stderr,
            told,
            asked,
            counts,
            asked_again,
        )


def vintage(points: list[tuple[int, int, float]], now_ms: int) -> dict[str, Any]:
    names = ("start_ms", "end_ms", "g_per_kwh")
    return {
        "source": "recorded",
        "signal": "average",
        "scope": "lifecycle",
        "published_at": datetime.fromtimestamp(now_ms / 1000).astimezone().isoformat(),
        "points": [dict(zip(names, point, strict=True)) for point in points],
    }


def further_units(told: dict[str, Any]) -> list[dict[str, Any]]:
    """500 more of the same unit by the same source, and a unit of another kind.

    Not from the run's very start: cut at a 5-minute mark in its first second, both would begin
    with the same piece.
    """
    start_ms, end_ms = epoch_ms(told["start"]), epoch_ms(told["end"])
    span = {"workload": "demo", "start_ms": start_ms + 1, "end_ms": start_ms + 1001}
    return [
        {**span, "unit": "request", "source": "carbon-client", "count": 500},
        {**span, "unit": "image", "source": "the-app", "end_ms": end_ms, "count": 40},
    ]


def test_the_whole_week_of_the_zone_is_taken(job: MainJob) -> None:
    assert job.stored["accepted"] == len(job.points) == 168
    assert job.stored["quarantined"] == []


def test_the_energy_is_what_the_gpus_truly_drew(job: MainJob) -> None:
    counted_mj = job.told["energy_mj"] * job.told["methods"]["counter"]
    assert counted_mj == TRUE(job.gpus.energy_mj(*job.span_ms), rel=WITHIN)


def test_sci_is_true_energy_by_the_intensity_of_each_bucket_and_the_embodied(job: MainJob) -> None:
    assert job.told["sci_g_per_unit"] == TRUE(job.true_g / 1000, rel=WITHIN)
    assert job.told["low"] < job.true_g / 1000 < job.told["high"]


def test_all_of_it_is_priced_by_the_zone_that_was_imported(job: MainJob) -> None:
    assert job.told["zones"] == ["DE"]
    assert {(used["source"], used["zone"]) for used in job.told["intensity"]} == {
        ("recorded", "DE")
    }


def test_masses_add_up(job: MainJob) -> None:
    told = job.told
    assert told["measured_g"] + told["estimated_g"] == TRUE(told["operational_g"])
    assert told["operational_g"] + told["embodied_g"] == TRUE(told["total_g"])
    assert told["sci_g_per_unit"] == TRUE(told["total_g"] / told["count"])
    assert told["count"] == 1000
    assert told["count_set_aside"] == 0


def test_all_of_the_time_is_covered(job: MainJob) -> None:
    assert job.told["coverage"] == TRUE(1.0, abs=0.001)


def test_the_api_says_what_the_command_line_printed(job: MainJob) -> None:
    own = ("run_id", "exit_code", "duration_s")
    assert {k: v for k, v in job.told.items() if k not in own} == job.asked
    start_ms, end_ms = job.span_ms
    assert job.told["duration_s"] * 1000 == TRUE(end_ms - start_ms, abs=1)


def test_counts_that_come_later_are_counted_too(job: MainJob) -> None:
    told = {name: job.counts[name] for name in ("accepted", "duplicate", "conflict", "rejected")}
    assert told == {"accepted": 2, "duplicate": 0, "conflict": 0, "rejected": []}
    assert job.asked_again["count"] == 1500
    assert job.asked_again["total_g"] == TRUE(job.told["total_g"])
    assert job.asked_again["sci_g_per_unit"] == TRUE(job.true_g / 1500, rel=WITHIN)


def test_of_several_units_one_must_be_chosen(job: MainJob) -> None:
    image = job.deployment.get("/v1/workloads/demo/sci", unit="image")
    assert image["sci_g_per_unit"] == TRUE(job.true_g / 40, rel=WITHIN)
    refused = job.deployment.carbon("sci", "demo")
    assert refused.returncode == 2
    assert "image" in refused.stderr
    assert "request" in refused.stderr


def test_output_of_the_command_passes_through(job: MainJob) -> None:
    assert job.output.splitlines()[0] == "burning"
    assert len(job.output.splitlines()) == 2
    assert "burnt" in job.errors.splitlines()


def test_a_person_is_told_where_each_figure_comes_from(job: MainJob) -> None:
    done = job.deployment.carbon(
        "run", "--workload", "told", "--unit", "request=3", "--", *burn(1, 5)
    )
    assert done.returncode == 5
    assert done.stdout == "burning\n"
    for said in ("exit 5", "energy", "counter", "per request", "DE from recorded", "gpu NVIDIA"):
        assert said in done.stderr


def test_a_signal_reaches_the_command_and_its_answer_is_the_exit_code(job: MainJob) -> None:
    running = job.deployment.begin(*demo(*burn(60)))
    assert running.stdout is not None
    assert running.stdout.readline() == "burning\n"
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=20)
    assert output.splitlines()[0] == "asked to end"
    assert last_json(output)["exit_code"] == running.returncode == 7


def test_a_command_that_a_signal_kills_exits_as_in_a_shell(job: MainJob) -> None:
    done = job.deployment.carbon(*demo("sh", "-c", "kill -9 $$"))
    assert done.returncode == last_json(done.stdout)["exit_code"] == 128 + signal.SIGKILL


def test_a_day_of_energy_is_priced_hour_by_hour(job: MainJob) -> None:
    """A day that another meter posts, with the script's truth in ten-minute intervals."""
    first, last = job.points[5][0], job.points[28][1]
    epoch = job.gpus.epoch_ms
    device = {"device": "GPU-archive", "kind": "gpu", "model": "NVIDIA H100 80GB HBM3"}
    spans = [(t, t + 600_000) for t in range(first, last, 600_000)]
    # The script repeats, so that a day of the past draws like the same span from its zero on.
    true_mj = [job.gpus.energy_mj(epoch + s - first, epoch + e - first) for s, e in spans]
    intervals = [
        {
            "device": device["device"],
            "workload": "archive",
            "start_ms": start,
            "end_ms": end,
            "energy_mj": round(mj),
            "method": "counter",
        }
        for (start, end), mj in zip(spans, true_mj, strict=True)
    ]
    batch = {"source": "archive", "boot_id": "b", "seq": 1, "zone": "DE", "devices": [device]}
    taken = job.deployment.post("/v1/energy", {**batch, "intervals": intervals})
    assert (taken["accepted"], taken["rejected"]) == (len(spans), [])

    hour_g = {start: g for start, _, g in job.points}
    priced = zip(spans, true_mj, strict=True)
    emitted_g = sum(mj / 3.6e9 * hour_g[s - s % HOUR_MS] for (s, _), mj in priced)
    answer = job.deployment.get("/v1/workloads/archive/sci", unit="device_hour")
    assert answer["energy_mj"] == sum(round(mj) for mj in true_mj)
    assert answer["operational_g"] == TRUE(emitted_g, rel=1e-6)
    assert answer["embodied_g"] == TRUE(embodied_g(GPU_KG, last - first), rel=1e-6)
    assert answer["count"] == TRUE((last - first) / HOUR_MS)
