"""Parts that are there and fail: carbon goes on with the next best, and says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance import Deployment, TwoGpus, burn
from agent_double import know_the_cpu
from grid_double import Failure, GridDouble, curve

from tests.scripted_nvml import Nvml

pytest_plugins = ["tests.scripted_nvml.plugin"]


@pytest.fixture
def double() -> Iterator[GridDouble]:
    with GridDouble(time.time_ns() // 1_000_000) as made:
        yield made


def with_feeds(folder: Path, double: GridDouble) -> Deployment:
    return Deployment(
        folder,
        CARBON_FEEDS="true",
        CARBON_NESO_URL=double.url,
        CARBON_ENERGY_CHARTS_URL=double.url,
        CARBON_AGENT="false",
    )


def test_a_gpu_library_that_will_not_start_costs_the_gpus_alone(
    tmp_path: Path, nvml_library: Path
) -> None:
    gpus = TwoGpus(tmp_path, init_error=Nvml.LIB_RM_VERSION_MISMATCH)
    with Deployment(tmp_path, **gpus.env(nvml_library)) as deployment:
        know_the_cpu(deployment.data_dir)
        deployment.up()
        deployment.wait_for_agent(devices=2)
        kinds = {device["kind"] for device in deployment.agent_status()["devices"]}
        assert kinds == {"cpu", "dram"}
        told = [line for line in deployment.agent_log.splitlines() if "nvml_failed" in line]
        assert len(told) == 1
        assert "nvidia-smi" in told[0]
        assert "Traceback" not in deployment.agent_log
        answer = deployment.carbon_json("run", "--workload", "demo", "--json", "--", *burn(1))
        assert set(answer["methods"]) <= {"modelled"}
        assert deployment.end() == 0


@pytest.mark.parametrize("failure", [Failure.SERVER_ERROR, Failure.HTML])
def test_a_feed_that_fails_leaves_what_is_bundled_and_both_log_and_page_say_so(
    tmp_path: Path, double: GridDouble, failure: Failure
) -> None:
    double.failure = failure
    with with_feeds(tmp_path, double) as deployment:
        deployment.up()
        deployment.wait_for("a word on the feed", lambda: "energy_charts is away" in deployment.log)
        told = [line for line in deployment.log.splitlines() if "energy_charts" in line]
        assert len(told) == 1
        assert "pricing goes down its ladder" in told[0]
        shown = deployment.get("/web/overview.json")["intensity"]
        assert (shown["kind"], shown["zone"]) == ("typical", "DE")
        assert shown["source"] == "typical"
        assert {"typical_shape", "zone_unmeasured"} <= set(shown["flags"])
        measured = deployment.get("/v1/intensity/DE")["points"]  # what energy is priced with
        assert {point["kind"] for point in measured} == {"yearly"}


def test_a_feed_that_is_back_prices_again(tmp_path: Path, double: GridDouble) -> None:
    """At the next start, that is; a running one waits half a minute before it asks again."""
    double.failure = Failure.SERVER_ERROR
    with with_feeds(tmp_path, double) as deployment:
        deployment.up()
        deployment.wait_for("a word on the feed", lambda: "energy_charts is away" in deployment.log)
        assert deployment.end() == 0
        double.failure = None
        deployment.up()

        def is_live() -> bool:
            return deployment.get("/web/overview.json")["intensity"]["source"] == "energy_charts"

        deployment.wait_for("live intensity", is_live)
        # The double's forecast is 3 g above what comes; a quarter-hour may end just now.
        moments = (double.now_ms, time.time_ns() // 1_000_000)
        shown = deployment.get("/web/overview.json")["intensity"]
        assert shown["g_per_kwh"] in [curve(ms) + 3 for ms in moments]
        assert "yearly_figure" not in shown["flags"]


def test_an_agent_that_cannot_start_leaves_the_service_and_comes_once_it_can(
    tmp_path: Path,
) -> None:
    with Deployment(tmp_path) as deployment:
        know_the_cpu(deployment.data_dir)
        folder = deployment.data_dir / "agent"
        aside = folder.rename(tmp_path / "aside")
        folder.write_text("a file stands here")
        deployment.up()
        assert "agent     cannot be started" in deployment.log
        assert str(folder) in deployment.log
        folder.unlink()
        aside.rename(folder)
        deployment.wait_for_agent(devices=2)
        assert deployment.end() == 0
        assert deployment.processes() == []
