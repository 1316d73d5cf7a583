"""The command line. Each module registers the verbs of one noun."""

from __future__ import annotations

import sys
from functools import cache
from typing import Annotated

import typer
from pydantic import ValidationError
from typer._click.exceptions import NoArgsIsHelpError
from typer.exceptions import TyperException

from carbon import __version__
from carbon.errors import CarbonError, InvalidInput

app = typer.Typer(
    name="carbon",
    help="Carbon and energy accounting for computing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"carbon {__version__}")
        raise typer.Exit


_VERSION = typer.Option(
    "--version", help="Print the version.", callback=_say_version, is_eager=True
)


@app.callback()
def _options(version: Annotated[bool, _VERSION] = False) -> None:
    """Those of no verb."""


@cache  # `main` may be called more than once in a process
def _register() -> None:
    from carbon.cli import (
        agent,
        audit,
        bench,
        budgets,
        components,
        contracts,
        database,
        doctor,
        experiment,
        export,
        factors,
        hosts,
        imports,
        intensity,
        jobs,
        keys,
        names,
        playbook,
        recommendations,
        report,
        run,
        scheduler,
        sci,
        shadow,
        simulate,
        top,
        up,
        wait,
        workloads,
    )

    measuring = (agent, top, doctor)
    stating = (sci, report, experiment, playbook, recommendations, export, factors, audit)
    planning = (jobs, scheduler, wait, intensity, simulate, shadow)
    keeping = (
        hosts,
        workloads,
        components,
        contracts,
        names,
        budgets,
        imports,
        keys,
        database,
        bench,
    )
    for module in (up, run, *stating, *planning, *measuring, *keeping):
        module.register(app)


def main(argv: list[str] | None = None) -> None:
    """Exit 0 good, 1 the work failed, 2 usage; an error is one line that names the mend."""
    _register()
    try:
        sys.exit(app(args=argv, standalone_mode=False) or 0)
    except NoArgsIsHelpError as error:
        typer.echo(error.format_message())
        sys.exit(2)
    except TyperException as error:
        print(f"error: {_on_one_line(error)}", file=sys.stderr)
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    except CarbonError as error:
        # A database may say why in several.
        told = " ".join(line.strip() for line in error.detail.splitlines())
        print(f"error: {told}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidInput) else 1)
    except ValidationError as error:
        print(f"error: {_wrong_setting(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _on_one_line(error: TyperException) -> str:
    told = getattr(error, "format_message", lambda: str(error))().rstrip(".")
    command = getattr(getattr(error, "ctx", None), "command_path", "carbon")
    return f"{told}; see {command} --help"


def _wrong_setting(error: ValidationError) -> str:
    """Settings are all that pydantic reads here."""
    first = error.errors()[0]
    name = "_".join(map(str, first["loc"])).upper()
    return f"CARBON_{name} is {first['input']!r}: {first['msg']}"
