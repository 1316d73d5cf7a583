"""What `carbon doctor` finds: each trouble by its name, and with its mend."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from carbon.collect.checkup import Finding, State, check_meters, check_processes
from carbon.collect.cpu_model import CpuFigures, FigureCache, Machine
from tests.scripted_nvml import (
    AVERAGE_FIELD,
    ENERGY_FIELD,
    EVERY_CALL,
    INSTANT_FIELD,
    POWER_USAGE,
    TOTAL_ENERGY,
    Gpu,
    Nvml,
    Rule,
    Scenario,
    Script,
)

pytest_plugins = ["tests.scripted_nvml.plugin"]

Play = Callable[[Script], Scenario]


def of(area: str, findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.area == area]


def zone(root: Path, name: str = "package-0") -> Path:
    folder = root / "intel-rapl:0"
    folder.mkdir(parents=True)
    (folder / "name").write_text(name)
    (folder / "energy_uj").write_text("5000000")
    (folder / "max_energy_range_uj").write_text("262143328850")
    return folder


def test_a_gpu_with_a_counter_is_measured(play: Play, tmp_path: Path) -> None:
    play(Script((Gpu("GPU-1", name="NVIDIA H200"),)))
    (finding,) = of("gpu", check_meters(tmp_path, tmp_path / "none"))
    assert finding.measures
    assert finding.detail == "GPU NVIDIA H200: energy counter, 300 W now"


def test_a_gpu_without_a_counter_says_what_stands_in(play: Play, tmp_path: Path) -> None:
    gone = [Rule(name, Nvml.NOT_SUPPORTED) for name in (ENERGY_FIELD, TOTAL_ENERGY)]
    averages = [Rule(INSTANT_FIELD, Nvml.NOT_SUPPORTED)]
    play(Script((Gpu("GPU-1", rules=tuple(gone)), Gpu("GPU-2", rules=tuple(gone + averages)))))
    first, second = of("gpu", check_meters(tmp_path, tmp_path / "none"))
    assert "power, integrated" in first.detail
    assert "averaged power" in second.detail


def test_a_gpu_that_gives_nothing_does_not_hide_the_other(play: Play, tmp_path: Path) -> None:
    silent = [
        Rule(name, Nvml.NOT_SUPPORTED)
        for name in (ENERGY_FIELD, TOTAL_ENERGY, INSTANT_FIELD, AVERAGE_FIELD, POWER_USAGE)
    ]
    play(Script((Gpu("GPU-1", rules=tuple(silent)), Gpu("GPU-2"))))
    states = [f.state for f in of("gpu", check_meters(tmp_path, tmp_path / "none"))]
    assert states == [State.FAILING, State.OK]


def test_a_lost_gpu_does_not_stop_the_look(play: Play, tmp_path: Path) -> None:
    lost = (Rule(EVERY_CALL, Nvml.GPU_IS_LOST),)
    play(Script((Gpu("GPU-1", rules=lost), Gpu("GPU-2"))))
    assert [f.state for f in of("gpu", check_meters(tmp_path, tmp_path / "none"))] == [State.OK]


def test_a_driver_that_does_not_start_is_failing_and_has_a_mend(play: Play, tmp_path: Path) -> None:
    play(Script(init_error=Nvml.DRIVER_NOT_LOADED))
    (finding,) = of("gpu", check_meters(tmp_path, tmp_path / "none"))
    assert finding.state == State.FAILING
    assert "nvidia-smi" in finding.mend


def test_a_driver_that_hangs_does_not_hang_the_doctor(play: Play, tmp_path: Path) -> None:
    hang = tmp_path / "hang"
    hang.touch()
    play(Script(hang_file=hang))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("carbon.collect.checkup._PATIENCE_S", 0.05)
        (finding,) = of("gpu", check_meters(tmp_path, tmp_path / "none"))
    hang.unlink()
    assert finding.state == State.FAILING
    assert "has not answered" in finding.detail


def test_counters_of_the_cpu_leave_nothing_to_a_model(play: Play, tmp_path: Path) -> None:
    play(Script())
    zone(tmp_path / "powercap")
    findings = check_meters(tmp_path, tmp_path / "powercap")
    (cpu,) = of("cpu", findings)
    assert cpu.measures
    assert not of("model", findings)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_unreadable_counters_name_the_rule_that_opens_them(play: Play, tmp_path: Path) -> None:
    play(Script())
    (zone(tmp_path / "powercap") / "energy_uj").chmod(0)
    (cpu,) = of("cpu", check_meters(tmp_path, tmp_path / "powercap"))
    assert cpu.state == State.FAILING
    assert "udev" in cpu.detail


def test_a_modelled_cpu_is_not_measured(play: Play, tmp_path: Path) -> None:
    play(Script())
    FigureCache(tmp_path).put(Machine.here(), CpuFigures(60_000, 10_000, "test"))
    findings = check_meters(tmp_path, tmp_path / "none")
    (model,) = of("model", findings)
    assert not model.measures
    assert "60 W rated" in model.detail
    assert of("cpu", findings)[0].state == State.ABSENT


def namespace(proc: Path, name: str) -> Path:
    (proc / "self/ns").mkdir(parents=True)
    (proc / "self/ns/pid").symlink_to(name)
    return proc


def test_a_container_without_the_hosts_processes_is_told(tmp_path: Path) -> None:
    findings = check_processes(namespace(tmp_path, "pid:[4026532000]"))
    assert findings[0].state == State.LIMITED
    assert "hostPID" in findings[0].mend


def test_the_hosts_own_namespace_is_good(tmp_path: Path) -> None:
    findings = check_processes(namespace(tmp_path, "pid:[4026531836]"))
    assert [finding.state for finding in findings] == [State.OK, State.OK]


def test_a_machine_without_proc_is_limited(tmp_path: Path) -> None:
    assert [finding.state for finding in check_processes(tmp_path)] == [State.LIMITED]
