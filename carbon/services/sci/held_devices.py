"""M of a workload: which factors its devices' reserved time is charged by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from carbon.domain.embodied import EmbodiedCharge, embodied_ratio, end_of_life_ms
from carbon.domain.factor import Factor
from carbon.domain.factor_book import FactorBook, Hardware, Holding
from carbon.domain.sci import embodied_sources
from carbon.domain.uncertainty import Source
from carbon.storage.ledger_rows import DeviceRef, LedgerRow


def held_ms(rows: Sequence[LedgerRow]) -> list[tuple[int, int]]:
    """(device, reserved time) in order of device."""
    held: dict[int, int] = {}
    for row in rows:
        held[row.device_id] = held.get(row.device_id, 0) + row.reserved_ms
    return sorted(held.items())


@dataclass(frozen=True, slots=True)
class Share:
    """What the making of a device, or of the server around it, charges to time reserved within a
    part of a window: from one factor, lifespan or end of life to the next."""

    factor: Factor
    lifespan: Factor
    #: Of the window [start, end) the time until this part begins, until it ends, and all.
    begins_ms: int
    until_ms: int
    window_ms: int
    past_life: bool
    #: Model of the server and among how many it is divided; empty and 1 for a device's own.
    server: str
    shared_by: int
    #: ng over ms.
    ratio: tuple[int, int]
    lifespan_ms: int

    @property
    def sources(self) -> tuple[Source, Source]:
        """Of error."""
        return embodied_sources(self.factor, self.lifespan)


def shares_of(book: FactorBook, device: DeviceRef, start_ms: int, end_ms: int) -> list[Share]:
    """How a device's reserved time in a window is charged, with its part of the server that is
    around it; where a factor changes inside of the window, or the device reaches the end of its
    expected life, by the share of the window for which each holds."""
    window = start_ms, max(end_ms, start_ms + 1)  # a moment may have been snapped to its bucket
    shares: list[Share] = []
    if device.server is None or not device.server.is_inside:
        own = Hardware(device.kind, device.model, device.uuid, device.host)
        shares += _shares(book, device, own, *window)
    if device.server is not None and device.server.shared_by:
        around = Hardware("server", device.server.model, host=device.host)
        shares += _shares(book, device, around, *window, device.server.shared_by)
    return shares


def charged(shares: Iterable[Share], reserved_ms: int) -> Iterator[tuple[Share, int, int]]:
    """(share, the reserved time in it, ng)."""
    for share in shares:
        # As a difference, so that the parts sum to the whole.
        begins, until = share.begins_ms, share.until_ms
        part_ms = reserved_ms * until // share.window_ms - reserved_ms * begins // share.window_ms
        ng, per_ms = share.ratio
        mass_ng = 0 if share.past_life else ng * min(part_ms, share.lifespan_ms) // per_ms
        yield share, part_ms, mass_ng


def embodied_charges(
    book: FactorBook,
    device_id: int,
    device: DeviceRef,
    reserved_ms: int,
    start_ms: int,
    end_ms: int,
) -> list[EmbodiedCharge]:
    """M of a device's reserved time in a window."""
    if not reserved_ms:
        return []
    return [
        EmbodiedCharge(
            device_id,
            mass_ng,
            share.factor,
            share.lifespan,
            part_ms,
            share.past_life,
            share.server,
            share.shared_by,
        )
        for share, part_ms, mass_ng in charged(
            shares_of(book, device, start_ms, end_ms), reserved_ms
        )
    ]


def _shares(
    book: FactorBook,
    device: DeviceRef,
    made: Hardware,
    start_ms: int,
    end_ms: int,
    shared_by: int = 0,
) -> Iterator[Share]:
    """Of a device itself; with `shared_by`, of its server."""
    begins_ms = 0
    for factor, lifespan, until, past_life in _holding(book, device, made, start_ms, end_ms):
        years_ms = lifespan.duration_ms
        yield Share(
            factor,
            lifespan,
            begins_ms,
            until - start_ms,
            end_ms - start_ms,
            past_life,
            made.model if shared_by else "",
            shared_by or 1,
            embodied_ratio(factor.total_g, years_ms, shared_by or 1),
            years_ms,
        )
        begins_ms = until - start_ms


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
