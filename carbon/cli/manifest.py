"""`carbon import if`: an Impact Framework manifest, computed anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from carbon.cli.output import mass, print_json


def register(imports: typer.Typer) -> None:
    @imports.command("if")
    def if_(
        file: Annotated[Path, typer.Argument(help="A manifest, run or not.")],
        json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    ) -> None:
        """SCI of a manifest's inputs as the ratio of sums, and what its own figure would hide."""
        from carbon.imports.impact_framework import read_manifest

        read = read_manifest(file.read_bytes())
        done = read.calculation
        body: dict[str, Any] = {
            "name": read.name,
            "unit": read.unit,
            "count": read.count,
            "components": list(done.components),
            "operational_g": done.operational_g,
            "embodied_g": done.embodied_g,
            "total_g": done.total_g,
            "sci_g_per_unit": done.sci_g_per_unit,
            "not_stated": list(done.not_stated),
            "stated_sci": read.stated_sci,
            "traps": list(read.traps),
        }
        if json:
            print_json(body)
            return
        score = "none" if done.sci_g_per_unit is None else mass(done.sci_g_per_unit)
        typer.echo(f"{read.name}  {mass(done.total_g)}, SCI {score} per {read.unit}")
        for trap in read.traps:
            typer.echo(f"  {trap.trap}  {trap.where}: {trap.detail}")
