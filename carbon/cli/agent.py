"""`carbon agent` and `carbon top`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    @app.command()
    def agent(
        once: Annotated[bool, typer.Option(help="Print one reading and end.")] = False,
        data_dir: Annotated[Path | None, typer.Option(help="Folder of spool and socket.")] = None,
    ) -> None:
        """Measure this machine, and deliver to the server that CARBON_URL or the data folder
        names."""
        from carbon.collect.agent import main

        arguments = ["--once"] if once else []
        if data_dir is not None:
            arguments.append(f"--data-dir={data_dir}")
        raise typer.Exit(main(arguments))
