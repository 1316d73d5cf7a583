"""`carbon db`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carbon.cli.db_reader import reader
from carbon.cli.db_restate import restate
from carbon.cli.output import print_json
from carbon.cli.up import DataDir, Db, settings_with
from carbon.errors import InvalidInput

database = typer.Typer(help="The ledger's database.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(database, name="db")
    for command in (restate, reader):
        database.command()(command)


@database.command()
def upgrade(db: Db = None, data_dir: DataDir = None) -> None:
    """Bring the schema to the newest revision; refuses one that is newer than this carbon."""
    from carbon.storage.engine import create_engine
    from carbon.storage.migrations import head_revision
    from carbon.storage.migrations import upgrade as to_head

    settings = settings_with(db_url=db, data_dir=data_dir)
    to_head(create_engine(settings.database_url))
    typer.echo(f"schema is at {head_revision()}")


@database.command("erase-team")
def erase_team(
    team: str,
    yes: Annotated[bool, typer.Option("--yes", help="It is final, and I mean it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    db: Db = None,
    data_dir: DataDir = None,
) -> None:
    """Take a team's names out of the ledger for good; numbers and the audit log's proof stay."""
    from carbon.app import open_context
    from carbon.services.reports.erasure import erase_team as erase

    if not yes:
        raise InvalidInput("not_confirmed", f"{team} is erased for good: say --yes")
    erased = erase(open_context(settings_with(db_url=db, data_dir=data_dir)), team, "local")
    if json:
        print_json(erased)
    else:
        typer.echo(f"{team} is {erased.team} now; {len(erased.documents)} documents are gone")


@database.command()
def check(db: Db = None, data_dir: DataDir = None) -> None:
    """Whether a SQLite ledger is whole: its pages, its indexes, and that every reference holds."""
    from carbon.storage import backup as copies

    file = copies.sqlite_file(settings_with(db_url=db, data_dir=data_dir).database_url)
    _tell("is whole", file, copies.check(file))


@database.command()
def backup(file: Path, db: Db = None, data_dir: DataDir = None) -> None:
    """Copy a ledger to a new FILE while the server runs; the copy is checked. PostgreSQL's by
    pg_dump, with its totals beside it."""
    from carbon.storage import backup as copies

    url = settings_with(db_url=db, data_dir=data_dir).database_url
    if url.startswith("postgresql"):
        from carbon.storage import pg_backup

        rows = {name: said[0] for name, said in pg_backup.dump(url, file).items()}
        _tell("is written", file, rows)
        return
    source = copies.sqlite_file(url)
    _tell("is written and whole", file, copies.copy(source, file))


@database.command()
def restore(file: Path, db: Db = None, data_dir: DataDir = None) -> None:
    """Bring a backup FILE back as the ledger, where none is yet: move an old one away first. Rows
    and energy are compared with what was copied."""
    from carbon.storage import backup as copies

    url = settings_with(db_url=db, data_dir=data_dir).database_url
    if url.startswith("postgresql"):
        from carbon.storage import pg_backup

        rows = {name: said[0] for name, said in pg_backup.restore(file, url).items()}
        _tell("is restored and whole", file, rows)
        return
    target = copies.sqlite_file(url)
    _tell("is restored and whole", target, copies.copy(file, target))


@database.command("copy")
def copy_ledger(
    source: Annotated[str, typer.Option("--from", help="URL of the ledger that is carried over.")],
    target: Annotated[
        str, typer.Option("--to", help="URL of an empty database, or of a copy that was stopped.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Carry a whole ledger to another database, such as from SQLite to PostgreSQL. Stop the
    server first. A copy that was stopped goes on; rows and sums of both are compared."""
    from carbon.storage import transfer
    from carbon.storage.engine import create_engine, existing_engine

    def tell(table: str, rows: int) -> None:
        if rows and not json:
            typer.echo(f"  {table:24} {rows:>12} rows")

    totals = transfer.copy_ledger(existing_engine(source), create_engine(target), tell)
    rows = sum(said[0] for said in totals.values())
    energy_mj = totals["quarter_hour"][1]
    if json:
        print_json({"tables": len(totals), "rows": rows, "energy_mj": energy_mj})
    else:
        typer.echo(f"both hold {rows} rows in {len(totals)} tables and {energy_mj} mJ")


@database.command()
def generate(
    gpus: Annotated[int, typer.Option(min=1, help="Devices of the made-up fleet.")] = 1_000,
    workloads: Annotated[
        int, typer.Option(min=3, help="Workloads; the first three are planted.")
    ] = 200,
    teams: Annotated[int, typer.Option(min=1)] = 12,
    days: Annotated[int, typer.Option(min=1, help="Days of roll-ups, up to midnight.")] = 365,
    raw_days: Annotated[float, typer.Option(min=0, help="Days of 10 s readings.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same organisation.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    db: Db = None,
    data_dir: DataDir = None,
) -> None:
    """Write a made-up year into an empty ledger, for a look around and for measurements."""
    from carbon.app import open_context
    from carbon.bench.generated.fleet import PLANTED, Fleet
    from carbon.bench.generated.year import Year

    context = open_context(settings_with(db_url=db, data_dir=data_dir))
    fleet = Fleet(gpus, workloads, teams, seed)
    Year(context, fleet, days, raw_days).write()
    planted = [f"{w.team}/{w.name}" for w in fleet.workloads[: len(PLANTED)]]
    if json:
        print_json({"gpus": gpus, "workloads": workloads, "days": days, "planted": planted})
    else:
        typer.echo(f"{days} days of {gpus} GPUs are written; planted: {', '.join(planted)}")


def _tell(what: str, file: Path, rows: dict[str, int]) -> None:
    typer.echo(f"{file} {what}: {sum(rows.values())} rows in {len(rows)} tables")
