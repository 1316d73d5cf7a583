"""Components that nobody meters: network, storage, other people's APIs. Always `modelled`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import msgspec
from sqlalchemy import Connection

from carbon.domain.emissions import operational_ng
from carbon.domain.energy import Method
from carbon.domain.intensity import EmissionScope, PointKind, Signal, mean_g_per_kwh
from carbon.domain.principal import Principal
from carbon.domain.units import NG_PER_G, energy_mj
from carbon.domain.yearly import WORLD
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.grid.intensity import points_of
from carbon.services.sci.counting import counted_of
from carbon.services.sci.question import known_workload
from carbon.services.sci.window_ledger import Ledger, Scope
from carbon.storage.components import components_of, insert_component
from carbon.storage.engine import reading, writing
from carbon.storage.ledger_rows import DeviceRef, LedgerRow, RowKey
from carbon.storage.ratings import Rating, rating_of
from carbon.storage.unit_counts import units_of
from carbon.wire.components import ComponentBody, ComponentList

#: Ids of what is no device lie below 0.
_FIRST = -1


def record_component(context: Context, principal: Principal, body: ComponentBody) -> ComponentList:
    """Raises NotFound(`unknown_workload`) and InvalidInput (`unknown_unit`, `stated_twice`,
    `missing_figure`, `bounds`)."""
    _check(body)
    name = principal.workload(body.workload)
    with writing(context.engine) as connection:
        workload_id = known_workload(connection, principal, name)
        known = units_of(connection, workload_id)
        if body.unit not in known:
            told = ", ".join(known) or "none yet"
            raise InvalidInput("unknown_unit", f"{name} has no unit {body.unit!r}; it has {told}")
        kept = msgspec.structs.replace(body, workload=str(name))
        text = msgspec.json.encode(kept).decode()
        insert_component(connection, workload_id, body.name, text, context.clock.now_ms())
        return ComponentList(str(name), list(_holding(connection, workload_id)))


def list_components(context: Context, principal: Principal, workload: str) -> ComponentList:
    name = principal.workload(workload)
    with reading(context.engine) as connection:
        workload_id = known_workload(connection, principal, name)
        return ComponentList(str(name), list(_holding(connection, workload_id)))


def _check(body: ComponentBody) -> None:
    if body.kwh_per_unit is not None and body.g_per_unit is not None:
        raise InvalidInput("stated_twice", f"{body.name}: state kwh_per_unit or g_per_unit")
    value = body.kwh_per_unit if body.g_per_unit is None else body.g_per_unit
    if value is None:
        raise InvalidInput("missing_figure", f"{body.name}: state kwh_per_unit or g_per_unit")
    if not 0 <= body.low <= value <= body.high < math.inf or value == 0:
        raise InvalidInput("bounds", f"{body.name}: give low <= value <= high, and a value above 0")


def _holding(connection: Connection, workload_id: int) -> Iterator[ComponentBody]:
    for text in components_of(connection, workload_id).values():
        body = msgspec.json.decode(text, type=ComponentBody)
        if not body.retired:
            yield body


def with_components(scope: Scope, ledger: Ledger) -> Ledger:
    """The window with what its units caused elsewhere; the units of an account without any
    meter all count."""
    if scope.subject_id is not None:
        return ledger
    held = list(_holding(scope.connection, scope.workload_id))
    if not held:
        return ledger
    ledger = replace(ledger, counts_all=not any(row.energy_mj for row in ledger.rows))
    units = units_of(scope.connection, scope.workload_id)
    rows: list[LedgerRow] = []
    devices: dict[int, DeviceRef] = {}
    bounds: dict[RowKey, tuple[int, int]] = {}
    for place, body in enumerate(sorted(held, key=lambda one: one.name)):
        amount, _ = counted_of(scope, ledger, units[body.unit])
        if amount:
            row, low, high = _row(scope, ledger, _FIRST - place, body, amount)
            rows.append(row)
            bounds[row.key] = (min(low, row.operational_ng), max(high, row.operational_ng))
            devices[row.device_id] = DeviceRef(f"component/{body.name}", body.kind, body.source)
    return _with_rows(scope, ledger, rows, devices, bounds)


def _with_rows(
    scope: Scope,
    ledger: Ledger,
    rows: list[LedgerRow],
    devices: Mapping[int, DeviceRef],
    bounds: Mapping[RowKey, tuple[int, int]],
) -> Ledger:
    return replace(
        ledger,
        rows=[*ledger.rows, *rows],
        added_rows=[*ledger.added_rows, *rows],
        devices={**ledger.devices, **devices},
        ratings=scope.ratings.by_id,
        bounds={**ledger.bounds, **bounds},
        flags=(*ledger.flags, "modelled_components") if rows else ledger.flags,
    )


def _row(
    scope: Scope, ledger: Ledger, id_: int, body: ComponentBody, amount: int | float
) -> tuple[LedgerRow, int, int]:
    """(row, low_ng, high_ng). Energy takes the window's mean intensity of its zone: when in the
    window others spent it is not known."""
    zone = body.zone or scope.context.settings.zone or WORLD
    if body.kwh_per_unit is None:
        value = body.g_per_unit or 0.0
        average, life = str(Signal.AVERAGE), str(EmissionScope.LIFECYCLE)
        rating = Rating(zone, body.source, average, life, str(PointKind.ESTIMATED), ("component",))
        spent_mj, ng = 0, round(value * amount * NG_PER_G)
    else:
        value = body.kwh_per_unit
        start_ms, end_ms = ledger.start_ms, max(ledger.end_ms, ledger.start_ms + 1)
        signal = scope.question.signal or Signal.AVERAGE
        points = points_of(scope.connection, zone, start_ms, end_ms, signal, scope.question.scope)
        mean = mean_g_per_kwh(points, start_ms, end_ms) if points else None
        if mean is None:
            raise InvalidInput("missing_intensity", f"{body.name}: no intensity of {zone} holds")
        rating = rating_of(zone, points[0], ("component",))
        spent_mj = energy_mj(value * amount)
        ng = operational_ng(spent_mj, mean)
    row = LedgerRow(id_, 0, int(Method.MODELLED), scope.ratings.id_of(rating), spent_mj, ng, 0, 0)
    return row, int(ng * body.low / value), math.ceil(ng * body.high / value)
