"""`carbon playbook`: the ten techniques as small experiments on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carbon.cli.experiment_words import change_words
from carbon.cli.output import mass, print_json

if TYPE_CHECKING:
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
    block_s: Annotated[float, typer.Option(min=0.05, max=600, help="Least length of one.")] = 1.2,
    seed: Annotated[int, typer.Option(help="Of data and models.")] = 1,
    quick: Annotated[bool, typer.Option(help="Smaller and quicker, for a look.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the table as Markdown, too.")] = None,
    json: Json = False,
) -> None:
    """Run, measure and record; each comparison prints its verdict."""
    from carbon.client import Client
    from carbon.client.options import local_options
    from carbon.domain.experiments.techniques import technique_of
    from carbon.playbook.runner import Pace, Recorder
    from carbon.playbook.techniques import ENTRIES, entry_of

    chosen = ENTRIES if technique == "all" else (entry_of(technique_of(technique)),)
    pace = Pace(block_s=block_s, blocks=blocks, quick=quick)
    began = time.monotonic()
    done: list[dict[str, Any]] = []
    with Client(timeout_s=120.0) as client:
        recorder = Recorder(client, local_options(), pace)
        for entry in chosen:
            done += _played(entry, recorder, seed, quick, not json)
    seconds = time.monotonic() - began
    if out is not None:
        out.write_text(_markdown(done, seconds), "utf-8")
    if json:
        print_json({"experiments": done, "seconds": seconds})
    else:
        typer.echo(
            f"{len(done)} experiments in {seconds:.0f} s; see carbon experiment list\n{_AT_99}"
        )


_AT_99 = (
    "Intervals are at 95 %; a verdict holds at 99 %, so that some intervals leave out 0 and "
    "say inconclusive: give those more blocks."
)


def _played(
    entry: Entry, recorder: Any, seed: int, quick: bool, aloud: bool
) -> list[dict[str, Any]]:
    found = []
    if aloud:
        typer.echo(f"{entry.technique}: {entry.what}")
    for comparison in entry.comparisons(seed, quick):
        for told in recorder.record(entry.technique, comparison):
            found.append(told)
            if aloud:
                typer.echo(_line(told))
    return found


def _line(told: dict[str, Any]) -> str:
    sci = told["deltas"]["sci"]
    quality = told["deltas"]["quality"]
    shown = f"  {told['quality_metric']} {quality['value']:+.3f}" if quality else ""
    return (
        f"  {told['verdict']:13} {told['title']}\n"
        f"  {'':13} {mass(sci['baseline'])} -> {mass(sci['treatment'])} per {told['unit']}  "
        f"{change_words(sci)}{shown}"
    )


def _markdown(done: list[dict[str, Any]], seconds: float) -> str:
    """What a run found on one machine, honest negatives included."""
    from carbon.bench.figure import commit, machine

    methods = sorted({m for told in done for m in told["baseline"]["methods"]})
    lines = [
        "# Playbook",
        "",
        f"`carbon playbook run` at {commit()} on {machine()}; {len(done)} experiments in "
        f"{seconds:.0f} s. Energy by {', '.join(methods)}. {_AT_99}",
        "",
        "| technique | what | per | verdict | SCI (95 %) | quality |",
        "|-|-|-|-|-|-|",
    ]
    for told in done:
        quality = told["deltas"]["quality"]
        shown = f"{told['quality_metric']} {quality['value']:+.3f}" if quality else ""
        lines.append(
            f"| {told['technique']} | {told['title']} | {told['unit']} | {told['verdict']} | "
            f"{change_words(told['deltas']['sci'])} | {shown} |"
        )
    return "\n".join(lines) + "\n"
