"""The playbook: ten techniques, measured in turns and recorded by unit."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from command_line import call
from job_house import fresh_engine
from service import Service
from sqlalchemy import Engine

from carbon.client.http import Client
from carbon.client.session import Measured, MeasuredBy
from carbon.collect.protocol import MeterUsed
from carbon.domain.experiments.techniques import Technique, check_parameters
from carbon.domain.units import MS_PER_HOUR
from carbon.errors import CarbonError
from carbon.planning.decision import plan
from carbon.playbook import grid_week, runner
from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.replayed_scheduler import ReplayedScheduler
from carbon.playbook.runner import Pace, Recorder
from carbon.playbook.techniques import ENTRIES, entry_of
from carbon.services.context import Context
from carbon.wire.energy import EnergyInterval

WITHOUT_TORCH = [e.technique for e in ENTRIES if not e.needs_torch]


def test_all_ten_are_there_and_say_what_they_do(capfd: pytest.CaptureFixture[str]) -> None:
    assert [entry.technique for entry in ENTRIES] == list(Technique)
    listed = call(capfd, "playbook", "list", "--json").json["techniques"]
    assert [one["technique"] for one in listed] == [str(t) for t in Technique]
    assert "scale-to-zero" in call(capfd, "playbook", "list").out
    assert "no technique" in call(capfd, "playbook", "run", "magic").failed(2)


def test_without_pytorch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carbon.playbook.techniques.find_spec", lambda _: None)
    with pytest.raises(CarbonError, match=r"carbon-ledger\[playbook\]"):
        entry_of(Technique.QUANTISATION).comparisons(1, True)


def check(technique: Technique) -> None:
    """Each comparison says what its technique needs, and both arms do countable work."""
    for comparison in entry_of(technique).comparisons(1, True):
        check_parameters(technique, comparison.parameters)
        for work in (comparison.baseline, comparison.treatment):
            assert all(work(1).units[unit] > 0 for unit in comparison.units)
        assert comparison.before != comparison.after


@pytest.mark.parametrize("technique", WITHOUT_TORCH)
def test_those_of_numpy_do_real_work(technique: Technique) -> None:
    check(technique)


@pytest.mark.slow
@pytest.mark.parametrize("technique", [e.technique for e in ENTRIES if e.needs_torch])
def test_those_of_pytorch_do_real_work(technique: Technique) -> None:
    pytest.importorskip("torch", reason="PyTorch (extra `playbook`) is absent")
    check(technique)


@pytest.mark.slow
def test_pruned_weights_stay_where_they_were_and_pruned_neurons_do_not() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch (extra `playbook`) is absent")
    networks = importlib.import_module("carbon.playbook.networks")
    pruning = importlib.import_module("carbon.playbook.pruning")
    plain = networks.network(64, 2)
    thin, small = pruning._unstructured(plain), pruning._structured(plain)
    assert thin[0].weight.shape == plain[0].weight.shape
    assert float((thin[0].weight == 0).float().mean()) == pytest.approx(0.5, abs=0.01)
    assert [layer.out_features for layer in small if hasattr(layer, "out_features")] == [32, 32, 2]
    assert small(torch.zeros(1, networks.FEATURES)).shape == (1, 2)


def test_the_scheduler_begins_replayed_jobs_where_the_planner_would() -> None:
    """Arrivals overlap: a job may wait for longer than the next one's arrival."""
    grid, length_ms, patience_ms = grid_week.week(), MS_PER_HOUR, 24 * MS_PER_HOUR
    arrivals = [grid_week.START_MS + hour * MS_PER_HOUR for hour in (0, 5, 17, 18, 44)]
    starts = ReplayedScheduler(grid, length_ms, patience_ms).starts_ms(arrivals, 100.0)
    planned = [plan(grid, at, at, at + patience_ms, length_ms, 100.0).start_ms for at in arrivals]
    for started_ms, planned_ms in zip(starts, planned, strict=True):
        assert abs(started_ms - planned_ms) <= 60_000


def test_the_replayed_grid_is_the_same_every_time_and_cleanest_by_day() -> None:
    grid = grid_week.week()
    assert (grid.g_per_kwh == grid_week.week().g_per_kwh).all()
    by_hour = grid.g_per_kwh.reshape(-1, 24, 4).mean((0, 2))
    assert by_hour.argmin() in range(10, 15)
    assert grid.g_per_kwh.min() >= 90


# The runner


