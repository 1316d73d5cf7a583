"""RAPL against a folder that looks as the kernel's: each joule once, over every wrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.collect import rapl
from carbon.collect.machine import cpu_name, machine_id, part_uuid, socket_ids
from carbon.collect.odometer import Odometer
from carbon.collect.rapl import RaplSource
from carbon.collect.source import DeviceKind
from carbon.domain.energy import Method
from carbon.errors import Unavailable

RANGE_UJ = 262_143_328_850


@dataclass(frozen=True)
class Powercap:
    """The kernel's folder, laid out by hand."""

    root: Path

    def zone(self, folder: str, name: str, energy_uj: int, range_uj: int = RANGE_UJ) -> Path:
        path = self.root / folder
        path.mkdir(parents=True)
        (path / "name").write_text(f"{name}\n")
        (path / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.set(folder, energy_uj)
        return path

    def set(self, folder: str, energy_uj: int) -> None:
        (self.root / folder / "energy_uj").write_text(f"{energy_uj}\n")


@pytest.fixture
def powercap(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path / "powercap")


def source_of(powercap: Powercap, clock: FakeClock | None = None) -> RaplSource:
    return RaplSource(powercap.root, machine="m1", clock=clock or FakeClock())


def uuids(source: RaplSource) -> list[str]:
    return [device.uuid for device in source.devices()]


def parts(*names: str) -> list[str]:
    return [part_uuid("m1", name) for name in names]


def only_counter(source: RaplSource) -> int:
    (sample,) = source.sample()
    assert sample.counter_mj is not None
    return sample.counter_mj


# Counting


@given(
    st.integers(0, RANGE_UJ - 1),
    st.lists(st.integers(0, RANGE_UJ - 1), min_size=1, max_size=12),
)
def test_over_any_number_of_wraps_no_microjoule_is_lost(
    tmp_path_factory: pytest.TempPathFactory, start_uj: int, rises_uj: Sequence[int]
) -> None:
    powercap = Powercap(tmp_path_factory.mktemp("powercap") / "p")
    powercap.zone("intel-rapl:0", "package-0", start_uj)
    source, total_uj = source_of(powercap), start_uj
    for rise_uj in rises_uj:
        total_uj += rise_uj
        powercap.set("intel-rapl:0", total_uj % RANGE_UJ)
        assert only_counter(source) == total_uj // 1000


def test_a_wrap_is_a_rise_like_any_other_to_the_odometer(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", RANGE_UJ - 40_000_000)
    clock = FakeClock()
    source = source_of(powercap, clock)
    odometer = Odometer(source.devices()[0])
    assert not odometer.observe(source.sample()[0])
    clock.advance(1.0)
    powercap.set("intel-rapl:0", 60_000_000)
    assert not odometer.observe(source.sample()[0])
    closed = odometer.close(clock.monotonic_ns())
    assert closed is not None
    assert (closed.energy_mj, closed.method) == (100_000, Method.COUNTER)


# What is counted


def test_packages_and_their_memory_are_devices_and_their_parts_are_not(powercap: Powercap) -> None:
    for socket in (0, 1):
        powercap.zone(f"intel-rapl:{socket}", f"package-{socket}", 10**9 * (socket + 1))
        powercap.zone(f"intel-rapl:{socket}:0", "core", 5_000)
        powercap.zone(f"intel-rapl:{socket}:1", "dram", 10**8 * (socket + 1))
        powercap.zone(f"intel-rapl:{socket}:2", "uncore", 7_000)
    source = source_of(powercap)
    assert uuids(source) == parts("package-0", "dram-0", "package-1", "dram-1")
    assert [device.kind for device in source.devices()] == [DeviceKind.CPU, DeviceKind.DRAM] * 2


def test_the_whole_platform_and_the_second_way_to_a_counter_are_left_out(
    powercap: Powercap,
) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    powercap.zone("intel-rapl:1", "psys", 9_000_000)
    powercap.zone("intel-rapl-mmio:0", "package-0", 1_500_000)
    (powercap.root / "intel-rapl").mkdir()
    (powercap.root / "dtpm").mkdir()
    assert uuids(source_of(powercap)) == parts("package-0")


def test_a_package_listed_twice_is_counted_once(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    powercap.zone("intel-rapl:1", "package-0", 2_000_000)
    assert uuids(source_of(powercap)) == parts("package-0")


def test_dies_that_mirror_one_socket_are_counted_once(powercap: Powercap) -> None:
    for die in range(4):
        powercap.zone(f"intel-rapl:{die}", f"package-0-die-{die}", 77_123_456)
    assert uuids(source_of(powercap)) == parts("package-0-die-0")


def test_two_sockets_that_are_nearly_equal_are_two(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 77_123_456)
    powercap.zone("intel-rapl:1", "package-1", 77_123_457)
    assert len(uuids(source_of(powercap))) == 2


def test_counters_at_zero_are_not_taken_for_mirrors(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 0)
    powercap.zone("intel-rapl:1", "package-1", 0)
    assert len(uuids(source_of(powercap))) == 2


def test_zones_are_ordered_by_number_and_not_by_letter(powercap: Powercap) -> None:
    for socket in (10, 2):
        powercap.zone(f"intel-rapl:{socket}", f"package-{socket}", socket)
    assert uuids(source_of(powercap)) == parts("package-2", "package-10")


def test_the_short_term_limit_bounds_what_a_sample_may_claim(powercap: Powercap) -> None:
    folder = powercap.zone("intel-rapl:0", "package-0", 1)
    (folder / "constraint_0_power_limit_uw").write_text("225000000\n")
    (folder / "constraint_1_power_limit_uw").write_text("270000000\n")
    (folder / "constraint_2_power_limit_uw").write_text("?\n")
    assert source_of(powercap).devices()[0].power_limit_mw == 270_000


def test_without_a_stated_limit_none_is_claimed(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1)
    assert source_of(powercap).devices()[0].power_limit_mw is None


# What can go wrong


def test_a_machine_without_rapl_says_so(powercap: Powercap) -> None:
    with pytest.raises(Unavailable) as raised:
        source_of(powercap)
    assert raised.value.code == "rapl_absent"


def test_a_counter_for_root_alone_names_the_mend(
    powercap: Powercap, monkeypatch: pytest.MonkeyPatch
) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1)

    def refuse(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    # By hand, since root, as which tests may run, reads everything.
    monkeypatch.setattr(rapl, "read_int", refuse)
    with pytest.raises(Unavailable, match="sudo chmod") as raised:
        source_of(powercap)
    assert raised.value.code == "rapl_unreadable"
    assert "\n" not in raised.value.detail


def test_a_counter_that_holds_no_number_is_unreadable(powercap: Powercap) -> None:
    folder = powercap.zone("intel-rapl:0", "package-0", 1)
    (folder / "energy_uj").write_text("\n")
    with pytest.raises(Unavailable) as raised:
        source_of(powercap)
    assert raised.value.code == "rapl_unreadable"


def test_one_failing_counter_does_not_stop_the_others(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 5_000)
    powercap.zone("intel-rapl:1", "package-1", 9_000)
    source = source_of(powercap)
    (powercap.root / "intel-rapl:0" / "energy_uj").unlink()
    assert [sample.device for sample in source.sample()] == parts("package-1")
    (powercap.root / "intel-rapl:1" / "energy_uj").unlink()
    with pytest.raises(Unavailable):
        source.sample()


def test_who_uses_a_cpu_is_not_told_here(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1)
    source = source_of(powercap)
    assert source.processes(uuids(source)[0]) is None
    source.close()


# Identity


def test_ids_are_stable_and_differ_by_machine_and_part() -> None:
    assert part_uuid("m1", "package-0") == part_uuid("m1", "package-0")
    ids = {part_uuid(m, p) for m in ("m1", "m2") for p in ("package-0", "package-1", "dram-0")}
    assert len(ids) == 6
    assert part_uuid("m1", "dram-0").startswith("DRAM-")
    assert machine_id() == machine_id() != ""


def test_processor_and_sockets_are_read_from_the_kernel(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    threads = [(0, 0), (1, 0), (2, 1), (3, 1)]
    cpuinfo.write_text(
        "\n".join(
            f"processor : {n}\nmodel name\t: Xeon 9\nphysical id\t: {s}\n" for n, s in threads
        )
    )
    assert cpu_name(cpuinfo) == "Xeon 9"
    assert socket_ids(cpuinfo) == [0, 1]
    assert cpu_name(tmp_path / "none") != ""
    assert socket_ids(tmp_path / "none") == [0]
