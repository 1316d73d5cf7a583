"""Which device models work on, and that a GPU's work lies within the run that is charged for it.

No test here has a GPU: PyTorch's side is a double, the driver's the scripted library."""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from agent_double import AgentProcess, RecordingServer, wait_until

from carbon.clock import SystemClock
from carbon.collect.host_agent import AgentOptions
from carbon.domain.experiments.techniques import Technique
from carbon.errors import CarbonError, InvalidInput
from carbon.playbook.comparison import Comparison, Done, NotRun
from carbon.playbook.device import CPU, VARIABLE, Device, device_of
from carbon.playbook.runner import Pace, Recorder
from carbon.playbook.techniques import ENTRIES, entry_of
from tests.scripted_nvml import Gpu, Power, Process, Script, write_pids

pytest_plugins = ["tests.scripted_nvml.plugin"]


def seeing(gpu: bool, done: list[str] | None = None) -> Any:
    """PyTorch, as far as the choice of a device asks it."""
    calls = done if done is not None else []
    return SimpleNamespace(
        cuda=SimpleNamespace(is_available=lambda: gpu, synchronize=lambda: calls.append("sync"))
    )


@pytest.mark.parametrize(
    ("asked", "variable", "gpu", "chosen"),
    [
        (None, None, True, "cuda"),
        (None, None, False, "cpu"),
        ("cpu", None, True, "cpu"),
        ("cuda", None, True, "cuda"),
        (None, "cpu", True, "cpu"),
        ("cuda", "cpu", True, "cuda"),
    ],
)
def test_a_gpu_is_taken_where_there_is_one_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, variable: str | None, gpu: bool, chosen: str
) -> None:
    if variable:
        monkeypatch.setenv(VARIABLE, variable)
    else:
        monkeypatch.delenv(VARIABLE, raising=False)
    device = device_of(asked, seeing(gpu))
    assert (device.name, device.is_gpu) == (chosen, chosen == "cuda")


def test_a_gpu_that_is_asked_for_and_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="CUDA build"):
        device_of("cuda", seeing(False))
    with pytest.raises(InvalidInput, match="cpu or cuda"):
        device_of("tpu", seeing(True))


def test_the_device_waits_by_pytorch_s_own_call_and_the_processor_by_none() -> None:
    calls: list[str] = []
    device_of("cuda", seeing(True, calls)).synchronise()
    CPU.synchronise()
    assert calls == ["sync"]


# Blocks on a GPU that a script plays, measured by a real agent

GPU = "GPU-aaaaaaaa"
WATTS = 300


