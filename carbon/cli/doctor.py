"""`carbon doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from carbon.cli.output import print_json

if TYPE_CHECKING:
    from carbon.collect.checkup import Finding
    from carbon.collect.host_agent import AgentOptions
    from carbon.collect.protocol import Status

_MARKS: Final = {"ok": "ok  ", "limited": "some", "absent": "none", "failing": "FAIL"}
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
            for finding in findings:
                typer.echo(_told(finding))
            typer.echo(
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


def _told(finding: Finding) -> str:
    line = f"{_MARKS[finding.state]}  {finding.area:12} {finding.detail}"
    return f"{line}\n{'':18} mend: {finding.mend}" if finding.mend else line


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
