"""Who gets a second's energy: conserved always, idle to nobody unless it was reserved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from carbon.collect.attribution import Scene, attribute
from carbon.collect.processes import MachineTotals, Usage
from carbon.collect.source import Device, DeviceKind, ProcessUse
from carbon.collect.subjects import IDLE, UNATTRIBUTED, Subject

SECOND_NS = 1_000_000_000
A, B = Subject("run:a", "w", "a"), Subject("user:ana")
SUBJECTS = {1: A, 2: A, 3: B}

kinds = st.sampled_from(DeviceKind)
scenes = st.builds(
    Scene,
    span_ns=st.just(SECOND_NS),
    usage=st.builds(
        Usage,
        named=st.just({}),
        memory_bytes=st.dictionaries(st.integers(1, 5), st.integers(0, 1 << 34), max_size=5),
        cpu_s=st.dictionaries(st.integers(1, 5), st.floats(0, 4), max_size=5),
        busy_s=st.floats(0, 8),
        totals=st.just(MachineTotals(0.0, 1 << 34, 4)),
    ),
    subjects=st.just(SUBJECTS),
    on_device=st.none()
    | st.lists(
        st.builds(
            ProcessUse,
            st.integers(1, 5),
            st.none() | st.floats(0, 1),
            st.none() | st.integers(0, 1 << 36),
        ),
        max_size=5,
    ),
    idle_mw=st.none() | st.floats(0, 1e6),
    holder=st.none() | st.just(A),
)


def device(kind: DeviceKind) -> Device:
    return Device("D", kind, "model")


def cpu(cpu_s: dict[int, float], busy_s: float, idle_mw: float = 0.0) -> Scene:
    usage = Usage({}, {}, cpu_s, busy_s, MachineTotals(0.0, 1 << 34, 4))
    return Scene(SECOND_NS, usage, SUBJECTS, None, idle_mw)


@given(kinds, st.integers(0, 10**9), scenes)
def test_shares_sum_to_the_device_exactly(kind: DeviceKind, energy_mj: int, scene: Scene) -> None:
    shares = attribute(device(kind), energy_mj, scene)
    assert sum(shares.values()) == energy_mj
    assert all(mj > 0 for mj in shares.values())


@given(kinds, st.integers(0, 10**9), scenes)
def test_a_reservation_moves_the_idle_part_and_nothing_else(
    kind: DeviceKind, energy_mj: int, scene: Scene
) -> None:
    if kind is DeviceKind.GPU and scene.on_device is None:
        return  # nobody can be told apart: then the holder has all of it
    free = attribute(device(kind), energy_mj, replace(scene, holder=None))
    held = attribute(device(kind), energy_mj, replace(scene, holder=A))
    assert IDLE not in held
    assert held.get(A, 0) == free.get(A, 0) + free.get(IDLE, 0)
    assert {who: mj for who, mj in held.items() if who != A} == {
        who: mj for who, mj in free.items() if who not in (A, IDLE)
    }


def test_active_cpu_energy_goes_by_cpu_time_and_idle_to_nobody() -> None:
    shares = attribute(device(DeviceKind.CPU), 10_000, cpu({1: 1.0, 2: 1.0, 3: 2.0}, 4.0, 2_000))
    assert shares == {IDLE: 2_000, A: 4_000, B: 4_000}


def test_cpu_time_that_nobody_is_seen_using_is_unattributed() -> None:
    shares = attribute(device(DeviceKind.CPU), 10_000, cpu({1: 1.0}, 4.0))
    assert shares == {A: 2_500, UNATTRIBUTED: 7_500}


def test_a_cpu_at_rest_draws_for_nobody() -> None:
    assert attribute(device(DeviceKind.CPU), 10_000, cpu({}, 0.0, 9_000)) == {IDLE: 10_000}


def test_memory_goes_by_what_is_held_and_the_free_part_to_nobody() -> None:
    usage = Usage({}, {1: 1 << 32, 3: 1 << 33}, {}, 0.0, MachineTotals(0.0, 1 << 34, 4))
    shares = attribute(device(DeviceKind.DRAM), 8_000, Scene(SECOND_NS, usage, SUBJECTS))
    assert shares == {A: 2_000, B: 4_000, IDLE: 2_000}


def test_shared_pages_that_add_up_to_more_than_is_installed_leave_nothing_free() -> None:
    usage = Usage({}, {1: 1 << 34, 3: 1 << 34}, {}, 0.0, MachineTotals(0.0, 1 << 34, 4))
    shares = attribute(device(DeviceKind.DRAM), 8_000, Scene(SECOND_NS, usage, SUBJECTS))
    assert shares == {A: 4_000, B: 4_000}


def gpu(*uses: ProcessUse, idle_mw: float = 0.0) -> Scene:
    return Scene(SECOND_NS, subjects=SUBJECTS, on_device=uses, idle_mw=idle_mw)


def test_a_gpu_goes_by_kernel_time() -> None:
    shares = attribute(
        device(DeviceKind.GPU), 9_000, gpu(ProcessUse(1, 0.6, 1), ProcessUse(3, 0.3, 99))
    )
    assert shares == {A: 6_000, B: 3_000}


def test_a_gpu_is_idle_for_the_time_without_kernels() -> None:
    shares = attribute(device(DeviceKind.GPU), 100_000, gpu(ProcessUse(1, 0.25, 1), idle_mw=80_000))
    assert shares == {IDLE: 60_000, A: 40_000}


def test_a_process_that_only_holds_memory_does_not_pay_for_idling() -> None:
    shares = attribute(
        device(DeviceKind.GPU), 80_000, gpu(ProcessUse(1, 0.0, 1 << 30), idle_mw=80_000)
    )
    assert shares == {IDLE: 80_000}


def test_without_kernel_times_a_gpu_goes_by_memory_and_without_memory_equally() -> None:
    by_memory = gpu(ProcessUse(1, None, 300), ProcessUse(3, None, 100))
    assert attribute(device(DeviceKind.GPU), 8_000, by_memory) == {A: 6_000, B: 2_000}
    equally = gpu(ProcessUse(1), ProcessUse(3))
    assert attribute(device(DeviceKind.GPU), 8_000, equally) == {A: 4_000, B: 4_000}


def test_a_gpu_with_nobody_on_it_is_idle_and_one_that_cannot_tell_is_unattributed() -> None:
    assert attribute(device(DeviceKind.GPU), 8_000, gpu()) == {IDLE: 8_000}
    unknown = Scene(SECOND_NS, subjects=SUBJECTS, on_device=None)
    assert attribute(device(DeviceKind.GPU), 8_000, unknown) == {UNATTRIBUTED: 8_000}
    held = replace(unknown, holder=A)
    assert attribute(device(DeviceKind.GPU), 8_000, held) == {A: 8_000}


def test_a_process_that_we_cannot_see_is_unattributed() -> None:
    assert attribute(device(DeviceKind.GPU), 8_000, gpu(ProcessUse(77, 1.0, 1))) == {
        UNATTRIBUTED: 8_000
    }
