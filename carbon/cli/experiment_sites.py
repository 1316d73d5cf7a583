"""`carbon export totals` and `carbon experiment combine`: sites that send sums alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from carbon.cli.choices import pairs_of, scalar
from carbon.cli.experiment_words import experiment_lines
from carbon.cli.output import print_json
from carbon.errors import InvalidInput

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Out = Annotated[Path | None, typer.Option(help="File; by default standard output.")]
Files = Annotated[list[Path], typer.Option(help="Of `carbon export totals`, one for each site.")]


def register_export(export: typer.Typer) -> None:
    export.command("totals")(export_totals)


def register(experiment: typer.Typer) -> None:
    experiment.command("combine")(combine)


def export_totals(
    workload: str,
    start: Annotated[str, typer.Option(help="RFC 3339, on a quarter-hour.")],
    end: Annotated[str, typer.Option(help="RFC 3339, on a quarter-hour.")],
    site: Annotated[str, typer.Option(help="What the site is called outside of it.")],
    unit: Annotated[str | None, typer.Option(help="Where the workload has several.")] = None,
    out: Out = None,
) -> None:
    """Sums of a workload's quarter-hours as an arm of an experiment elsewhere, and nothing finer.

    No name of workload, run, device, host or user is in it.
    """
    from carbon.client import Client

    told = Client().totals(workload, start=start, end=end, unit=unit, site=site)
    text = msgspec.json.format(msgspec.json.encode(told)).decode() + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")


def combine(
    workload: Annotated[str, typer.Option(help="name or team/name, in this ledger.")],
    technique: Annotated[str, typer.Option(help="One of the ten, such as quantisation.")],
    baseline: Files,
    treatment: Files,
    parameter: Annotated[
        list[str] | None, typer.Option(help="What the technique needs: NAME=VALUE.")
    ] = None,
    gate: Annotated[list[str] | None, typer.Option(help="A limit: verdict=saves.")] = None,
    treats: Annotated[
        list[str] | None, typer.Option(help="hardware, zone or pue, if treated.")
    ] = None,
    title: Annotated[str, typer.Option(help="For readers.")] = "",
    publish: Annotated[bool, typer.Option(help="Let every team read it.")] = False,
    json: Json = False,
) -> None:
    """Compare the totals of one or more sites and record the verdict."""
    from carbon.client import Client
    from carbon.client.sites import combined_arm

    arms = {
        "baseline": combined_arm([_read(path) for path in baseline]),
        "treatment": combined_arm([_read(path) for path in treatment]),
    }
    told = Client().create_experiment(
        workload=workload,
        technique=technique,
        parameters={k: scalar(v) for k, v in pairs_of(parameter, "parameter").items()},
        gates={k: scalar(v) for k, v in pairs_of(gate, "gate").items()},
        treats=treats or [],
        title=title,
        publish=publish,
        unit=arms["baseline"]["unit"],
        **arms,
    )
    print_json(told) if json else typer.echo(experiment_lines(told))


def _read(path: Path) -> dict[str, Any]:
    from carbon.wire.experiments import ArmBody

    try:
        content = path.read_bytes()
        arm = msgspec.json.decode(content, type=ArmBody)
    except OSError as error:
        raise InvalidInput("invalid_totals", f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise InvalidInput("invalid_totals", f"{path}: no totals of a site: {error}") from None
    if arm.stated is None:
        raise InvalidInput("invalid_totals", f"{path}: it does not say its conditions (`stated`)")
    told: dict[str, Any] = msgspec.json.decode(content)
    return told
