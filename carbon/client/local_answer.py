"""A run's score without a server: measured energy, the bundled yearly intensity, shipped factors.

The server's answer supersedes it once the run is delivered, with the intensity of the minute.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from carbon.client.options import local_options
from carbon.client.run import RunRecord
from carbon.clock import to_rfc3339
from carbon.domain.embodied import EmbodiedCharge, embodied_ng
from carbon.domain.emissions import operational_ng
from carbon.domain.energy import Method
from carbon.domain.factor_table import LIFESPAN
from carbon.domain.factors import factor_for_device
from carbon.domain.intensity import PointKind
from carbon.domain.sci import Charge, score
from carbon.domain.units import PPM
from carbon.domain.yearly import YearlyFigure, yearly_intensity
from carbon.errors import NotFound


def local_answer(record: RunRecord, unit: str | None) -> dict[str, Any]:
    """The keys of the SCI answer, flagged `local_estimate`; `input_hash` is null."""
    figure = _yearly(local_options().zone)
    charges = [
        Charge(
            device=interval.device,
            method=Method.of(interval.method),
            zone=figure.zone,
            energy_mj=interval.energy_mj,
            operational_ng=operational_ng(interval.energy_mj, figure.g_per_kwh),
            covered_ms=interval.end_ms - interval.start_ms,
            intensity_kind=PointKind.YEARLY,
            pue_is_stated=False,
        )
        for interval in record.intervals
    ]
    embodied = list(_embodied(record))
    unit = unit or "run"
    count = record.units.get(unit, 1 if unit == "run" else 0)
    result = score(charges, embodied, count)
    return {
        "workload": record.workload,
        "start": to_rfc3339(record.start_ms),
        "end": to_rfc3339(record.end_ms),
        "unit": unit,
        "count": count,
        "count_set_aside": 0,
        "energy_mj": result.energy_mj,
        "measured_g": result.measured_g,
        "estimated_g": result.estimated_g,
        "operational_g": result.operational_g,
        "embodied_g": result.embodied_g,
        "total_g": result.total_g,
        "sci_g_per_unit": result.sci_g_per_unit,
        "low": result.low,
        "high": result.high,
        **({"reason": str(result.reason)} if result.reason else {}),
        "coverage": _coverage(record),
        "methods": result.methods,
        "zones": list(result.zones),
        "boundary": {"version": 0},
        "factors": sorted({charge.factor.id for charge in embodied}),
        "intensity": _intensity(figure),
        "flags": _flags(record, figure),
        "input_hash": None,
    }


def _yearly(zone: str | None) -> YearlyFigure:
    try:
        return yearly_intensity(zone)
    except NotFound:
        return yearly_intensity(None)


def _intensity(figure: YearlyFigure) -> list[dict[str, Any]]:
    return [
        {
            "zone": figure.zone,
            "source": f"bundled-{figure.year}",
            "signal": "average",
            "scope": str(figure.scope),
            "kind": str(PointKind.YEARLY),
            "flags": list(figure.flags),
            "energy_share": 1.0,
        }
    ]


def _embodied(record: RunRecord) -> Iterable[EmbodiedCharge]:
    """Each device's time, by the run's share of what the device drew meanwhile."""
    drawn: dict[str, int] = {}
    for interval in record.intervals:
        drawn[interval.device] = drawn.get(interval.device, 0) + interval.energy_mj
    duration_ms = record.end_ms - record.start_ms
    for used in {used.device: used for used in record.sources}.values():
        if used.device_energy_mj and used.device in drawn:
            part_mj = drawn[used.device]
            share_ppm = PPM * part_mj // max(used.device_energy_mj, part_mj)
            factor = factor_for_device(used.kind, used.model)
            lifespan_ms = LIFESPAN.duration_ms
            mass_ng = embodied_ng(factor.total_g, duration_ms, lifespan_ms, share_ppm)
            yield EmbodiedCharge(used.device, mass_ng, factor, LIFESPAN)


def _flags(record: RunRecord, figure: YearlyFigure) -> list[str]:
    flags = {"local_estimate", "pue_unset", *figure.flags}
    if any(used.device_energy_mj is None for used in record.sources):
        flags.add("embodied_incomplete")
    return sorted(flags)


def _coverage(record: RunRecord) -> float | None:
    devices = {interval.device for interval in record.intervals}
    expected = len(devices) * (record.end_ms - record.start_ms)
    covered = sum(interval.end_ms - interval.start_ms for interval in record.intervals)
    return min(1.0, covered / expected) if expected > 0 else None
