"""`carbon run`: a command, measured as one run of a workload."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carbon.cli.output import print_json
from carbon.cli.sci import sci_lines
from carbon.domain.units import DERIVED_UNITS
from carbon.errors import CarbonError, InvalidInput

if TYPE_CHECKING:
    from carbon.client.run import RunRecord


def register(app: typer.Typer) -> None:
    @app.command(
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
    )
    def run(
        command: Annotated[list[str], typer.Argument(help="The command, after --.")],
        workload: Annotated[str, typer.Option(help="name or team/name.")],
        unit: Annotated[
            list[str] | None, typer.Option(help="What it made, such as request=1000.")
        ] = None,
        reserve: Annotated[
            bool, typer.Option(help="Hold this machine's devices: their idle power is the run's.")
        ] = False,
        json: Annotated[
            bool, typer.Option("--json", help="Print one JSON line at the end.")
        ] = False,
    ) -> None:
        """Run a command and say what it drew, emitted, and how sure that is."""
        from carbon.client.options import local_options
        from carbon.client.run import run_command
        from carbon.domain.tenancy import parse_workload

        parse_workload(workload, "default")
        counts = parse_counts(unit or ())
        record = run_command(command, workload, counts, options=local_options(), reserve=reserve)
        if record.failure:
            print(f"error: {record.failure}", file=sys.stderr)
        answer = _answer(record, next(iter(counts), "run"))
        if json:
            print_json(_as_run(answer, record))
        else:
            typer.echo(_told(answer, record), err=True)
        raise typer.Exit(record.exit_code)


def parse_counts(texts: Sequence[str]) -> dict[str, int]:
    """`request=1000` and so on, judged before the command starts.

    Raises InvalidInput: `invalid_unit`, `derived_unit` for what the ledger counts itself.
    """
    counts: dict[str, int] = {}
    for text in texts:
        name, _, count = text.partition("=")
        if not _UNIT.fullmatch(name) or not _COUNT.fullmatch(count):
            raise InvalidInput("invalid_unit", f"--unit {text!r}: write it as request=1000")
        if name in DERIVED_UNITS:
            raise InvalidInput("derived_unit", f"--unit {text!r}: the ledger counts {name} itself")
        if name in counts:
            raise InvalidInput("invalid_unit", f"--unit {text!r}: {name} is stated twice")
        counts[name] = int(count)
    return counts


#: As the server takes them: a name of up to 200 characters, a count below 2^53.
_UNIT = re.compile(r"[^=]{1,200}")
_COUNT = re.compile(r"[0-9]{1,15}")


def _answer(record: RunRecord, unit: str) -> dict[str, Any]:
    """The server's answer once it has all of the run, else the local estimate."""
    from carbon.client.http import Client
    from carbon.client.local_answer import local_answer

    if record.undelivered == 0:
        try:
            with Client(timeout_s=10.0) as client:
                return client.sci(record.workload, run=record.run, unit=unit)
        except CarbonError as error:
            print(
                f"carbon: the server has the run but gives no score: {error.detail}",
                file=sys.stderr,
            )
    return local_answer(record, unit)


def _as_run(answer: dict[str, Any], record: RunRecord) -> dict[str, Any]:
    return {
        **answer,
        "run_id": record.run,
        "exit_code": record.exit_code,
        "duration_s": record.duration_s,
    }


def _told(answer: dict[str, Any], record: RunRecord) -> str:
    lines = ["", f"carbon: run {record.run}, {record.duration_s:.1f} s, exit {record.exit_code}"]
    lines.append(sci_lines(answer))
    for source in record.sources:
        lines.append(
            f"  read         {source.kind} {source.model or source.device}: {source.method}"
        )
    if record.undelivered:
        lines.append("  no server was reached: the run is spooled and delivered when one is up")
    return "\n".join(lines)
