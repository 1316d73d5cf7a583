"""M of a workload: which factors its devices' reserved time is charged by."""

from __future__ import annotations

from collections.abc import Sequence

from carbon.domain.embodied import EmbodiedCharge, embodied_ng
from carbon.domain.factor import Factor
from carbon.domain.factor_book import FactorBook, Holding
from carbon.storage.ledger_rows import DeviceRef, LedgerRow


def held_ms(rows: Sequence[LedgerRow]) -> list[tuple[int, int]]:
    """(device, reserved time) in order of device."""
    held: dict[int, int] = {}
    for row in rows:
        held[row.device_id] = held.get(row.device_id, 0) + row.reserved_ms
    return sorted(held.items())


def embodied_charges(
    book: FactorBook,
    device_id: int,
    device: DeviceRef,
    reserved_ms: int,
    start_ms: int,
    end_ms: int,
) -> list[EmbodiedCharge]:
    """M of a device's reserved time in a window; where a factor changes inside of it, by the
    share of the window for which each holds."""
    if not reserved_ms:
        return []
    end_ms = max(end_ms, start_ms + 1)  # a moment may have been snapped outward to its bucket
    charges, so_far = [], 0
    for factor, lifespan, until_ms in _holding(book, device, start_ms, end_ms):
        part_ms = reserved_ms * (until_ms - start_ms) // (end_ms - start_ms) - so_far
        so_far += part_ms
        mass_ng = embodied_ng(factor.total_g, part_ms, lifespan.duration_ms)
        charges.append(EmbodiedCharge(device_id, mass_ng, factor, lifespan, part_ms))
    return charges


def _holding(
    book: FactorBook, device: DeviceRef, start_ms: int, end_ms: int
) -> list[tuple[Factor, Factor, int]]:
    """(embodied factor, lifespan, until when) over a window, in order of time."""
    embodied = book.for_device(device.kind, device.model, start_ms, end_ms)
    lifespans = book.lifespan(start_ms, end_ms)
    cuts = sorted({held.end_ms for held in (*embodied, *lifespans)})
    return [(_until(embodied, cut), _until(lifespans, cut), cut) for cut in cuts]


def _until(held: Sequence[Holding], end_ms: int) -> Factor:
    return next(one.factor for one in held if one.start_ms < end_ms <= one.end_ms)