@pytest.fixture
def recorder(
    new_context: Callable[[Engine], Context], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Recorder]]:
    """Records on a real service; what blocks draw is set by the test."""
    engine = fresh_engine()
    with Service.of(new_context(engine)) as service:
        key, _ = service.key("default")
        client = Client("http://testserver", key, transport=service.admin._transport)

        def made(energy_mj: Callable[[Any], int], pace: Pace) -> Recorder:
            monkeypatch.setattr(
                runner, "RunSession", lambda *a, **k: Session(service, energy_mj, a)
            )
            return Recorder(client, Options(), pace)  # type: ignore[arg-type]

        yield made
    engine.dispose()


class Options:
    data_dir = None


class Session:
    """A run whose energy the test sets; it goes through the service like any other."""

    count = 0

    def __init__(self, service: Service, energy_mj: Callable[[Any], int], args: Any) -> None:
        self.service, self.energy_mj, self.workload = service, energy_mj, args[2]
        Session.count += 1
        self.run = f"run-{Session.count}"
        self.start_ms = service.context.clock.now_ms()

    def start(self) -> None:
        self.service.context.clock.advance(60)  # type: ignore[attr-defined]

    def end(self, units: Any) -> Measured:
        end_ms = self.start_ms + 60_000
        drawn = self.energy_mj(self)
        interval = EnergyInterval(
            "gpu-0", self.start_ms, end_ms, drawn, "counter", self.workload, self.run
        )
        body = {
            "source": "s", "boot_id": "b", "seq": Session.count, "zone": "DE",
            "intervals": [{f: getattr(interval, f) for f in interval.__struct_fields__
                           if getattr(interval, f) is not None}],
        }  # fmt: skip
        assert self.service.admin.post("/v1/energy", json=body).status_code == 202
        counts = [
            {"workload": self.workload, "unit": unit, "source": "app", "start_ms": self.start_ms,
             "end_ms": end_ms, "count": count}
            for unit, count in units.items()
        ]  # fmt: skip
        if counts:
            assert self.service.admin.post("/v1/units", json={"units": counts}).status_code == 202
        used = [MeterUsed("gpu-0", "gpu", "H100", "counter", drawn)]
        return Measured(self.start_ms, end_ms, [interval], used, MeasuredBy.AGENT)

    def flush(self, _: float) -> int:
        return 0

    def close(self) -> None:
        pass


def counted(name: str, seen: list[str]) -> Work:
    def work(rounds: int) -> Done:
        seen.append(name)
        return Done({"request": 10 * rounds, "token": 100 * rounds}, 0.9)

    return work


def test_blocks_alternate_and_each_unit_is_an_experiment(
    recorder: Callable[..., Recorder],
) -> None:
    seen: list[str] = []
    comparison = Comparison(
        title="t",
        parameters={"teacher": "big", "student": "small"},
        baseline=counted("a", seen),
        treatment=counted("b", seen),
        before={"n": 1},
        after={"n": 2},
        units=["request", "token"],
        prepare=lambda: seen.append("made"),
        is_whole=True,
    )

    def drawn(_: Any) -> int:
        return 10_000_000 if seen[-1] == "a" else 5_000_000 + 1_000 * len(seen)

    pace = Pace(block_s=0.0, blocks=4, warm_up=1)
    told = list(recorder(drawn, pace).record(Technique.DISTILLATION, comparison))
    assert seen == ["made", *"ab" * 5]
    assert [(one["unit"], one["verdict"]) for one in told] == [
        ("request", "saves"),
        ("token", "saves"),
    ]
    assert len(told[0]["baseline"]["blocks"]) == 4
    assert told[0]["break_even"]["cost_g"] > 0
    assert told[0]["deltas"]["quality"]["value"] == pytest.approx(0)


@pytest.mark.parametrize("technique", [Technique.CLEAN_HOURS, Technique.DEPLOYMENT])
def test_replayed_work_is_accounted_where_it_was_put(
    recorder: Callable[..., Recorder], technique: Technique
) -> None:
    comparison = entry_of(technique).comparisons(1, True)[-1]
    made = recorder(lambda _: 10_000_000, Pace(block_s=0.0, blocks=7, warm_up=0, quick=True))
    (told,) = made.record(technique, comparison)
    assert told["verdict"] == "saves"
    assert told["deltas"]["energy"]["value"] == pytest.approx(0, abs=1)
    assert told["g_per_kwh"] is None


def test_what_was_not_measured_or_not_delivered_is_no_experiment(
    recorder: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "flush", lambda *_: 3)
    comparison = entry_of(Technique.CLEAN_HOURS).comparisons(1, True)[0]
    made = recorder(lambda _: 1, Pace(block_s=0.0, blocks=2, warm_up=0, quick=True))
    with pytest.raises(CarbonError, match="carbon up"):
        list(made.record(Technique.CLEAN_HOURS, comparison))
