"""In a container: its share of the host's CPU and memory, and not the host's."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_double import ScriptedMeter, ScriptedSource

from carbon.clock import FakeClock
from carbon.collect.attributor import Attributor
from carbon.collect.container import Container, own_container
from carbon.collect.container_share import ContainerShare
from carbon.collect.cpu_times import CpuTimes
from carbon.collect.processes import ProcessTable
from carbon.collect.procfs import ProcfsReader
from carbon.collect.sampler import Sampler
from carbon.collect.source import Device, DeviceKind, Sample

GB = 1 << 30


class Host:
    """A host of 100 W and 8 cores with one container on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.busy_s, self.own_s, self.own_bytes = 1000.0, 50.0, GB
        self.clock = FakeClock()
        self.counter_mj = 7_000_000
        self.write()

    def write(self) -> None:
        (self.root / "cpu.stat").write_text(f"usage_usec {round(self.own_s * 1e6)}\nuser_usec 1\n")
        (self.root / "memory.current").write_text(f"{self.own_bytes}\n")

    def run(self, seconds: float, own_s: float, others_s: float) -> None:
        self.clock.advance(seconds)
        self.own_s += own_s
        self.busy_s += own_s + others_s
        self.counter_mj += round(seconds * 100_000)
        self.write()

    def times(self) -> CpuTimes:
        return CpuTimes(self.busy_s, 10_000.0)

    def container(self, name: str = "c1") -> Container:
        return Container(self.root, name)


class Meters:
    """A CPU by counter and a memory by model, of the whole host."""

    name = "meters"

    def __init__(self, host: Host) -> None:
        self.host = host

    def devices(self) -> list[Device]:
        return [
            Device("CPU-h", DeviceKind.CPU, "Xeon (8 cores)", 200_000),
            Device("DRAM-h", DeviceKind.DRAM, "DRAM 8 GB", 20_000),
        ]

    def sample(self) -> list[Sample]:
        at_ns = self.host.clock.monotonic_ns()
        return [
            Sample("CPU-h", at_ns, self.host.counter_mj),
            Sample("DRAM-h", at_ns, power_mw=16_000, power_is_modelled=True),
        ]

    def processes(self, device: str) -> None:
        return None

    def close(self) -> None:
        return None


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def share(host: Host, name: str = "c1") -> ContainerShare:
    return ContainerShare(Meters(host), host.container(name), host.times, 8 * GB)


def risen(samples: list[Sample], later: list[Sample]) -> int:
    return (later[0].counter_mj or 0) - (samples[0].counter_mj or 0)


def test_the_cpu_is_shared_by_busy_time_and_memory_by_what_is_held(host: Host) -> None:
    source = share(host)
    source.devices()
    first = list(source.sample())
    host.run(10.0, own_s=2.0, others_s=6.0)
    second = list(source.sample())
    assert risen(first, second) == 250_000  # a quarter of 100 W for 10 s
    assert second[1].power_mw == 2_000  # an eighth of 16 W
    assert second[1].power_is_modelled


def test_shares_of_all_containers_sum_to_the_host(tmp_path: Path) -> None:
    hosts = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        hosts.append(Host(tmp_path / str(number)))
    sources = [share(host) for host in hosts]
    for source in sources:
        source.devices()
    before = [list(source.sample()) for source in sources]
    own_s = (0.5, 2.0, 1.5)
    for host, own in zip(hosts, own_s, strict=True):
        host.run(10.0, own, sum(own_s) - own)
    after = [list(source.sample()) for source in sources]
    total = sum(risen(a, b) for a, b in zip(before, after, strict=True))
    assert total == pytest.approx(1_000_000, abs=3)


def test_a_container_that_rests_draws_nothing(host: Host) -> None:
    source = share(host)
    source.devices()
    first = list(source.sample())
    host.run(10.0, own_s=0.0, others_s=8.0)
    assert risen(first, list(source.sample())) == 0


def test_a_counter_that_falls_adds_nothing(host: Host) -> None:
    source = share(host)
    source.devices()
    first = list(source.sample())
    host.run(1.0, own_s=1.0, others_s=0.0)
    host.counter_mj = 5
    second = list(source.sample())
    assert risen(first, second) == 0
    host.run(1.0, own_s=1.0, others_s=0.0)
    assert risen(second, list(source.sample())) == 100_000


