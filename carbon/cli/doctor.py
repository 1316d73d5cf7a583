"""`carbon doctor`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from carbon.cli.output import print_json

if TYPE_CHECKING:
    from carbon.collect.checkup import Finding
    from carbon.collect.host_agent import AgentOptions
    from carbon.collect.protocol import Status

_MARKS: Final = {
    "ok": ("ok  ", "green"),
    "limited": ("some", "yellow"),
    "absent": ("none", "dim"),
    "failing": ("FAIL", "bold red"),
}
_REACH_S: Final = 2.0


def register(app: typer.Typer) -> None:
    @app.command()
    def doctor(
        json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
        data_dir: Annotated[Path | None, typer.Option(help="Folder of spool and socket.")] = None,
    ) -> None:
        """Say what can be measured here, what cannot, and the mend; exit 1 where no sensor
        answers."""
        findings = examine(data_dir)
        measures = any(finding.measures for finding in findings)
        if json:
            print_json({"measures": measures, "findings": findings})
        else:
            _show(findings)
            print(
                "energy is measured here"
                if measures
                else "no sensor answers: what this machine draws is modelled at best"
            )
        raise typer.Exit(0 if measures else 1)


def examine(data_dir: Path | None = None) -> list[Finding]:
    from carbon.client.options import local_options
    from carbon.collect.agent_dir import AgentDir
    from carbon.collect.checkup import check_meters, check_processes

    options = local_options(data_dir)
    folder = AgentDir(options.data_dir).folder
    return [
        *check_meters(folder),
        *check_processes(),
        *_check_agent(options),
        *_check_rules(AgentDir(options.data_dir).rules),
        *_check_spool(AgentDir(options.data_dir).spool),
        _check_server(options),
        _check_zone(options),
    ]


def _show(findings: Sequence[Finding]) -> None:
    """A line for each, as often as it was found, and below it the mend."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A terminal wraps at words and below their own column; who reads from a pipe wants whole lines.
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=10_000)
    for finding, times in Counter(findings).items():
        mark, colour = _MARKS[finding.state]
        often = f"{times} x " if times > 1 else ""
        table = Table.grid(padding=(0, 2))
        table.add_row(Text(mark, colour), f"{finding.area:12}", Text(f"{often}{finding.detail}"))
        if finding.mend:
            table.add_row("", "", Text(f"mend: {finding.mend}", "italic"))
        console.print(table)


def _check_agent(options: AgentOptions) -> Iterator[Finding]:
    from carbon.client.agent_link import AgentGone, AgentLink, AgentRefused
    from carbon.collect.checkup import Finding, State
    from carbon.collect.protocol import Status, StatusRequest

    try:
        link = AgentLink(options.data_dir)
        try:
            status = link.call(StatusRequest(), Status)
        finally:
            link.close()
    except (AgentGone, AgentRefused) as gone:
        mend = "start `carbon up` or `carbon agent`; until then each `carbon run` samples itself"
        yield Finding("agent", State.ABSENT, f"none answers here ({gone})", mend)
        return
    yield Finding("agent", State.OK, f"process {status.pid} samples {_of(status)}")
    for fault in status.faults[-5:]:
        yield Finding("fault", State.LIMITED, fault)


def _of(status: Status) -> str:
    devices, runs = len(status.devices), len(status.runs)
    return f"{devices} devices, {runs} runs are registered"


def _check_rules(path: Path) -> Iterator[Finding]:
    from carbon.collect.checkup import Finding, State
    from carbon.collect.naming import read_rules
    from carbon.errors import InvalidInput

    if not path.exists():
        return
    try:
        rules = read_rules(path)
    except InvalidInput as error:
        mend = "mend the file and start the agent anew: until then users are hidden and unmapped"
        yield Finding("rules", State.FAILING, error.detail, mend)
    else:
        yield Finding("rules", State.OK, f"{path}: {len(rules.rule)} rules")


def _check_spool(path: Path) -> Iterator[Finding]:
    from carbon.collect.checkup import Finding, State
    from carbon.collect.spool import Spool
    from carbon.collect.spool_db import SpoolDb

    if not path.exists():
        yield Finding("spool", State.OK, "nothing waits")
        return
    db = SpoolDb(path)
    try:
        spool = Spool(db)
        depth, refused = spool.depth, spool.refused
    finally:
        db.close()
    yield Finding("spool", State.OK, f"{depth} batches wait, {path.stat().st_size / 1e6:.1f} MB")
    if refused:
        seq, status, answer = refused[-1]
        detail = f"the server refused {len(refused)} batches; of {seq} it said {status} {answer}"
        yield Finding(
            "refused", State.FAILING, detail[:300], "then, `carbon agent --retry-refused`"
        )


def _check_server(options: AgentOptions) -> Finding:
    import httpx2

    from carbon.collect.checkup import Finding, State
    from carbon.collect.joining import agent_server

    server = agent_server(options.data_dir, options.url, options.key)
    if server is None:
        mend = (
            "start `carbon up`, or `carbon agent --join TOKEN --url SERVER`; until then all is "
            "spooled"
        )
        return Finding("server", State.ABSENT, "no server is known", mend)
    try:
        answer = httpx2.get(f"{server.url}/healthz", timeout=_REACH_S)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        mend = "the spool keeps everything until it is back"
        detail = f"{server.url} does not answer: {error or type(error).__name__}"
        return Finding("server", State.FAILING, detail, mend)
    if not answer.is_success:
        return Finding("server", State.FAILING, f"{server.url} answers {answer.status_code}")
    if server.key is None:
        mend = "`carbon agent --join TOKEN`, with a token of `carbon host token` on the server"
        return Finding("server", State.LIMITED, f"{server.url} answers; no key is known", mend)
    return Finding("server", State.OK, f"{server.url} answers")


def _check_zone(options: AgentOptions) -> Finding:
    from carbon.collect.checkup import Finding, State

    mend = "set CARBON_ZONE, such as DE or US-CAL-CISO"
    if options.zone is None:
        detail = "nobody says where this machine stands: the world's mean intensity is taken"
        return Finding("zone", State.LIMITED, detail, mend)
    if options.zone_is_guess:
        detail = f"{options.zone}, guessed from the time zone"
        return Finding("zone", State.LIMITED, detail, mend)
    return Finding("zone", State.OK, options.zone)
