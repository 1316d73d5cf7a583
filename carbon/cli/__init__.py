"""The command line. Each module registers the verbs of one noun."""

from __future__ import annotations

import sys
from functools import cache

import typer
from pydantic import ValidationError

from carbon.errors import CarbonError, InvalidInput

app = typer.Typer(
    name="carbon",
    help="Carbon and energy accounting for computing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@cache  # `main` may be called more than once in a process
def _register() -> None:
    from carbon.cli import (
        agent,
        audit,
        bench,
        database,
        doctor,
        factors,
        intensity,
        jobs,
        keys,
        report,
        run,
        sci,
        simulate,
        top,
        up,
    )

    measuring = (agent, top, doctor)
    stating = (sci, report, factors, audit)
    for module in (up, run, *stating, jobs, intensity, simulate, *measuring, keys, database, bench):
        module.register(app)


def main(argv: list[str] | None = None) -> None:
    """Exit 0 good, 1 the work failed, 2 usage; an error is one line that names the mend."""
    _register()
    try:
        app(args=argv, standalone_mode=True)
    except CarbonError as error:
        print(f"error: {error.detail}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidInput) else 1)
    except ValidationError as error:
        print(f"error: {_wrong_setting(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _wrong_setting(error: ValidationError) -> str:
    """Settings are all that pydantic reads here."""
    first = error.errors()[0]
    name = "_".join(map(str, first["loc"])).upper()
    return f"CARBON_{name} is {first['input']!r}: {first['msg']}"