def test_each_share_is_a_device_of_its_own_with_the_containers_size(host: Host) -> None:
    ids = {device.uuid for name in ("c1", "c2") for device in share(host, name).devices()}
    assert len(ids) == 4
    assert ids.isdisjoint({"CPU-h", "DRAM-h"})
    assert [device.uuid for device in share(host).devices()] == [
        device.uuid for device in share(host).devices()
    ]
    (host.root / "cpu.max").write_text("250000 100000\n")
    (host.root / "memory.max").write_text(f"{2 * GB}\n")
    cpu, dram = share(host).devices()
    assert cpu.model.endswith("(2 cores)")
    assert dram.model == "DRAM 2 GB"
    assert cpu.power_limit_mw is None


def test_all_of_a_share_is_the_containers_processes(host: Host, tmp_path: Path) -> None:
    """And none of the host's, whose processes nobody here can name."""
    proc = tmp_path / "proc"
    write_process(proc, 7, ticks=100)
    reader = ProcfsReader(proc, container=host.container())
    sampler = Sampler([share(host)])
    sampler.refresh()
    sampler.look()
    attributor = Attributor(sampler, ProcessTable(reader))
    attributor.look()
    shares: dict[str, int] = {}
    for second in range(1, 11):
        host.run(1.0, own_s=0.5, others_s=1.5)
        write_process(proc, 7, ticks=100 + 50 * second)
        sampler.look()
        attributor.look()
        for device, closed in sampler.close(host.clock.monotonic_ns()):
            if device.kind is DeviceKind.CPU:
                parts = attributor.shares(device, closed, host.clock.now_ms(), None)
                for who, energy_mj in parts.items():
                    shares[who.name] = shares.get(who.name, 0) + energy_mj
    assert sum(shares.values()) == pytest.approx(250_000, abs=10)
    assert shares.get("unattributed", 0) < 1_000


def write_process(proc: Path, pid: int, ticks: int) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    fields = ["S", "1", *["0"] * 9, str(ticks), "0", "0", "0", *["0"] * 4, "5", "0", "9"]
    (folder / "stat").write_text(f"{pid} (x) {' '.join(fields)} 0 0\n")


def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    for name, text in {
        "cpuacct/cpuacct.usage": "2500000000",
        "memory/memory.usage_in_bytes": "4096",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "cpu/cpu.cfs_quota_us": "150000",
        "cpu/cpu.cfs_period_us": "100000",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    container = Container(tmp_path)
    assert (container.cpu_s(), container.memory_bytes()) == (2.5, 4096)
    assert (container.cores, container.memory_limit_bytes) == (1.5, None)


@pytest.mark.parametrize(
    ("namespace", "files", "found"),
    [
        ("pid:[4026531836]", True, False),  # the host, or hostPID
        ("pid:[4026532000]", True, True),
        ("pid:[4026532000]", False, False),  # the kernel does not tell
    ],
)
def test_a_container_is_told_by_its_processes(
    tmp_path: Path, namespace: str, files: bool, found: bool
) -> None:
    link = tmp_path / "ns"
    link.symlink_to(namespace)
    root = tmp_path / "cgroup"
    root.mkdir()
    if files:
        Host(root)
    assert (own_container(root, link) is not None) == found


def test_no_limit_is_no_size(host: Host) -> None:
    (host.root / "cpu.max").write_text("max 100000\n")
    (host.root / "memory.max").write_text("max\n")
    assert host.container().cores is None
    assert host.container().memory_limit_bytes is None
    assert [device.model for device in share(host).devices()] == ["Xeon (8 cores)", "DRAM 8 GB"]


def test_errors_and_ends_are_those_of_the_meters(host: Host) -> None:
    meters = ScriptedSource(host.clock, [ScriptedMeter("CPU-1")], "rapl")
    source = ContainerShare(meters, host.container(), host.times, 8 * GB)
    source.devices()
    meters.is_gone = True
    with pytest.raises(RuntimeError, match="unloaded"):
        source.sample()
    assert source.processes("CPU-1") is None
    source.close()
