"""`carbon run` where no server runs: measured, spooled, and delivered by the next `carbon up`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance import Deployment, TwoGpus, burn, last_json
from acceptance.test_main_job import epoch_ms

pytest_plugins = ["tests.scripted_nvml.plugin"]

WITHIN = 0.005


@dataclass(frozen=True)
class Alone:
    gpus: TwoGpus
    #: The last line of `carbon run`, with no server in sight.
    told: dict[str, Any]
    left_behind: list[str]
    #: The server's answer for the same run, once there is a server.
    asked: dict[str, Any]


@pytest.fixture(scope="module")
def alone(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    folder = tmp_path_factory.mktemp("alone")
    gpus = TwoGpus(folder)
    with Deployment(folder, **gpus.env(nvml_library)) as deployment:
        arguments = ("--workload", "demo", "--unit", "request=1000", "--json")
        done = deployment.carbon("run", *arguments, "--", *burn(3))
        assert done.returncode == 0, done.stderr
        told = last_json(done.stdout)
        left_behind = [str(process) for process in deployment.processes()]
        deployment.up()
        deployment.wait_for("delivery", lambda: has_run(deployment, told["run_id"]))
        asked = deployment.get("/v1/workloads/demo/sci", run=told["run_id"])
        yield Alone(gpus, told, left_behind, asked)


def has_run(deployment: Deployment, run: str) -> bool:
    done = deployment.carbon("sci", "demo", "--run", run, "--json")
    return done.returncode == 0 and last_json(done.stdout)["count"] == 1000


def test_the_run_is_measured_all_the_same(alone: Alone) -> None:
    true_mj = alone.gpus.energy_mj(epoch_ms(alone.told["start"]), epoch_ms(alone.told["end"]))
    counted_mj = alone.told["energy_mj"] * alone.told["methods"]["counter"]
    assert counted_mj == pytest.approx(true_mj, rel=WITHIN)
    assert alone.told["sci_g_per_unit"] == pytest.approx(alone.told["total_g"] / 1000)


def test_the_answer_says_that_it_is_an_estimate_of_this_machine(alone: Alone) -> None:
    assert "local_estimate" in alone.told["flags"]
    assert alone.told["input_hash"] is None


def test_nothing_goes_on_after_the_command(alone: Alone) -> None:
    assert alone.left_behind == []


def test_the_next_server_has_the_run_to_the_millijoule(alone: Alone) -> None:
    for figure in ("start", "end", "energy_mj", "count", "unit", "methods"):
        assert alone.asked[figure] == alone.told[figure]


def test_the_estimate_was_the_servers_own_figure(alone: Alone) -> None:
    """Both price by the bundled yearly figure, as no feed and no history is known."""
    for figure in ("operational_g", "sci_g_per_unit"):
        assert alone.told[figure] == pytest.approx(alone.asked[figure], rel=WITHIN)
