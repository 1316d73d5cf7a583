"""A source that hangs is left behind; the others and the program go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from agent_double import ScriptedMeter, ScriptedSource, wait_until

from carbon.clock import FakeClock, SystemClock
from carbon.collect.nvml import NvmlSource
from carbon.collect.sampler import Sampler
from carbon.collect.source import DeviceKind, ProcessUse, Sample
from carbon.collect.watched import Watched
from carbon.errors import Unavailable
from tests.scripted_nvml import Gpu, Scenario, Script

pytest_plugins = ["tests.scripted_nvml.plugin"]

SHORT_S = 0.05
#: So slow that a test sees no look but those that it asks for.
SLOW_HZ = 0.001


class HangingSource(ScriptedSource):
    """Its looks wait for the gate."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, [ScriptedMeter("GPU-1")], "nvml")
        self.gate = threading.Event()
        self.gate.set()
        self.looks = 0

    def sample(self) -> Sequence[Sample]:
        self.looks += 1
        self.gate.wait(30)
        return super().sample()


@pytest.fixture
def source() -> Iterator[HangingSource]:
    source = HangingSource(FakeClock())
    yield source
    source.gate.set()


def test_answers_and_errors_pass_through(source: HangingSource) -> None:
    watched = Watched(source, SLOW_HZ)
    assert [device.uuid for device in watched.devices()] == ["GPU-1"]
    assert [sample.device for sample in watched.sample()] == ["GPU-1"]
    assert watched.processes("GPU-1") is None
    source.is_gone = True
    with pytest.raises(RuntimeError, match="unloaded"):
        watched.sample()
    watched.close()


def test_a_call_that_hangs_is_said_and_not_asked_again(source: HangingSource) -> None:
    watched = Watched(source, SLOW_HZ, SHORT_S)
    watched.devices()
    source.gate.clear()
    for _ in range(3):
        with pytest.raises(Unavailable) as error:
            watched.sample()
        assert error.value.code == "source_hangs"
    assert source.looks == 1
    watched.close()


def test_a_source_that_comes_back_is_asked_again(source: HangingSource) -> None:
    watched = Watched(source, SLOW_HZ, SHORT_S)
    watched.devices()
    source.gate.clear()
    with pytest.raises(Unavailable):
        watched.sample()
    source.gate.set()
    wait_until(lambda: answers(watched), "the source to be back")
    watched.close()


def answers(watched: Watched) -> bool:
    try:
        return bool(watched.sample())
    except Unavailable:
        return False


def test_while_one_source_hangs_the_others_are_sampled(source: HangingSource) -> None:
    clock = FakeClock()
    cpus = ScriptedSource(clock, [ScriptedMeter("CPU-1", DeviceKind.CPU)], "rapl")
    sampler = Sampler([Watched(source, SLOW_HZ, SHORT_S), cpus])
    sampler.refresh()
    sampler.look()
    source.gate.clear()
    for _ in range(20):
        clock.advance(0.1)
        sampler.look()
    closed = {device.uuid: c.energy_mj for device, c in sampler.close(clock.monotonic_ns())}
    assert closed["CPU-1"] == 200_000
    assert "nvml has not answered" in sampler.failing["nvml"]


def test_a_driver_that_hangs_in_a_call_does_not_stop_the_program(
    play: Callable[[Script], Scenario], tmp_path: Path
) -> None:
    hang = tmp_path / "hang"
    scenario = play(Script((Gpu("GPU-1"),), hang_file=hang))
    watched = Watched(NvmlSource(scenario.clock), SLOW_HZ, SHORT_S)
    assert watched.devices()
    scenario.clock.advance(1)
    assert watched.sample()
    hang.touch()
    with pytest.raises(Unavailable, match="has not answered"):
        watched.sample()
    hang.unlink()
    wait_until(lambda: answers(watched), "the driver to be back")
    watched.close()


def test_between_two_questions_it_looks_by_itself_in_order_of_time() -> None:
    source = ScriptedSource(SystemClock(), [ScriptedMeter("GPU-1")], "nvml")
    watched = Watched(source, rate_hz=200)
    watched.devices()
    looks: list[Sample] = []
    wait_until(lambda: looks.extend(watched.sample()) or len(looks) > 20, "twenty looks")
    stamps = [look.at_ns for look in looks]
    assert stamps == sorted(set(stamps))
    watched.close()


def test_who_is_on_the_devices_is_asked_once_after_a_look() -> None:
    class Counting(ScriptedSource):
        asked = 0

        def processes(self, device: str) -> Sequence[ProcessUse] | None:
            self.asked += 1
            return [ProcessUse(7, 0.5)]

    source = Counting(FakeClock(), [ScriptedMeter("GPU-1"), ScriptedMeter("GPU-2")], "nvml")
    watched = Watched(source, SLOW_HZ)
    watched.devices()
    for _ in range(2):
        watched.sample()
        assert watched.processes("GPU-1") == watched.processes("GPU-2") == [ProcessUse(7, 0.5)]
    assert source.asked == 4
    watched.close()


def test_closed_while_it_hangs_its_thread_ends_once_it_comes_back(source: HangingSource) -> None:
    before = set(threading.enumerate())
    watched = Watched(source, SLOW_HZ, SHORT_S)
    watched.devices()
    (own,) = set(threading.enumerate()) - before
    source.gate.clear()
    with pytest.raises(Unavailable):
        watched.sample()
    watched.close()
    assert own.is_alive()
    source.gate.set()
    wait_until(lambda: not own.is_alive(), "the thread to end")
