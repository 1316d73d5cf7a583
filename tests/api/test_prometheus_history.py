"""`carbon import prometheus`: by query_range, window by window, into a real service."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ledger import NOON_MS
from metrics import DCGM, DCGM_POWER, TOKENS, a_pod, prometheus, written
from service import HOUR, Service
from sqlalchemy import Engine, select

from carbon.bench.imports.scripted_prometheus import ScriptedPrometheus
from carbon.client import Client
from carbon.client.prometheus_history import PrometheusHistory, Result, Window
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.errors import Unavailable
from carbon.imports.mapping import load_mapping
from carbon.imports.prometheus_api import PrometheusApi
from carbon.imports.series import Series
from carbon.services.context import Context
from carbon.storage.energy import energy_interval, unit_count
from carbon.storage.engine import memory_engine, reading
from carbon.storage.migrations import upgrade

DAY = 24 * HOUR
SINCE = NOON_MS - DAY
STEP = 60_000
AN_HOUR = HOUR // STEP


def scripted(seed: int = 1, hours: int = 14) -> tuple[list[Series], dict[str, int]]:
    """GPUs by counter and by power, one shared, one that resets, scrapes that are missing; and the
    energy that a perfect meter would have seen between the first and last reading of each, mJ."""
    rng = random.Random(seed)
    made, truth = [], {}
    for n in range(4):
        gpu = f"GPU-{n}"
        labels = {"UUID": gpu, "Hostname": f"n{n % 2}"}
        at, mj, offset = SINCE, rng.randrange(10**9), rng.randrange(STEP)
        first, samples, power = mj, [], []
        reset_at = SINCE + 7 * HOUR if n == 3 else 0
        lost = 0
        while at < SINCE + hours * HOUR:
            watts = rng.uniform(60, 700)
            mj += round(watts * STEP)
            at += STEP
            if reset_at and at >= reset_at:
                lost, first, mj, reset_at = lost + mj - first, 0, 0, 0
            if rng.random() > 0.05:  # a scrape may be missing
                samples.append((at + offset, float(mj)))
                power.append((at + offset, watts))
        pods = [a_pod(f"w{n}-6d5f7c9b8d-abcde")]
        pods += [a_pod("shared-6d5f7c9b8d-abcde")] if n == 2 else []
        made += [prometheus(DCGM, {**labels, **pod}, samples) for pod in pods]
        if n != 3:
            truth[gpu] = int(samples[-1][1] - samples[0][1])
    tokens = [(SINCE + s * STEP + 3, float(s * 7)) for s in range(hours * AN_HOUR)]
    for replica in "ab":
        labels = {"namespace": "prod", "pod": f"w0-6d5f7c9b8d-abcd{replica}"}
        made.append(prometheus(TOKENS, labels, tokens))
    return made, truth


def importing(
    service: Service, double: ScriptedPrometheus, file: Path, until: int = NOON_MS
) -> PrometheusHistory:
    key, _ = service.key("default", ADMIN_SCOPES)
    client = Client("http://testserver", key, transport=service.stranger._transport)
    api = PrometheusApi("http://prometheus:9090", transport=double.transport())
    window = Window(SINCE, until, STEP)
    return PrometheusHistory(api, client, load_mapping(), window, file)


def rows(service: Service, table: Any) -> list[tuple[Any, ...]]:
    with reading(service.context.engine) as connection:
        return sorted(tuple(row) for row in connection.execute(select(table)))


@pytest.fixture
def twin(new_context: Callable[[Engine], Context]) -> Iterator[Callable[[], Service]]:
    """Another service with a ledger of its own."""
    with ExitStack() as open_:

        def build() -> Service:
            engine = memory_engine()
            upgrade(engine)
            open_.callback(engine.dispose)
            return open_.enter_context(Service.of(new_context(engine)))

        yield build


def test_the_imported_energy_is_the_truth(service: Service, tmp_path: Path) -> None:
    series, truth = scripted()
    result = importing(service, ScriptedPrometheus(series), tmp_path / "p.json").run()
    assert (result.rejected, result.conflict, result.is_exact) == (0, 0, True)
    assert result.intervals < result.points
    assert sum(truth.values()) > 0
    by_workload = {
        f"w{n}": service.admin.get(f"/v1/workloads/prod/w{n}/sci").json() for n in (0, 1, 2)
    }
    shared = service.admin.get("/v1/workloads/prod/shared/sci").json()["energy_mj"]
    assert by_workload["w0"]["energy_mj"] == truth["GPU-0"]
    assert by_workload["w1"]["energy_mj"] == truth["GPU-1"]
    assert by_workload["w2"]["energy_mj"] + shared == truth["GPU-2"]
    assert by_workload["w0"]["count"] == 2 * 7 * (14 * AN_HOUR - 1)
    assert by_workload["w0"]["methods"] == {"counter": 1.0}


def test_imported_twice_it_is_known(service: Service, tmp_path: Path) -> None:
    series, _ = scripted(hours=8)
    importing(service, ScriptedPrometheus(series), tmp_path / "a.json").run()
    before = rows(service, energy_interval), rows(service, unit_count)
    again = importing(service, ScriptedPrometheus(series), tmp_path / "b.json").run()
    assert (again.accepted, again.conflict) == (0, 0)
    assert (rows(service, energy_interval), rows(service, unit_count)) == before


def test_a_finished_import_begun_again_asks_for_nothing(service: Service, tmp_path: Path) -> None:
    series, _ = scripted(hours=8)
    double = ScriptedPrometheus(series)
    importing(service, double, tmp_path / "p.json").run()
    asked = double.asked
    importing(service, double, tmp_path / "p.json").run()
    assert double.asked == asked + 1  # which metrics there are


@pytest.mark.parametrize("away_from", [2, 7, 12])
def test_interrupted_anywhere_and_resumed_it_is_bit_equal(
    service: Service,
    tmp_path: Path,
    away_from: int,
    twin: Callable[[], Service],
) -> None:
    series, _ = scripted(hours=14)
    whole = twin()
    importing(whole, ScriptedPrometheus(series), tmp_path / "whole.json").run()
    double = ScriptedPrometheus(series)
    double.away_from = away_from
    with pytest.raises(Unavailable):
        importing(service, double, tmp_path / "p.json").run()
    double.away_from = None
    importing(service, double, tmp_path / "p.json").run()
    assert energies(service) == energies(whole)


def energies(service: Service) -> list[tuple[Any, ...]]:
    """(end, span, mJ): ids differ by the order of arrival."""
    found = rows(service, energy_interval)
    return sorted((row[0], row[3], row[4]) for row in found)


def test_it_is_the_ledger_of_remote_write_to_the_mj(
    service: Service, tmp_path: Path, twin: Callable[[], Service]
) -> None:
    """The same readings by both ways: every workload's energy and counts are alike, and together
    they are no more than one."""
    series, _ = scripted(hours=8)
    live = twin()
    written(live.admin, *series)
    importing(service, ScriptedPrometheus(series), tmp_path / "p.json").run()
    for name in ("w0", "w1", "w2", "w3", "shared"):
        asked = f"/v1/workloads/prod/{name}/sci"
        one, other = live.admin.get(asked).json(), service.admin.get(asked).json()
        assert one["energy_mj"] == other["energy_mj"], name
        assert one.get("count") == other.get("count")
    both = importing(live, ScriptedPrometheus(series), tmp_path / "both.json").run()
    assert both.conflict == 0
    assert live.admin.get("/v1/workloads/prod/w0/sci").json()["energy_mj"] == one_of(service, "w0")
    assert live.admin.get("/v1/workloads/prod/w0/sci").json()["count"] == 2 * 7 * (8 * AN_HOUR - 1)


def one_of(service: Service, name: str) -> int:
    answer: int = service.admin.get(f"/v1/workloads/prod/{name}/sci").json()["energy_mj"]
    return answer


def test_a_server_that_tells_no_times_is_read_at_the_querys(
    service: Service, tmp_path: Path
) -> None:
    series, truth = scripted(hours=8)
    double = ScriptedPrometheus(series, tells_times=False)
    result = importing(service, double, tmp_path / "p.json").run()
    assert not result.is_exact
    assert one_of(service, "w0") == truth["GPU-0"]


def test_what_cannot_be_read_is_told_in_data_quality(service: Service, tmp_path: Path) -> None:
    series = [
        prometheus("DCGM_FI_DEV_ENERGY_CONSUMPTION", {"UUID": "GPU-1"}, [(SINCE, 1.0)]),
        prometheus(DCGM_POWER, {"instance": "n1"}, [(SINCE, 100.0), (SINCE + STEP, 100.0)]),
    ]
    result = importing(service, ScriptedPrometheus(series), tmp_path / "p.json").run()
    assert {t.code for t in result.troubles} == {"unmapped_metric", "label_missing"}
    told = service.admin.get("/v1/quality", params={"start": "2026-01-01T00:00:00Z"}).json()
    assert {line["code"] for line in told["troubles"]} == {"unmapped_metric", "label_missing"}


def test_a_result_says_how_much(service: Service, tmp_path: Path) -> None:
    series, _ = scripted(hours=2)
    result: Result = importing(service, ScriptedPrometheus(series), tmp_path / "p.json").run()
    assert result.accepted == result.intervals + result.counts
