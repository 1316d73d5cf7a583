"""`carbon playbook`: the ten techniques as small experiments on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carbon.cli.output import print_json
from carbon.cli.playbook_words import AT_99, line_of, not_run_line, playbook_markdown

if TYPE_CHECKING:
    from carbon.playbook.comparison import NotRun
    from carbon.playbook.device import Device
    from carbon.playbook.runner import Recorder
    from carbon.playbook.techniques import Entry

playbook = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]


def register(app: typer.Typer) -> None:
    app.add_typer(playbook, name="playbook")


@playbook.callback()
def group() -> None:
    """Ten techniques as small, real experiments on this machine."""


@playbook.command("list")
def list_(json: Json = False) -> None:
    """What can be run here, and what each does."""
    from carbon.playbook.techniques import ENTRIES

    if json:
        print_json(
            {
                "techniques": [
                    {"technique": e.technique, "what": e.what, "ready": e.is_ready} for e in ENTRIES
                ]
            }
        )
        return
    for entry in ENTRIES:
        missing = "" if entry.is_ready else "  (needs pip install 'carbon-ledger[playbook]')"
        typer.echo(f"{entry.technique:18} {entry.what}{missing}")


@playbook.command()
def run(
    technique: Annotated[str, typer.Argument(help="One of the ten, or all.")],
    blocks: Annotated[int, typer.Option(min=2, max=100, help="Counted blocks of each arm.")] = 5,
    block_s: Annotated[
        float | None,
        typer.Option(min=0.05, max=600, help="Least length of one; 1, on a GPU 3."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of data and models.")] = 1,
    quick: Annotated[bool, typer.Option(help="Smaller and quicker, for a look.")] = False,
    device: Annotated[
        str | None,
        typer.Option(
            envvar="CARBON_PLAYBOOK_DEVICE", help="cpu or cuda; a GPU where PyTorch sees one."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the table as Markdown, too.")] = None,
    json: Json = False,
) -> None:
    """Run, measure and record; each comparison prints its verdict."""
    from carbon.client import Client
    from carbon.client.options import local_options
    from carbon.domain.experiments.techniques import technique_of
    from carbon.playbook.comparison import NotRun
    from carbon.playbook.device import CPU, device_of
    from carbon.playbook.runner import Pace, Recorder
    from carbon.playbook.techniques import ENTRIES, entry_of

    chosen = ENTRIES if technique == "all" else (entry_of(technique_of(technique)),)
    where = CPU
    pace = Pace(block_s=block_s, blocks=blocks, quick=quick)
    began = time.monotonic()
    done: list[dict[str, Any]] = []
    not_run: list[tuple[str, NotRun]] = []
    try:
        with Client(timeout_s=120.0) as client:
            if any(entry.needs_torch for entry in chosen):
                where = device_of(device)
            recorder = Recorder(
                client, local_options(), pace, lambda line: typer.echo(line, err=True)
            )
            for name, found in _played(chosen, recorder, seed, quick, where, to_stderr=json):
                if isinstance(found, NotRun):
                    not_run.append((name, found))
                    typer.echo(not_run_line(found), err=json)
                else:
                    done.append(found)
                    typer.echo(line_of(found, client.url), err=json)
    finally:  # what was found stays found, whatever ended it
        seconds = time.monotonic() - began
        if out is not None and done:
            out.write_text(playbook_markdown(done, not_run, where.name, seconds), "utf-8")
    if json:
        print_json(
            {
                "experiments": done,
                "not_run": [{"technique": t, "title": o.title, "why": o.why} for t, o in not_run],
                "device": where.name,
                "seconds": seconds,
            }
        )
    else:
        typer.echo(
            f"{len(done)} experiments in {seconds:.0f} s; see carbon experiment list\n{AT_99}"
        )


def _played(
    chosen: Sequence[Entry],
    recorder: Recorder,
    seed: int,
    quick: bool,
    where: Device,
    to_stderr: bool,
) -> Iterator[tuple[str, dict[str, Any] | NotRun]]:
    """(technique, what came of it), as it comes."""
    from carbon.playbook.comparison import NotRun

    for place, entry in enumerate(chosen, 1):
        typer.echo(f"{place} of {len(chosen)}: {entry.technique}, {entry.what}", err=to_stderr)
        for comparison in entry.comparisons(seed, quick, where):
            if isinstance(comparison, NotRun):
                yield entry.technique, comparison
            else:
                for told in recorder.record(entry.technique, comparison):
                    yield entry.technique, told
