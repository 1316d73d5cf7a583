"""`carbon agent`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    @app.command()
    def agent(
        once: Annotated[bool, typer.Option(help="Print one reading and end.")] = False,
        retry_refused: Annotated[
            bool, typer.Option(help="Send again what the server refused, and end.")
        ] = False,
        join: Annotated[
            str | None,
            typer.Option(
                metavar="TOKEN", help="Get this machine's key with a token of `carbon host token`."
            ),
        ] = None,
        url: Annotated[str | None, typer.Option(help="The server to deliver to.")] = None,
        data_dir: Annotated[Path | None, typer.Option(help="Folder of spool and socket.")] = None,
    ) -> None:
        """Measure this machine, and deliver to the server that it joined, that CARBON_URL names, or
        that `carbon up` left in the data folder."""
        from carbon.collect.agent import main

        if retry_refused:
            count = put_back(data_dir)
            typer.echo(f"{count} refused batches wait again; the agent delivers them")
            return
        arguments = ["--once"] if once else []
        given = {"join": join, "url": url, "data-dir": data_dir}
        arguments += [f"--{name}={value}" for name, value in given.items() if value is not None]
        raise typer.Exit(main(arguments))


def put_back(data_dir: Path | None) -> int:
    """Whether or not an agent runs: it looks at its spool every few seconds."""
    from carbon.collect.agent_dir import AgentDir
    from carbon.collect.spool import Spool
    from carbon.collect.spool_db import SpoolDb
    from carbon.settings import Settings

    path = AgentDir(data_dir or Settings().data_dir).spool
    if not path.exists():
        return 0
    db = SpoolDb(path)
    try:
        return Spool(db).retry_refused()
    finally:
        db.close()
