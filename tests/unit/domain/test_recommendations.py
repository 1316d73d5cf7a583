"""Recommendations: planted waste is named in order of its grams, and work without fault is not."""

from __future__ import annotations

from typing import Any

import pytest

from carbon.bench.experiment.planted import year
from carbon.domain.precision import has_tensor_cores
from carbon.domain.recommendations import (
    REMEDY,
    Finding,
    Kind,
    RunUse,
    UnitTrend,
    UseHour,
    episodes,
    findings,
)
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR


@pytest.mark.parametrize("seed", range(6))
def test_a_years_planted_waste_is_named_in_order_of_its_true_saving(seed: int) -> None:
    planted = year(seed)
    found = planted.found()
    wanted = list(planted.truth)
    assert [(one.kind, one.workload_id) for one in found[: len(wanted)]] == wanted
    for one in found[: len(wanted)]:
        truth = planted.truth[one.kind, one.workload_id]
        assert one.saving_g.low <= truth <= one.saving_g.high * 1.1


def hour(n: int, workload: int, device: int, watts: float, idle: bool = False) -> UseHour:
    energy_mj = round(watts * MS_PER_HOUR)
    return UseHour(
        n * MS_PER_HOUR, workload, device, idle, energy_mj, energy_mj, MS_PER_HOUR, MS_PER_HOUR
    )


def found_in(hours: list[UseHour], **others: Any) -> list[Finding]:
    plain: dict[str, Any] = {
        "models": {1: "gpu H100", 2: "gpu H100"},
        "runs": [],
        "zone_g": {},
        "zones": {},
        "trends": [],
        "window_ms": 28 * MS_PER_DAY,
    }
    return findings(hours, **{**plain, **others})


def test_every_kind_has_a_remedy_and_nothing_gives_nothing() -> None:
    assert REMEDY.keys() == set(Kind)
    assert found_in([]) == []


def test_a_device_that_waits_with_a_program_is_parked() -> None:
    hours = [hour(n, 1, 1, 700 if n < 4 else 75) for n in range(24)]
    (found,) = found_in(hours)
    assert (found.kind, found.evidence["parked_hours"]) == (Kind.PARKED_DEVICE, 20)


def test_a_share_of_a_shared_device_is_not_too_large() -> None:
    hours = [hour(n, workload, 1, 50) for n in range(24) for workload in (1, 2)]
    assert found_in([*hours, hour(0, 3, 2, 700)]) == []


def test_work_that_runs_in_a_cleaner_zone_too_could_run_there_altogether() -> None:
    hours = [hour(n, 1, device, 700) for n in range(24) for device in (1, 2)]
    grids = {"zone_g": {"DE": 400.0, "FR": 50.0}, "zones": {1: "DE", 2: "FR"}}
    (found,) = found_in(hours, **grids)
    assert (found.kind, found.workload_id) == (Kind.DIRTIER_ZONE, 1)
    assert found.saving_g.value == pytest.approx(0.7 * 24 * 350)
    assert found.evidence["cleaner_zone"] == "FR"
    apart = [hour(n, device, device, 700) for n in range(24) for device in (1, 2)]
    assert found_in(apart, **grids) == []


def test_hours_of_work_in_a_row_are_an_episode() -> None:
    hours = [hour(n, 1, 1, 700 if n % 24 in (3, 4) else 70) for n in range(72)]
    found = list(episodes([*hours, hour(0, 0, 1, 70, idle=True)], {1: "gpu H100"}))
    assert [(row[0].start_ms // MS_PER_HOUR, len(row)) for _, _, row in found] == [
        (3, 2),
        (27, 2),
        (51, 2),
    ]


def test_jobs_that_run_all_the_time_or_too_long_could_not_have_waited() -> None:
    def run(hours: int, ratio: float | None = 0.5, at: int = 0) -> RunUse:
        return RunUse(1, at * MS_PER_HOUR, (at + hours) * MS_PER_HOUR, 1, 100.0, ratio)

    hours = [hour(0, 1, 1, 700)]
    (found,) = found_in(hours, runs=[run(2)])
    assert (found.kind, found.saving_g.high) == (Kind.COULD_HAVE_WAITED, 50)
    assert found_in(hours, runs=[run(13)]) == []
    assert found_in(hours, runs=[run(2, None)]) == []
    assert found_in(hours, runs=[run(2, at=2 * n) for n in range(300)]) == []
    assert len(found_in(hours, runs=[run(2)] * 400)) == 1  # side by side


@pytest.mark.parametrize(
    ("trend", "kind"),
    [
        (UnitTrend(1, "request", "token", 100, 150), Kind.OUTPUT_GROWTH),
        (UnitTrend(1, "request", "token", 100, 105), None),
        (UnitTrend(1, "request", "token", 0, 105), None),
        (UnitTrend(1, "batch", "request", 2, 2), Kind.SMALL_BATCH),
        (UnitTrend(1, "batch", "request", 2, 32), None),
    ],
)
def test_answers_that_grew_and_batches_that_are_small(trend: UnitTrend, kind: Kind | None) -> None:
    found = found_in([hour(0, 1, 1, 700)], trends=[trend])
    assert [one.kind for one in found] == ([kind] if kind else [])


def test_a_finding_has_the_same_id_tomorrow() -> None:
    hours = [hour(n, 1, 1, 700 if n < 4 else 75) for n in range(24)]
    today, tomorrow = found_in(hours)[0], found_in(hours[:20])[0]
    assert today.key("t/w") == tomorrow.key("t/w") != today.key("t/other")


def test_several_devices_of_a_workload_are_one_finding() -> None:
    hours = [hour(n, 1, d, 700 if n < 4 else 75) for n in range(24) for d in (1, 2)]
    (found,) = found_in(hours)
    alone = found_in([h for h in hours if h.device_id == 1])[0]
    assert (found.device_id, found.evidence["places"]) == (0, 2)
    assert found.saving_g.value == pytest.approx(2 * alone.saving_g.value)


@pytest.mark.parametrize(
    ("model", "has_them"),
    [
        ("NVIDIA H100 80GB HBM3", True),
        ("Tesla V100-SXM2-16GB", True),
        ("Tesla T4", True),
        ("NVIDIA A10G", True),
        ("NVIDIA L40S", True),
        ("NVIDIA GeForce RTX 4090", True),
        ("NVIDIA GH200 480GB", True),
        ("Tesla P100-PCIE-16GB", False),
        ("Tesla K80", False),
        ("NVIDIA GeForce GTX 1080", False),
        ("AMD EPYC 7A100", False),
        ("", False),
    ],
)
def test_which_devices_have_tensor_cores(model: str, has_them: bool) -> None:
    assert has_tensor_cores(model) is has_them


def test_full_precision_beside_tensor_cores_is_named_where_it_is_stated() -> None:
    hours = [hour(n, workload, workload, 700) for n in range(24) for workload in (1, 2)]
    models = {1: "gpu NVIDIA H100", 2: "gpu Tesla P100"}
    (found,) = found_in(hours, models=models, precisions={1: "FP32", 2: "fp32"})
    assert (found.kind, found.workload_id) == (Kind.FULL_PRECISION, 1)
    total_g = sum(hour.operational_ng for hour in hours if hour.workload_id == 1) / 1e9
    assert found.saving_g.low == 0 < found.saving_g.value < found.saving_g.high
    assert found.saving_g.high == pytest.approx(total_g / 2)
    assert found.evidence == {"precision": "FP32", "tensor_core_hours": 24}
    for told in ({}, {1: "bf16"}):
        assert found_in(hours, models=models, precisions=told) == []
