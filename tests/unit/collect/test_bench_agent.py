"""`carbon bench agent`: the figures are of what they say, and what cannot be had is said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import carbon.bench.agent as bench
from carbon.bench.agent.accuracy import accuracy
from carbon.bench.agent.outage import _GPU, _Sink
from carbon.bench.agent.scripted import Unscripted, library, scripts
from carbon.bench.agent.sharing import _TURNS, _true_mj, sharing
from carbon.bench.figure import Options
from carbon.wire.energy import EnergyBatch, EnergyInterval


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The scripted driver; this process's binding is put back afterwards."""
    import pynvml

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setenv("CARBON_NVML_SCRIPT", "")
    try:
        yield library()
    except Unscripted as error:
        pytest.skip(str(error))


def test_without_a_checkout_the_scripted_figures_are_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = sys.modules["carbon.bench.agent.scripted"]
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    with pytest.raises(Unscripted, match="checkout"):
        scripts()
    monkeypatch.setattr(bench, "start", lambda options: [])
    monkeypatch.setattr(bench, "catch_up", lambda options: [])
    (figure,) = bench.measure(Options(quick=True))
    assert figure.value is None
    assert "checkout" in str(figure.note)


def test_energy_is_as_true_as_the_targets_ask(driver: Path) -> None:
    figures = accuracy(driver, Options(quick=True))
    assert [figure.met for figure in figures] == [True, True, True]


def test_attribution_by_sm_time_is_as_true_as_the_target_asks(driver: Path) -> None:
    first, differs, by_memory, mig = sharing(driver, Options(quick=True))
    assert first.met
    assert (differs.value or 0) > (first.value or 0)
    assert by_memory.met is None
    assert mig.met


def test_the_true_energies_are_the_gpus_less_its_idle_time() -> None:
    """A process alone draws its own and the idle power of its kernels' time."""
    energies = _true_mj(dict.fromkeys(_TURNS, 1.0), "util")
    assert set(energies) == set(_TURNS)
    assert all(energy_mj > 0 for energy_mj in energies.values())


def sent(start_ms: int, energy_mj: int) -> bytes:
    row = EnergyInterval(_GPU, start_ms, start_ms + 1_000, energy_mj, "counter", subject="idle")
    return msgspec.json.encode(EnergyBatch("a", "b", 1, [row]))


def test_a_row_that_comes_twice_is_kept_once_and_a_silent_server_has_it() -> None:
    sink = _Sink()
    assert sink.take(sent(0, 5))
    sink.mood = "silent"
    assert not sink.take(sent(0, 5))
    assert not sink.take(sent(1_000, 7))
    sink.mood = "away"
    assert not sink.take(sent(2_000, 9))
    assert sink.counted_mj() == 12
    assert sink.silent == 2


def test_catching_up_delivers_every_period(monkeypatch: pytest.MonkeyPatch) -> None:
    sinks: list[_Sink] = []
    take = _Sink.take

    def seen(sink: _Sink, body: bytes) -> bool:
        sinks.append(sink)
        return take(sink, body)

    monkeypatch.setattr(_Sink, "take", seen)
    (figure,) = bench.catch_up(Options(quick=True))
    assert len(sinks) == 100
    assert sinks[0].counted_mj() == 100 * 6 * 500_000
    assert (figure.value or 0) > 0
