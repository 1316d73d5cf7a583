"""`carbon db restate`: months of teams computed anew from their readings, here or on Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from carbon.cli.choices import ScopeOption, SignalOption, choice
from carbon.cli.engine import EngineOption, engine_of, on
from carbon.cli.output import energy, mass, print_json
from carbon.cli.up import DataDir, Db, settings_with
from carbon.domain.intensity import EmissionScope, Signal
from carbon.domain.units import grams
from carbon.errors import InvalidInput

if TYPE_CHECKING:
    from carbon.services.rollup.recomputing import Recomputed


def restate(
    start: Annotated[str, typer.Option(help="RFC 3339.")],
    end: Annotated[str, typer.Option(help="RFC 3339.")],
    signal: SignalOption = "average",
    scope: ScopeOption = None,
    engine: EngineOption = "local",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    db: Db = None,
    data_dir: DataDir = None,
) -> None:
    """Compute each team's months anew from raw readings, sealed ones too, beside what the ledger
    says. Nothing is changed; exit 1 where the energy differs."""
    from carbon.app import open_context
    from carbon.services.rollup.recomputing import Priced, recompute

    where = engine_of(engine)
    priced = Priced(
        choice(Signal, signal, "--signal"),
        None if scope is None else choice(EmissionScope, scope, "--scope"),
    )
    context = open_context(settings_with(db_url=db, data_dir=data_dir))
    with on(where) as each:
        found = recompute(context, _time("--start", start), _time("--end", end), priced, each)
    if json:
        print_json({"months": found})
    else:
        for one in found:
            typer.echo(_line(one))
    raise typer.Exit(int(any(one.energy_mj != one.recomputed_energy_mj for one in found)))


def _time(option: str, text: str) -> int:
    """Raises InvalidInput(`invalid_time`)."""
    from carbon.clock import from_rfc3339

    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise InvalidInput("invalid_time", f"{option}: {error}") from None


def _line(one: Recomputed) -> str:
    said = f"{energy(one.energy_mj)}, {mass(grams(one.operational_ng))}"
    new = f"{energy(one.recomputed_energy_mj)}, {mass(grams(one.recomputed_operational_ng))}"
    left_out = f"  ({one.without_readings} without readings)" if one.without_readings else ""
    return f"{one.team}  {one.start} to {one.end}  {said} -> {new}{left_out}"
