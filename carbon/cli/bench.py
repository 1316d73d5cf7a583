"""`carbon bench`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from carbon.cli.output import print_json, significant
from carbon.errors import InvalidInput

if TYPE_CHECKING:
    from carbon.bench.figure import Figure

#: Modules of carbon.bench that are no bench themselves.
_PARTS = frozenset(
    {
        *(
            "figure",
            "generated",
            "kept_year",
            "ledger",
            "own_postgresql",
            "power_limits",
        ),
        *("raw_driver", "raw_size", "serving"),
    }
)
#: Those that can keep what they generate.
_KEEPING = frozenset({"query", "restate", "web"})


def register(app: typer.Typer) -> None:
    @app.command()
    def bench(
        name: str,
        json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
        db: Annotated[str | None, typer.Option("--db", help="Database URL to measure.")] = None,
        quick: Annotated[bool, typer.Option(help="Smaller and quicker, for a look.")] = False,
        rows: Annotated[
            int | None, typer.Option(min=1, help="Raw rows to load, where a bench loads any.")
        ] = None,
        part: Annotated[
            str | None, typer.Option(help="One part of a bench that has several.")
        ] = None,
        data: Annotated[
            Path | None,
            typer.Option(
                "--data",
                help="Of query, restate and web: keep what is generated there and use it again.",
                file_okay=False,
                resolve_path=True,
            ),
        ] = None,
    ) -> None:
        """Measure what this machine achieves; exit 1 where a target is not met."""
        if name not in _benches():
            raise InvalidInput("unknown_bench", f"no bench {name!r}: {', '.join(_benches())}")
        from carbon.bench.figure import Options, all_met, report

        module = import_module(f"carbon.bench.{name}")
        parts: tuple[str, ...] = getattr(module, "PARTS", ("sqlite", "postgresql"))
        if part is not None and part not in parts:
            raise InvalidInput("invalid_choice", f"--part is one of {', '.join(parts)}")
        if data is not None and (db is not None or name not in _KEEPING):
            raise InvalidInput(
                "invalid_choice", "--data is for query, restate and web, without --db"
            )
        body = report(name, [])
        typer.echo(f"{name}  {body['commit']}  {body['machine']}", err=json)
        asked = Options(db, _data_dir(), quick, rows, part, data)
        taken, was_ended = _taken(lambda: module.measure(asked), to_stderr=json)
        if json:
            ended = {"interrupted": True} if was_ended else {}
            print_json({**body, "figures": taken, **ended})
        if was_ended:
            raise typer.Exit(130)
        raise typer.Exit(0 if all_met(taken) else 1)


def _taken(measure: Callable[[], Iterable[Figure]], to_stderr: bool) -> tuple[list[Figure], bool]:
    """Each figure, shown as it is taken; and whether a signal ended it before the last one."""
    taken: list[Figure] = []
    with _interrupted_by(signal.SIGTERM):
        try:
            for figure in measure():
                taken.append(figure)
                typer.echo(_line(figure), err=to_stderr)
        except KeyboardInterrupt:
            return taken, True
    return taken, False


@contextmanager
def _interrupted_by(number: signal.Signals) -> Iterator[None]:
    """A signal that would end the process ends what is measured, as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        yield
    finally:
        signal.signal(number, before)


def _benches() -> list[str]:
    found = find_spec("carbon.bench")
    assert found is not None
    names = {module.name for module in iter_modules(found.submodule_search_locations)}
    return sorted(names - _PARTS)


def _data_dir() -> Path | None:
    """Real traces, where they are at hand: $CARBON_BENCH_DATA, else beside the checkout."""
    stated = os.environ.get("CARBON_BENCH_DATA")
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(stated) if stated else beside
    return path if path.is_dir() else None


def _line(figure: Figure) -> str:
    value = "–" if figure.value is None else significant(figure.value, 4)
    verdict = {True: "met", False: "NOT MET", None: ""}[figure.met]
    note = f"  {figure.note}" if isinstance(figure.note, str) else ""
    return (
        f"  {figure.name:44} {value:>12} {figure.unit:10} {figure.target or '':12} {verdict}{note}"
    )
