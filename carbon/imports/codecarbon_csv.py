"""`emissions.csv`, as CodeCarbon writes it: a run's totals a line, of some runs several lines.

Times are local and without an offset: the zone is stated. A machine has no name there; what tells
it from another is its system, CPU, cores and memory. What `energy_consumed` was multiplied with
(`pue`) is taken out again.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from carbon.domain.yearly import zone_named
from carbon.errors import InvalidInput
from carbon.imports.harvest import Harvest, content_seq
from carbon.wire.codecarbon import TotalsBody, claimed_ng, parts_mj
from carbon.wire.energy import DeviceInfo, EnergyBatch, EnergyInterval

_NEEDED: Final = ("timestamp", "run_id", "duration", "emissions", "energy_consumed")
_NUMBERS: Final = frozenset(
    field.name
    for field in msgspec.structs.fields(TotalsBody)
    if field.type in (float, float | None)
)
_UNNAMEABLE: Final = re.compile(r"[^\w.:@+-]+")
_KINDS: Final = {"cpu": "cpu_model", "gpu": "gpu_model", "dram": ""}


def read_codecarbon(
    lines: Iterable[str], timezone: ZoneInfo, harvest: Harvest, host: str | None = None
) -> tuple[list[EnergyBatch], float]:
    """(a batch a run, what CodeCarbon itself says that they emitted, g). A line that cannot be
    meant is told by its number, and its energy is in no total. `host` is where they ran, which
    the file does not say.

    Raises InvalidInput(`column_missing`).
    """
    rows = csv.DictReader(lines)
    missing = [name for name in _NEEDED if name not in (rows.fieldnames or ())]
    if missing:
        raise InvalidInput(
            "column_missing", f"no column {missing[0]!r}: is this CodeCarbon's emissions.csv?"
        )
    runs: dict[str, list[tuple[int, TotalsBody]]] = defaultdict(list)
    for number, row in enumerate(rows, 2):
        try:
            totals = _totals(row)
            end_ms = _end_ms(totals.timestamp, timezone)
            parts_mj(totals), claimed_ng(totals.emissions)
        except (ValueError, msgspec.ValidationError, InvalidInput) as error:
            harvest.tell("unreadable_line", f"line {number}", str(error), 0)
            continue
        runs[_run_of(totals, end_ms)].append((end_ms, totals))
    claimed_g = sum(max(totals.emissions for _, totals in told) * 1000 for told in runs.values())
    made = (_batch(run, told, host) for run, told in runs.items())
    return [batch for batch in made if batch.intervals], claimed_g


def _totals(row: Mapping[str, Any]) -> TotalsBody:
    known = {
        name: float(value) if name in _NUMBERS else value
        for name, value in row.items()
        if name in TotalsBody.__struct_fields__ and isinstance(value, str) and value.strip()
    }
    return msgspec.convert(known, TotalsBody)


def _end_ms(text: str, timezone: ZoneInfo) -> int:
    moment = datetime.fromisoformat(text)
    local = moment if moment.tzinfo else moment.replace(tzinfo=timezone)
    return round(local.timestamp() * 1000)


def _run_of(totals: TotalsBody, end_ms: int) -> str:
    """A tracker whose server gave it no id writes `None`: its runs are told apart by their ends."""
    if totals.run_id not in (None, "", "None"):
        return str(totals.run_id)
    return f"{_machine(totals)}/{end_ms}"


def _batch(run: str, told: list[tuple[int, TotalsBody]], host: str | None) -> EnergyBatch:
    """Its lines are totals: each adds what it has beyond the line before."""
    told = sorted(told, key=lambda line: line[1].duration)
    last = told[-1][1]
    machine = f"{host}/codecarbon" if host else _machine(last)
    start_ms = told[0][0] - round(told[0][1].duration * 1000)
    nothing = msgspec.structs.replace(last, duration=0.0, **dict.fromkeys(_ENERGIES, 0.0))
    intervals = []
    before_ms = start_ms
    for (_, before), (end_ms, totals) in pairwise([(start_ms, nothing), *told]):
        parts = parts_mj(totals)
        known = parts_mj(before)
        if end_ms <= before_ms:
            continue
        intervals += [
            EnergyInterval(
                f"{machine}/{kind}",
                before_ms,
                end_ms,
                max(0, mj - known.get(kind, 0)),
                "imported",
                _UNNAMEABLE.sub("-", last.project_name)[:99].strip("-") or "codecarbon",
                run,
            )
            for kind, mj in parts.items()
        ]
        before_ms = end_ms
    batch = EnergyBatch(
        source="codecarbon-csv",
        boot_id=run,
        seq=0,
        intervals=intervals,
        host=host or machine,
        zone=zone_named(last.country_name),
        zone_is_guess=True,
        devices=[
            DeviceInfo(f"{machine}/{kind}", kind, _model(last, model), True)
            for kind, model in _KINDS.items()
            if kind in parts_mj(last)
        ],
        is_import=True,
    )
    return msgspec.structs.replace(batch, seq=content_seq(msgspec.json.encode(batch)))


def _model(totals: TotalsBody, member: str) -> str:
    return str(getattr(totals, member) or "")[:200] if member else ""


_ENERGIES: Final = ("cpu_energy", "gpu_energy", "ram_energy", "energy_consumed")


def _machine(totals: TotalsBody) -> str:
    told = (totals.os, totals.cpu_model, totals.cpu_count, totals.ram_total_size)
    return f"codecarbon:{blake2b(repr(told).encode(), digest_size=6).hexdigest()}"
