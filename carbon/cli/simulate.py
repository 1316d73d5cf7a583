"""`carbon simulate`: replays a job history under a policy."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from carbon.cli.choices import choice
from carbon.cli.engine import EngineOption, engine_of, run_on
from carbon.cli.output import print_json
from carbon.errors import InvalidInput


def register(app: typer.Typer) -> None:
    @app.command()
    def simulate(
        jobs: Annotated[Path, typer.Option(help="CSV: arrival_time, length, cpus.")],
        intensity: Annotated[Path, typer.Option(help="CSV of hourly gCO2e/kWh.")],
        zone: Annotated[str, typer.Option(help="Column of the intensity file.")],
        policy: Annotated[str, typer.Option(help="See the documentation for all nine.")],
        start_hour: Annotated[int, typer.Option(min=0, help="Row to start at.")] = 0,
        job_unit: Annotated[str, typer.Option(help="s or h, of both job columns.")] = "s",
        max_wait: Annotated[str, typer.Option(help="Hours by class.")] = "short:6,long:24",
        capacity: Annotated[
            float | None, typer.Option(help="Cpus that the jobs share; they may pause then.")
        ] = None,
        forecast: Annotated[str, typer.Option(help="perfect, own, or a column.")] = "perfect",
        lengths: Annotated[str, typer.Option(help="learned, known or predicted.")] = "learned",
        engine: EngineOption = "local",
        json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    ) -> None:
        """Replay a job history: what a policy would have saved, against the exact optimum."""
        from carbon.clock import SystemClock
        from carbon.planning.job_history import JobHistory
        from carbon.planning.learning import Lengths
        from carbon.planning.scene import Forecast
        from carbon.planning.simulate import Policy
        from carbon.planning.simulate import simulate as replay

        where = engine_of(engine)
        scale = {"s": 1.0, "h": 3600.0}.get(job_unit)
        if scale is None:
            raise InvalidInput("invalid_job_unit", "--job-unit is s or h")
        short_h, long_h = waits(max_wait)
        arrival, length, cpus = (_column(jobs, name) for name in ("arrival_time", "length", "cpus"))
        history = JobHistory.of(
            [v * scale for v in arrival], [v * scale for v in length], cpus, short_h, long_h
        )
        seen = Forecast(forecast) if forecast in tuple(Forecast) else _column(intensity, forecast)
        result = run_on(
            where,
            replay,
            history,
            _column(intensity, zone),
            choice(Policy, policy, "--policy"),
            SystemClock(),
            start_hour=start_hour,
            lengths=choice(Lengths, lengths, "--lengths"),
            forecast=seen,
            capacity_cpus=capacity,
        )
        if json:
            print_json(asdict(result))
            return
        for name, value in asdict(result).items():
            typer.echo(f"{name:16} {value}")


def waits(text: str) -> tuple[float, float]:
    """`short:6,long:24` as hours."""
    try:
        given = {name: float(hours) for name, hours in (p.split(":") for p in text.split(","))}
        return given["short"], given["long"]
    except (ValueError, KeyError):
        raise InvalidInput("invalid_max_wait", "--max-wait reads short:6,long:24") from None


def _column(path: Path, name: str) -> list[float]:
    """Raises InvalidInput (`file_unreadable`, `column_missing`, `not_a_number`)."""
    try:
        with path.open(newline="") as file:
            rows = csv.DictReader(file)
            if name not in (rows.fieldnames or ()):
                raise InvalidInput("column_missing", f"{path} has no column {name!r}")
            texts = [row[name] for row in rows]
    except OSError as error:
        raise InvalidInput("file_unreadable", f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("file_unreadable", f"{path} is no CSV in UTF-8: {error}") from None
    try:
        return [float(text) for text in texts]
    except (TypeError, ValueError):
        raise InvalidInput("not_a_number", f"{path}: column {name!r} holds no number") from None
