"""A workload's functional units: named, defined, and converted from one another."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from carbon.domain.functional_unit import Conversion, UnitDefinition, check_definition
from carbon.errors import Conflicting, InvalidInput
from carbon.services.sci.counting import DEVICE_HOUR, RUN
from carbon.storage.identities import Identities
from carbon.storage.unit_counts import units_of
from carbon.storage.unit_definitions import (
    definition_of,
    definitions_of,
    insert_definition,
    is_counted,
)
from carbon.wire.workloads import UnitBody, UnitMeaning


def set_units(ids: Identities, workload_id: int, units: Sequence[str | UnitBody]) -> None:
    """Adds units, and defines those that are said with more than their name. Said again in the
    same words it is recorded once.

    Raises those of `check_definition`, InvalidInput(`derived_unit`) and Conflicting
    (`unit_is_counted`, of a conversion of what has counts of its own).
    """
    for unit in units:
        name = unit if isinstance(unit, str) else unit.name
        if name in (RUN, DEVICE_HOUR):  # every workload has these
            if not isinstance(unit, str):
                raise InvalidInput("derived_unit", f"{name} is defined and counted by the ledger")
            continue
        unit_id = ids.unit(workload_id, name)
        if isinstance(unit, UnitBody):
            _define(ids, workload_id, unit_id, unit)


def _define(ids: Identities, workload_id: int, unit_id: int, body: UnitBody) -> None:
    connection = ids.connection
    stated = body.converted
    made = UnitDefinition(
        body.definition,
        body.basis,
        Conversion(stated.of, stated.factor, stated.source) if stated else None,
    )
    defined = definitions_of(connection, workload_id)
    others = {name: defined.get(name) for name in units_of(connection, workload_id)}
    check_definition(body.name, made, others)
    if made.conversion is not None and is_counted(connection, unit_id):
        raise Conflicting(
            "unit_is_counted", f"{body.name} has counts of its own, which a conversion would hide"
        )
    if definition_of(connection, unit_id) != made:
        insert_definition(connection, unit_id, made, ids.now_ms)


def meanings_of(connection: Connection, workload_id: int) -> list[UnitMeaning]:
    defined = definitions_of(connection, workload_id)
    return [
        meaning(name, defined[name])
        for name in units_of(connection, workload_id)
        if name in defined
    ]


def meaning(name: str, made: UnitDefinition) -> UnitMeaning:
    conversion = made.conversion
    return UnitMeaning(
        name,
        made.definition,
        str(made.basis) if made.basis else None,
        conversion.of if conversion else None,
        conversion.factor if conversion else None,
        conversion.source if conversion else None,
    )