class Ledger:
    """Takes what would be recorded."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def create_experiment(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        return asked


def on_gpu(steps: list[str], seconds: float) -> Comparison:
    def arm(name: str) -> Any:
        def work(rounds: int) -> Done:
            steps.append(name)
            time.sleep(seconds)
            return Done({"request": 1})

        return work

    return Comparison(
        title="t",
        parameters={"change": "x"},
        baseline=arm("a"),
        treatment=arm("b"),
        before={"n": 1},
        after={"n": 2},
        units=["request"],
        is_whole=True,
        device=Device("cuda", lambda: steps.append("sync"), block_s=1.0),
    )


def script(pids: Path, *processes: Process) -> Script:
    return Script(
        (Gpu(GPU, Power.constant(WATTS * 1000), processes=processes),),
        epoch_ms=SystemClock().now_ms(),
        pids_file=pids,
    )


def environment(library: Path, played: Script, folder: Path, url: str) -> dict[str, str]:
    return {
        "LD_LIBRARY_PATH": str(library),
        "CARBON_NVML_SCRIPT": str(played.write(folder / "script.txt")),
        "CARBON_URL": url,
        "CARBON_KEY": "k",
    }


def test_blocks_on_a_gpu_are_measured_by_its_counter_and_synchronised_at_both_ends(
    nvml_library: Path, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    played = script(pids, Process("@me", sm_percent=90))
    write_pids(pids, {"me": [os.getpid()]})
    steps: list[str] = []
    ledger = Ledger()
    with RecordingServer() as server:
        env = environment(nvml_library, played, tmp_path, server.url)
        with AgentProcess(tmp_path, env):
            wait_until(lambda: server.taken, "a batch")
            recorder = Recorder(
                ledger,  # type: ignore[arg-type]
                AgentOptions(data_dir=tmp_path),
                Pace(blocks=2, warm_up=0),
            )
            (told,) = recorder.record(Technique.DEPLOYMENT, on_gpu(steps, 0.6))
        runs = {block["run"] for arm in ("baseline", "treatment") for block in told[arm]["blocks"]}
        drawn = [i for i in server.intervals() if i["device"] == GPU and i.get("run") in runs]
    assert steps == ["sync", "a", "sync", "sync", "b", "sync"] * 2
    assert len(runs) == 4
    assert {i["run"] for i in drawn} == runs
    assert {i["method"] for i in drawn} == {"counter"}
    energy_mj = sum(i["energy_mj"] for i in drawn)
    assert energy_mj == pytest.approx(WATTS * 4 * 600, rel=0.25)


def test_a_gpu_that_nobody_measures_is_no_experiment(nvml_library: Path, tmp_path: Path) -> None:
    """The agent sees a GPU and none of our processes on it, as it may from inside a container."""
    pids = tmp_path / "pids"
    pids.write_text("")
    ledger, steps = Ledger(), list[str]()
    with RecordingServer() as server:
        env = environment(nvml_library, script(pids), tmp_path, server.url)
        with AgentProcess(tmp_path, env):
            recorder = Recorder(
                ledger,  # type: ignore[arg-type]
                AgentOptions(data_dir=tmp_path),
                Pace(blocks=2, warm_up=0),
            )
            with pytest.raises(CarbonError, match="carbon doctor"):
                list(recorder.record(Technique.DEPLOYMENT, on_gpu(steps, 0.2)))
    assert ledger.asked == []


# What PyTorch would do on a GPU, on tensors without values


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch (extra `playbook`) is absent")


@pytest.mark.slow
def test_on_a_gpu_int8_is_named_as_not_run_and_halves_and_tf32_are_offered(
    monkeypatch: pytest.MonkeyPatch, torch: Any
) -> None:
    """The technique's offer, with models on the processor that call themselves a GPU's."""
    quantisation = importlib.import_module("carbon.playbook.quantisation")
    mixed = importlib.import_module("carbon.playbook.mixed_precision")

    class Posing(Device):
        is_gpu = True

    posing = Posing("cpu", lambda: None, 1.0)
    offered = quantisation.comparisons(1, True, posing)
    assert [o.title for o in offered] == [
        "bf16 for fp32, batch 64",
        "fp16 for fp32, batch 64",
        "int8 for fp32, batch 64",
    ]
    assert isinstance(offered[-1], NotRun)
    assert "torchao" in offered[-1].why
    trained_in = [o.parameters["precision"] for o in mixed.comparisons(1, True, posing)]
    assert trained_in == ["tf32", "bf16", "fp16"]
    with mixed._products_in("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.slow
def test_nothing_of_a_model_or_its_data_stays_on_the_processor(torch: Any) -> None:
    """Tensors of the device `meta` have no values; what mixes them with others is refused, as on
    a GPU."""
    networks = importlib.import_module("carbon.playbook.networks")
    words = importlib.import_module("carbon.playbook.prompt_and_output")
    pruning = importlib.import_module("carbon.playbook.pruning")
    elsewhere = Device("meta", lambda: None, 1.0)
    on = networks.data(1, 256, elsewhere)
    assert {on.x.device.type, on.y.device.type} == {"meta"}
    model = networks.network(64, 2, device=elsewhere)
    with pytest.raises(RuntimeError, match="device"):
        model(torch.zeros(4, networks.FEATURES))
    assert networks.train(model, on, 2) == 2
    assert pruning._structured(model)(on.x).device.type == "meta"
    assert networks.answers(model, on).device.type == "meta"
    characters = words.CharacterModel(20).to("meta")
    tokens = torch.zeros(64, dtype=torch.long, device="meta")
    assert words._answering(characters, tokens, 24, 3)(1).units["token"] == 3


def test_those_of_numpy_stay_on_the_processor_and_say_so() -> None:
    cuda = Device("cuda", lambda: None, 1.0)
    for entry in ENTRIES:
        if not entry.needs_torch and entry.technique is not Technique.CLEAN_HOURS:
            for one in entry_of(entry.technique).comparisons(1, True, cuda):
                assert isinstance(one, Comparison)
                assert one.device is CPU
