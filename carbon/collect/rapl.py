"""CPU packages and memory by the kernel's RAPL counters (powercap, Intel and AMD)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from carbon.clock import Clock, SystemClock
from carbon.collect.machine import (
    CPUINFO,
    cpu_cores,
    cpu_name,
    cpu_text,
    dram_text,
    machine_id,
    memory_bytes,
    part_uuid,
    socket_ids,
)
from carbon.collect.source import Device, DeviceKind, ProcessUse, Sample
from carbon.errors import Unavailable

POWERCAP: Final = Path("/sys/class/powercap")
#: `intel-rapl:0` is a zone, `intel-rapl:0:1` a part of it. The same counters by another way
#: (intel-rapl-mmio) do not match.
_ZONE: Final = re.compile(r"intel-rapl:(\d+)(?::\d+)?")
_PACKAGE: Final = re.compile(r"package-(\d+)(-die-\d+)?")
#: Readable by root alone since CVE-2020-8694.
MEND: Final = (
    "`sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj` (until the next boot), "
    "deploy/99-carbon-rapl.rules in /etc/udev/rules.d (for good), or run the agent as root"
)


class _Zone(Struct):
    """One counter and how far it has come, in µJ over all its wraps."""

    folder: Path
    device: Device
    range_uj: int
    last_uj: int
    risen_uj: int

    def advance(self) -> int:
        """The counter in mJ, rising over wraps. The µJ below a mJ stay for the next look."""
        now_uj = read_int(self.folder / "energy_uj")
        wrapped_uj = self.range_uj if now_uj < self.last_uj else 0
        self.risen_uj += now_uj - self.last_uj + wrapped_uj
        self.last_uj = now_uj
        return self.risen_uj // 1000


class RaplSource:
    """Packages and DRAM, each physical counter once.

    Raises Unavailable `rapl_absent` on a machine without RAPL, `rapl_unreadable` where it may
    not be read. A counter's range is 65 kJ or more, so it must be looked at each minute: of
    two wraps between looks only one can be seen.
    """

    name = "rapl"

    def __init__(
        self,
        root: Path | None = None,
        machine: str | None = None,
        clock: Clock | None = None,
        cpuinfo: Path = CPUINFO,
    ) -> None:
        self._clock = clock or SystemClock()
        root = root or powercap_dir()
        sockets = len(socket_ids(cpuinfo))
        self._cpu_text = cpu_text(cpu_name(cpuinfo), cpu_cores(cpuinfo), sockets)
        self._dram_text = dram_text(memory_bytes(), sockets)
        self._machine = machine or machine_id()
        self._zones = _without_mirrors(list(self._find(root)))
        if not self._zones:
            raise Unavailable("rapl_absent", f"no RAPL counters below {root}")

    def devices(self) -> Sequence[Device]:
        """The counters found at the start: sockets do not come and go."""
        return [zone.device for zone in self._zones]

    def sample(self) -> Sequence[Sample]:
        samples, trouble = [], None
        for zone in self._zones:
            try:
                counter_mj = zone.advance()
            except (OSError, ValueError) as error:
                trouble = error
                continue
            samples.append(Sample(zone.device.uuid, self._clock.monotonic_ns(), counter_mj))
        if trouble is not None and not samples:
            raise Unavailable("rapl_unreadable", f"no RAPL counter answers: {trouble}")
        return samples

    def processes(self, device: str) -> Sequence[ProcessUse] | None:
        return None

    def close(self) -> None:
        return None

    def _find(self, root: Path) -> Iterator[_Zone]:
        taken: set[str] = set()
        for folder in _zone_folders(root):
            part = _part_of(folder)
            if part is None or part in taken:
                continue
            taken.add(part)
            yield self._open(folder, part)

    def _open(self, folder: Path, part: str) -> _Zone:
        try:
            now_uj, range_uj = (
                read_int(folder / "energy_uj"),
                read_int(folder / "max_energy_range_uj"),
            )
        except PermissionError as error:
            detail = f"{folder.name} may not be read: {MEND}"
            raise Unavailable("rapl_unreadable", detail) from error
        except (OSError, ValueError) as error:
            raise Unavailable(
                "rapl_unreadable", f"{folder.name} does not answer: {error}"
            ) from error
        is_dram = part.startswith("dram")
        kind = DeviceKind.DRAM if is_dram else DeviceKind.CPU
        model = self._dram_text if is_dram else self._cpu_text
        device = Device(part_uuid(self._machine, part), kind, model, _limit_mw(folder))
        return _Zone(folder, device, range_uj, last_uj=now_uj, risen_uj=now_uj)


def powercap_dir() -> Path:
    """CARBON_POWERCAP is for containers, whose own /sys hides it."""
    return Path(os.environ.get("CARBON_POWERCAP", POWERCAP))


def read_int(path: Path) -> int:
    return int(path.read_text())


def _zone_folders(root: Path) -> list[Path]:
    try:
        found = [folder for folder in root.iterdir() if _ZONE.fullmatch(folder.name)]
    except OSError:
        return []
    return sorted(found, key=lambda folder: [int(n) for n in folder.name.split(":")[1:]])


def _part_of(folder: Path) -> str | None:
    """`package-0`, `package-0-die-1`, `dram-0`; None for parts of a package (core, uncore) and
    for psys, which holds the packages."""
    name = _name(folder)
    if name is None or _PACKAGE.fullmatch(name):
        return name
    if name != "dram":
        return None
    parent = folder.name.rpartition(":")[0]
    package = _name(folder.with_name(parent)) or ""
    return "dram" + package.removeprefix("package")


def _name(folder: Path) -> str | None:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return None


def _limit_mw(folder: Path) -> int | None:
    """The highest of a zone's power limits; the short-term one is the bound of one sample."""
    limits_uw = []
    for path in folder.glob("constraint_*_power_limit_uw"):
        try:
            limits_uw.append(read_int(path))
        except (OSError, ValueError):
            continue
    return max(limits_uw, default=0) // 1000 or None


def _without_mirrors(zones: Sequence[_Zone]) -> list[_Zone]:
    """Leaves out counters that show another's energy, as the dies of some AMD sockets do."""
    kept: list[_Zone] = []
    for zone in zones:
        if not any(_mirrors(zone, other) for other in kept):
            kept.append(zone)
    return kept


def _mirrors(zone: _Zone, other: _Zone) -> bool:
    """A reading that lies between two readings of the other taken around it, a few µJ apart, is
    the other's counter. A counter at zero says nothing."""
    if zone.device.kind is not other.device.kind:
        return False
    try:
        before_uj = read_int(other.folder / "energy_uj")
        between_uj = read_int(zone.folder / "energy_uj")
        after_uj = read_int(other.folder / "energy_uj")
    except (OSError, ValueError):
        return False
    return 0 < before_uj <= between_uj <= after_uj
