"""`carbon experiment`: prove what an optimisation did."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carbon.cli import experiment_sites
from carbon.cli.choices import pairs_of, scalar
from carbon.cli.experiment_words import experiment_lines, experiment_markdown, line_of
from carbon.cli.output import energy, print_json
from carbon.cli.run import parse_counts
from carbon.errors import CarbonError, InvalidInput

if TYPE_CHECKING:
    from carbon.client.experiment import BlockRun

experiment = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Pairs = list[str] | None


def register(app: typer.Typer) -> None:
    experiment_sites.register(experiment)
    app.add_typer(experiment, name="experiment")


@experiment.callback()
def group() -> None:
    """Controlled comparisons of a baseline and a treatment."""


@experiment.command()
def run(
    workload: Annotated[str, typer.Option(help="name or team/name.")],
    technique: Annotated[str, typer.Option(help="One of the ten, such as quantisation.")],
    baseline: Annotated[str, typer.Option(help="Command of the baseline, in quotes.")],
    treatment: Annotated[str, typer.Option(help="Command of the treatment, in quotes.")],
    parameter: Annotated[Pairs, typer.Option(help="What the technique needs: NAME=VALUE.")] = None,
    unit: Annotated[Pairs, typer.Option(help="What each block makes: request=1000.")] = None,
    blocks: Annotated[int, typer.Option(min=2, max=500, help="Counted blocks of each arm.")] = 5,
    warm_up: Annotated[int, typer.Option(min=0, max=100, help="Blocks run before them.")] = 1,
    gate: Annotated[Pairs, typer.Option(help="A limit on harm: quality_loss=0.01.")] = None,
    treats: Annotated[Pairs, typer.Option(help="hardware, zone or pue, if treated.")] = None,
    config: Annotated[Pairs, typer.Option(help="NAME=BEFORE:AFTER, for the log.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="CSV of group,label,baseline,treatment; counts are sent.")
    ] = None,
    quality_metric: Annotated[str, typer.Option(help="Name of the blocks' quality.")] = "",
    optimisation_g: Annotated[
        float | None, typer.Option(min=0, help="Grams that making the treatment took.")
    ] = None,
    title: Annotated[str, typer.Option(help="For readers.")] = "",
    publish: Annotated[bool, typer.Option(help="Let every team read it.")] = False,
    json: Json = False,
) -> None:
    """Run both commands in A/B/A/B blocks, measured, and record the verdict."""
    from carbon.client import Client
    from carbon.client.experiment import ARMS, arm_body, run_blocks
    from carbon.client.options import local_options
    from carbon.domain.experiments.techniques import check_parameters, technique_of

    commands = {"baseline": _words(baseline), "treatment": _words(treatment)}
    parameters = {name: scalar(text) for name, text in pairs_of(parameter, "parameter").items()}
    check_parameters(technique_of(technique), parameters)
    counts, before_after = parse_counts(unit or ()), _before_after(config)
    gates = {name: scalar(text) for name, text in pairs_of(gate, "gate").items()}
    cells = _cells(answers)
    with Client() as client:  # before anything runs: where the verdict will be recorded
        done = run_blocks(
            commands,
            workload,
            counts,
            blocks=blocks,
            warm_up=warm_up,
            options=local_options(),
            on_block=_tell,
        )
        _check_delivered(done)
        arms = {
            arm: arm_body(
                done,
                arm,
                # What stands behind the program's name may be a prompt: it goes nowhere.
                config={"program": Path(commands[arm][0]).name[:200], **before_after[place]},
            )
            for place, arm in enumerate(ARMS)
        }
        units = {name for block in done for name in block.record.units}
        told = client.create_experiment(
            workload=workload,
            technique=technique,
            parameters=parameters,
            unit=next(iter(counts), None) or (units.pop() if len(units) == 1 else "run"),
            gates=gates,
            treats=treats or [],
            answers=cells,
            quality_metric=quality_metric,
            title=title,
            publish=publish,
            optimisation=[]
            if optimisation_g is None
            else [{"what": "stated", "grams": optimisation_g}],
            **arms,
        )
    print_json(told) if json else typer.echo(experiment_lines(told))


@experiment.command("list")
def list_(
    workload: Annotated[str | None, typer.Option(help="Its optimisation log alone.")] = None,
    technique: Annotated[str | None, typer.Option(help="One of the ten.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    json: Json = False,
) -> None:
    """The optimisation log, newest first."""
    from carbon.client import Client

    told = Client().experiments(workload=workload, technique=technique, limit=limit)
    if json:
        print_json(told)
    else:
        for one in told["experiments"]:
            typer.echo(line_of(one))
        if not told["experiments"]:
            typer.echo("no experiment is recorded; see carbon experiment run --help")


@experiment.command()
def show(experiment_id: str, json: Json = False) -> None:
    """What was compared, what came out, and what was not measured."""
    from carbon.client import Client

    told = Client().experiment(experiment_id)
    print_json(told) if json else typer.echo(experiment_lines(told))


@experiment.command()
def check(
    experiment_id: str,
    json: Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a comment for a merge request.")
    ] = False,
) -> None:
    """Exit 1 where a declared gate does not pass: for CI."""
    from carbon.client import Client

    told = Client().experiment(experiment_id)
    if json:
        names = ("id", "verdict", "passed", "gates")
        print_json({name: told[name] for name in names})
    elif markdown:
        typer.echo(experiment_markdown(told))
    else:
        typer.echo(experiment_lines(told))
    raise typer.Exit(0 if told["passed"] else 1)


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InvalidInput("invalid_command", f"{command!r}: {error}") from None
    if not words:
        raise InvalidInput("invalid_command", "an arm needs a command")
    return words


def _before_after(texts: Pairs) -> tuple[dict[str, Any], dict[str, Any]]:
    before, after = {}, {}
    for name, pair in pairs_of(texts, "config").items():
        before[name], colon, after[name] = pair.partition(":")
        if not colon:
            raise InvalidInput("invalid_pair", f"--config {name}: write it as NAME=BEFORE:AFTER")
    return before, after


def _cells(path: Path | None) -> list[Any]:
    """Single answers are counted here; they never leave this machine."""
    if path is None:
        return []
    from carbon.evaluation.answers import read_answers

    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(read_answers(file))
    except OSError as error:
        raise InvalidInput("invalid_answers", f"{path}: {error.strerror}") from None


def _check_delivered(done: list[BlockRun]) -> None:
    if any(block.record.undelivered != 0 for block in done):
        runs = ", ".join(block.record.run for block in done if not block.is_warm_up)
        raise CarbonError(
            "not_delivered",
            "the server has not taken all runs yet; they are spooled and delivered once it is "
            f"up, and POST /v1/experiments can then compare them: {runs}",
        )


def _tell(block: BlockRun) -> None:
    kind = "warm-up" if block.is_warm_up else "block"
    drawn = energy(block.record.energy_mj)
    typer.echo(f"  {block.arm:9} {kind:7} {block.record.duration_s:7.1f} s  {drawn}", err=True)
