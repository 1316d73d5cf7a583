"""What a device draws at zero load is learned from its quietest second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.collect.idle_power import (
    HOUR_MS,
    REMEMBERED_HOURS,
    IdleBook,
    IdlePower,
    modelled_idle_mw,
)
from carbon.collect.modelled import cpu_power_mw
from carbon.collect.source import Device, DeviceKind

seconds = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e6)), min_size=1)


def test_before_anything_was_seen_it_is_not_known() -> None:
    assert IdlePower().power_mw is None


def test_an_idle_second_tells_it() -> None:
    idle = IdlePower()
    idle.observe(0, 200_000, 0.8)
    idle.observe(1000, 50_000, 0.0)
    idle.observe(2000, 300_000, 1.0)
    assert idle.power_mw == 50_000


def test_a_machine_never_seen_idle_has_a_low_estimate() -> None:
    idle = IdlePower()
    idle.observe(0, 200_000, 1.0)
    assert idle.power_mw == 0


@given(seconds)
def test_it_is_never_more_than_the_quietest_second_drew(
    observed: list[tuple[float, float]],
) -> None:
    idle = IdlePower()
    for at_s, (utilisation, power_mw) in enumerate(observed):
        idle.observe(at_s * 1000, power_mw, utilisation)
    assert idle.power_mw is not None
    assert 0 <= idle.power_mw <= min(observed)[1]


def test_yesterday_is_forgotten() -> None:
    idle = IdlePower()
    idle.observe(0, 10_000, 0.0)
    idle.observe(REMEMBERED_HOURS * HOUR_MS - 1, 40_000, 0.1)
    assert idle.power_mw == 10_000
    idle.observe(REMEMBERED_HOURS * HOUR_MS, 40_000, 0.1)
    assert idle.power_mw == pytest.approx(36_000)


def test_a_model_says_itself_what_it_draws_at_zero_load() -> None:
    cpu = Device("CPU", DeviceKind.CPU, "", power_limit_mw=65_000)
    assert modelled_idle_mw(cpu) == cpu_power_mw(65_000, 0.0)
    assert modelled_idle_mw(Device("CPU", DeviceKind.CPU, "")) == 0


def test_what_was_learned_outlives_a_restart() -> None:
    """An agent that starts on a busy machine would take a tenth of its load for idle."""
    before = IdleBook()
    before.of("GPU-1").observe(HOUR_MS, 70_000, 0.0)
    before.of("GPU-1").observe(3 * HOUR_MS, 400_000, 0.9)
    after = IdleBook(before.encoded())
    after.of("GPU-1").observe(4 * HOUR_MS, 500_000, 0.95)
    assert after.of("GPU-1").power_mw == 70_000
    after.of("GPU-1").observe(30 * HOUR_MS, 300_000, 0.5)
    assert after.of("GPU-1").power_mw == 150_000  # of the last day alone
    assert after.of("GPU-2").power_mw is None


@pytest.mark.parametrize("kept", [None, "", "{", "[]", '{"GPU-1": []}', '{"GPU-1": [{"a": 1}]}'])
def test_what_cannot_be_read_was_never_learned(kept: str | None) -> None:
    assert IdleBook(kept).of("GPU-1").power_mw is None
