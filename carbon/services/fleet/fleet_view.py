"""Is it reading my GPU? Devices with what they draw, and the senders behind them."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from carbon.domain.energy import MeterKind
from carbon.domain.principal import Principal
from carbon.services.context import Context
from carbon.services.fleet.live_power import DevicePower, LivePower, live_power
from carbon.services.fleet.power_columns import SILENT_AFTER_MS
from carbon.storage.dirty import count_dirty
from carbon.storage.engine import reading
from carbon.storage.identities import workload_names
from carbon.storage.screens import SourceLine, sources

_STRONGEST: Final = 10
_UNHEARD: Final = 20


class Sender(Struct, frozen=True):
    name: str
    kind: str
    last_seen_ms: int | None
    #: The sender's clock less ours.
    skew_s: float | None
    #: Batches that waited in its spool when it was last heard; null where it does not tell.
    spooled: int | None
    is_silent: bool


class FleetView(Struct, frozen=True):
    generated_ms: int
    timezone: str
    #: Sums of the fleet; the devices are those that were looked for.
    power: LivePower
    #: What was looked for in a device's name, model or host; empty for all.
    looked_for: str
    #: Devices that draw most, the strongest first.
    strongest: list[DevicePower]
    #: Devices not heard for 2 minutes, the first of them.
    unheard: list[DevicePower]
    #: Of the whole deployment; empty for a single team.
    senders: list[Sender]
    silent_senders: int
    #: Batches that wait at all senders that tell; null where none does.
    spooled: int | None
    #: 5-minute buckets whose roll-up is behind.
    buckets_behind: int


def fleet_view(context: Context, principal: Principal, looked_for: str = "") -> FleetView:
    now_ms = context.clock.now_ms()
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        own = (
            None if team is None else frozenset(id_ for id_, _ in workload_names(connection, team))
        )
        power = live_power(connection, now_ms, own)
        heard = [_sender(line, now_ms) for line in sources(connection)] if team is None else []
        behind = count_dirty(connection)
    return FleetView(
        now_ms,
        context.settings.timezone,
        replace(power, devices=_found(power.devices, looked_for)),
        looked_for,
        [device for device in power.devices[:_STRONGEST] if device.power_w is not None],
        [device for device in power.devices if device.power_w is None][:_UNHEARD],
        heard,
        sum(sender.is_silent for sender in heard),
        _waiting(heard),
        behind,
    )


def _found(devices: list[DevicePower], looked_for: str) -> list[DevicePower]:
    text = looked_for.casefold()
    return [d for d in devices if text in f"{d.device} {d.model} {d.host}".casefold()]


def _waiting(senders: list[Sender]) -> int | None:
    told = [sender.spooled for sender in senders if sender.spooled is not None]
    return sum(told) if told else None


def _sender(line: SourceLine, now_ms: int) -> Sender:
    seen = line.last_seen_ms
    return Sender(
        line.name,
        MeterKind(line.kind).name.lower(),
        seen,
        None if line.skew_ms is None else line.skew_ms / 1000,
        line.spooled,
        seen is None or seen < now_ms - SILENT_AFTER_MS,
    )
