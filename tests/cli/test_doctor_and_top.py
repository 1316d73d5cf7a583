"""`carbon doctor`, `carbon top` and `carbon agent --retry-refused` as a person meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from agent_double import AgentProcess, RecordingServer, know_the_cpu, wait_until
from rich.console import Console

from carbon.cli import main
from carbon.cli.agent import put_back
from carbon.cli.top import view
from carbon.collect.protocol import DevicePower, RefusedBatch, Status
from carbon.collect.spool import Spool
from carbon.collect.spool_db import SpoolDb
from carbon.wire.energy import EnergyBatch, EnergyInterval
from tests.scripted_nvml import Gpu, Nvml, Scenario, Script

pytest_plugins = ["tests.scripted_nvml.plugin"]

Play = Callable[[Script], Scenario]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CARBON_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CARBON_ZONE", "DE")
    monkeypatch.delenv("CARBON_URL", raising=False)
    monkeypatch.delenv("CARBON_KEY", raising=False)
    return tmp_path


def carbon(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def refuse_one(data_dir: Path) -> None:
    (data_dir / "agent").mkdir(exist_ok=True)
    db = SpoolDb(data_dir / "agent/spool.db")
    spool = Spool(db)
    interval = EnergyInterval("D", 0, 1_000, 5, "counter", subject="idle")
    spool.append_energy(EnergyBatch("agent", "boot", 0, [interval]))
    spool.refuse(spool.pending(1, 1 << 53)[0], 422, "no such thing")
    db.close()


def power(kind: str, watts: float) -> DevicePower:
    return DevicePower(f"{kind}-1", kind, "", "counter", watts, {"idle": watts})


def status(*devices: DevicePower, refused: int = 0) -> Status:
    return Status(
        pid=1,
        role="agent",
        source="s",
        boot_id="b",
        host="node-7",
        zone="DE",
        zone_is_guess=False,
        at_ms=0,
        devices=list(devices),
        runs=[],
        sources=[],
        faults=[],
        spool_depth=3,
        last_seq=9,
        refused=[RefusedBatch(1, 422, "no")] * refused,
        last_upload_ms=None,
        last_upload_error=None,
        server=None,
    )


def shown(of: Status) -> str:
    console = Console(width=120, record=True, file=StringIO())
    console.print(view(of))
    return console.export_text()


def test_where_a_sensor_answers_the_doctor_is_content(
    data_dir: Path, play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    play(Script())
    assert carbon("doctor", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["measures"]
    areas = {finding["area"]: finding for finding in answer["findings"]}
    assert areas["zone"]["state"] == "ok"
    assert areas["server"]["state"] == "absent"
    assert "carbon up" in areas["agent"]["mend"]


def test_where_no_sensor_answers_the_doctor_says_so_and_fails(
    data_dir: Path,
    play: Play,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    play(Script(init_error=Nvml.DRIVER_NOT_LOADED))
    monkeypatch.setenv("CARBON_POWERCAP", str(data_dir / "none"))
    assert carbon("doctor") == 1
    assert "modelled at best" in capsys.readouterr().out


def test_rules_with_an_error_are_named(
    data_dir: Path, play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    play(Script())
    (data_dir / "agent").mkdir()
    (data_dir / "agent/rules.toml").write_text("[[rule]]\nworkload = 'a/b/c'")
    carbon("doctor")
    assert "FAIL  rules" in capsys.readouterr().out


def test_refused_batches_are_shown_and_can_be_sent_again(
    data_dir: Path, play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    play(Script())
    refuse_one(data_dir)
    carbon("doctor")
    assert "--retry-refused" in capsys.readouterr().out
    assert carbon("agent", "--retry-refused") == 0
    assert capsys.readouterr().out.startswith("1 refused")
    carbon("doctor")
    assert "--retry-refused" not in capsys.readouterr().out


def test_a_running_agent_delivers_what_was_put_back(data_dir: Path) -> None:
    refuse_one(data_dir)
    with RecordingServer() as server:
        environment = {"CARBON_URL": server.url, "CARBON_KEY": "k"}
        with AgentProcess(data_dir, environment):
            assert put_back(data_dir) == 1
            wait_until(lambda: any(i["device"] == "D" for i in server.intervals()), "the batch")


def test_nothing_is_put_back_where_nothing_was(tmp_path: Path) -> None:
    assert put_back(tmp_path) == 0


def test_top_shows_what_a_running_agent_sees(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    know_the_cpu(data_dir)
    with AgentProcess(data_dir) as agent:
        wait_until(agent.has_reading, "a reading")
        assert carbon("top", "--once") == 0
        assert "cpu " in capsys.readouterr().out
        assert carbon("top", "--json") == 0
        assert json.loads(capsys.readouterr().out)["devices"]


def test_without_an_agent_top_names_the_mend(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carbon("top", "--once") == 1
    assert "carbon agent" in capsys.readouterr().err


def gpu(number: int, watts: float, subjects: dict[str, float], **others: object) -> DevicePower:
    workloads = {"run:a": "t/w"}
    told = (f"GPU-{number}", "gpu", "H200", "counter", watts, subjects, workloads)
    return DevicePower(*told, **others)  # type: ignore[arg-type]


def test_devices_have_their_share_of_the_limit_and_workloads_their_names() -> None:
    of = status(power("cpu", 60.0), gpu(1, 400.0, {"run:a": 350.0, "idle": 50.0}, limit_watts=700))
    text = shown(of)
    assert "node-7   460 W" in text
    assert "57 % of 700" in text
    assert "3 batches wait" in text
    assert text.index("t/w") < text.index("idle")


def test_a_workload_on_several_devices_is_one_line_the_heaviest_first() -> None:
    of = status(gpu(1, 300.0, {"run:a": 300.0}), gpu(2, 500.0, {"run:a": 100.0, "user:b": 400.0}))
    lines = [line.split() for line in shown(of).splitlines()]
    assert ["user:b", "400", "50.0", "%", "gpu", "1"] in lines
    assert ["t/w", "400", "50.0", "%", "gpu", "0,", "gpu", "1"] in lines


def test_many_subjects_end_in_one_line_of_others() -> None:
    text = shown(status(gpu(1, 200.0, {f"user:u{n}": 10.0 for n in range(20)})))
    assert "5 others" in text
    assert text.count("user:u") == 15


def test_what_is_wrong_stands_below() -> None:
    wrong = msgspec.structs.replace(
        status(power("cpu", 60.0), refused=2),
        faults=["counter_reset of GPU-1: fell"],
        last_upload_error="refused connection",
        last_upload_ms=0,
        at_ms=12_000,
    )
    text = shown(wrong)
    assert "counter_reset of GPU-1" in text
    assert "not delivered: refused connection" in text
    assert "2 refused" in text
    assert "last 12 s ago" in text


def test_equal_findings_are_one_line(
    data_dir: Path, play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    play(Script(tuple(Gpu(uuid=f"GPU-{n}") for n in range(3))))
    carbon("doctor")
    assert "3 x GPU NVIDIA Scripted: energy counter" in capsys.readouterr().out


def test_what_a_module_holds_is_not_added_to_it() -> None:
    assert "node-7   900 W" in shown(status(power("module", 900.0), power("cpu", 60.0)))
