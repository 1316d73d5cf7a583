"""M of a workload: which factors its devices' reserved time is charged by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from carbon.domain.embodied import EmbodiedCharge, embodied_ng, end_of_life_ms
from carbon.domain.factor import Factor
from carbon.domain.factor_book import FactorBook, Hardware, Holding
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
    """M of a device's reserved time in a window, with its part of the server that is around it;
    where a factor changes inside of the window, or the device reaches the end of its expected
    life, by the share of the window for which each holds."""
    if not reserved_ms:
        return []
    window = start_ms, max(end_ms, start_ms + 1)  # a moment may have been snapped to its bucket
    charges: list[EmbodiedCharge] = []
    if device.server is None or not device.server.is_inside:
        own = Hardware(device.kind, device.model, device.uuid, device.host)
        charges += _charges(book, device_id, device, own, reserved_ms, *window)
    if device.server is not None and device.server.shared_by:
        around = Hardware("server", device.server.model, host=device.host)
        charges += _charges(
            book, device_id, device, around, reserved_ms, *window, device.server.shared_by
        )
    return charges


def _charges(
    book: FactorBook,
    device_id: int,
    device: DeviceRef,
    made: Hardware,
    reserved_ms: int,
    start_ms: int,
    end_ms: int,
    shared_by: int = 0,
) -> Iterator[EmbodiedCharge]:
    """Of a device itself; with `shared_by`, of its server."""
    so_far = 0
    for factor, lifespan, until_ms, past_life in _holding(book, device, made, start_ms, end_ms):
        part_ms = reserved_ms * (until_ms - start_ms) // (end_ms - start_ms) - so_far
        so_far += part_ms
        years_ms = lifespan.duration_ms
        mass_ng = embodied_ng(factor.total_g, part_ms, years_ms, shared_by=shared_by or 1)
        yield EmbodiedCharge(
            device_id,
            0 if past_life else mass_ng,
            factor,
            lifespan,
            part_ms,
            past_life,
            made.model if shared_by else "",
            shared_by or 1,
        )


def _holding(
    book: FactorBook, device: DeviceRef, made: Hardware, start_ms: int, end_ms: int
) -> list[tuple[Factor, Factor, int, bool]]:
    """(embodied factor, lifespan, until when, past its life) over a window, in order of time."""
    embodied = book.for_device(made.kind, made.model, start_ms, end_ms)
    lifespans = book.lifespan(made, start_ms, end_ms)
    ends = [_end_of_life(device, held.factor) for held in lifespans]
    inside = [at_ms for at_ms in ends if at_ms is not None and start_ms < at_ms < end_ms]
    found = []
    for cut in sorted({held.end_ms for held in (*embodied, *lifespans)} | set(inside)):
        lifespan = _until(lifespans, cut)
        end_of_life = _end_of_life(device, lifespan)
        past_life = end_of_life is not None and cut > end_of_life
        found.append((_until(embodied, cut), lifespan, cut, past_life))
    return found


def _end_of_life(device: DeviceRef, lifespan: Factor) -> int | None:
    if device.commissioned_ms is None:
        return None
    return end_of_life_ms(device.commissioned_ms, lifespan.duration_ms)


def _until(held: Sequence[Holding], end_ms: int) -> Factor:
    """What holds up to a moment of the window."""
    return next(one.factor for one in held if one.start_ms < end_ms <= one.end_ms)
