"""`carbon report`: issued, shown, explained and restated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from carbon.cli.choices import choice
from carbon.cli.output import mass, print_json, significant
from carbon.cli.sci import sci_lines
from carbon.domain.budget import Period
from carbon.errors import InvalidInput

if TYPE_CHECKING:
    from carbon.client import Client

report = typer.Typer(help="Statements that stay as they were issued.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]

#: A quarter that was brought a minute ago is summed up first.
_SUMMING_UP_S = 900.0


def register(app: typer.Typer) -> None:
    app.add_typer(report, name="report")


@report.command()
def issue(
    workloads: Annotated[
        list[str] | None, typer.Argument(help="By default all that drew energy meanwhile.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="RFC 3339.")] = None,
    end: Annotated[str | None, typer.Option(help="RFC 3339.")] = None,
    period: Annotated[
        str | None, typer.Option(help="Instead: last-month, last-quarter or last-year.")
    ] = None,
    unit: Annotated[list[str] | None, typer.Option(help="By default all own units.")] = None,
    title: Annotated[str, typer.Option(help="What it is called.")] = "",
    idle: Annotated[
        str, typer.Option(help="Unreserved idle time: reserver, proportional or overhead.")
    ] = "reserver",
    host_parts: Annotated[
        str, typer.Option(help="CPU and DRAM of a host with GPUs: energy or reservation.")
    ] = "energy",
    materiality: Annotated[float, typer.Option(help="Change above which to notify.")] = 0.05,
    recipient: Annotated[
        list[str] | None, typer.Option(help="Mail address to tell of changes; may repeat.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="Target of CARBON_WEBHOOKS to tell of changes.")
    ] = None,
    json: Json = False,
) -> None:
    """Issue a report of a window: immutable, and chained into the audit log."""
    from carbon.client import Client

    client = Client(timeout_s=_SUMMING_UP_S)
    start, end = _window(start, end, period)
    answer = client.issue_report(
        workloads=workloads or _drawing(client, start, end),
        start=start,
        end=end,
        units=unit or [],
        title=title,
        idle=idle,
        host_parts=host_parts,
        materiality=materiality,
        recipients=recipient or [],
        webhook=webhook,
    )
    _print(answer, json)


@report.command("list")
def list_(json: Json = False) -> None:
    """The newest reports."""
    from carbon.client import Client

    answer = Client().reports()
    if json:
        print_json(answer)
        return
    for one in answer["reports"]:
        restates = f"  restates {one['restates']}" if one["restates"] else ""
        typer.echo(f"{one['id']}  {one['issued_at']}  {one['team']}  {one['title']}{restates}")


@report.command()
def show(report_id: str, json: Json = False) -> None:
    """A report as it was issued."""
    from carbon.client import Client

    _print(Client().report(report_id), json)


@report.command()
def explain(
    report_id: str,
    workload: Annotated[str | None, typer.Option(help="By default the first.")] = None,
    unit: Annotated[str | None, typer.Option(help="By default the first.")] = None,
    json: Json = False,
) -> None:
    """From a number to its formula, factors, rows and readings."""
    from carbon.client import Client

    answer = Client().explain_report(report_id, workload=workload, unit=unit)
    if json:
        print_json(answer)
    else:
        typer.echo(_explained(answer))


@report.command()
def close(
    start: Annotated[str, typer.Option(help="RFC 3339.")],
    end: Annotated[str, typer.Option(help="RFC 3339.")],
    signed_by: Annotated[str, typer.Option(help="Who answers for the period, by name.")],
    statement: Annotated[str, typer.Option(help="What they say to what is missing.")] = "",
    accept_incomplete: Annotated[
        bool, typer.Option("--accept-incomplete", help="Sign although something is missing.")
    ] = False,
    json: Json = False,
) -> None:
    """Close and sign a period: its reports are complete and hold today."""
    from carbon.client import Client

    answer = Client(timeout_s=_SUMMING_UP_S).close_period(
        start=start,
        end=end,
        signed_by=signed_by,
        statement=statement,
        accept_incomplete=accept_incomplete,
    )
    if json:
        print_json(answer)
        return
    hosts = answer["completeness"]
    typer.echo(
        f"{answer['id']}  {answer['start']} to {answer['end']}, signed by {answer['signed_by']}: "
        f"{len(answer['reports'])} reports, {hosts['hosts_reporting']} of "
        f"{hosts['hosts_registered']} hosts"
    )


@report.command()
def restate(
    report_id: str,
    commit: Annotated[bool, typer.Option("--commit", help="Issue it anew.")] = False,
    reason: Annotated[str, typer.Option(help="Why; needed to commit.")] = "",
    json: Json = False,
) -> None:
    """What a report would say now; with --commit it is issued beside the old one."""
    from carbon.client import Client

    answer = Client(timeout_s=_SUMMING_UP_S).restate_report(report_id, commit=commit, reason=reason)
    if json:
        print_json(answer)
        return
    typer.echo("\n".join(_differences(answer)) or f"{report_id} says the same today")


def _window(start: str | None, end: str | None, period: str | None) -> tuple[str, str]:
    """Raises InvalidInput(`missing_window`, `invalid_choice`)."""
    if period is None:
        if start is None or end is None:
            raise InvalidInput(
                "missing_window", "state --start and --end, or --period last-quarter"
            )
        return start, end
    if start is not None or end is not None:
        raise InvalidInput("invalid_choice", "state --period, or --start and --end")
    from carbon.clock import SystemClock, to_rfc3339
    from carbon.services.sci.civil_period import period_around
    from carbon.settings import Settings

    length = choice(Period, period.removeprefix("last-"), "--period")
    timezone = ZoneInfo(Settings().timezone)
    this = period_around(SystemClock().now_ms(), Period(length), timezone)
    last = period_around(this.start_ms - 1, Period(length), timezone)
    return to_rfc3339(last.start_ms), to_rfc3339(last.end_ms)


def _drawing(client: Client, start: str, end: str) -> list[str]:
    """Every workload that drew energy in a window. Raises InvalidInput(`nothing_to_report`)."""
    groups = client.sci_series(group_by="workload", start=start, end=end)["groups"]
    names = [one["group"]["workload"] for one in groups]
    found = sorted({name for name in names if name and "/" in name})
    if not found:
        raise InvalidInput("nothing_to_report", f"no workload drew anything from {start} to {end}")
    return found


def _print(answer: dict[str, Any], json: bool) -> None:
    if json:
        print_json(answer)
        return
    statement = answer["statement"]
    typer.echo(f"{answer['id']}  {answer['title']}  issued {answer['issued_at']}")
    if answer["superseded_by"]:
        typer.echo(f"  superseded by {answer['superseded_by']}  {answer['notice'] or ''}".rstrip())
    for one in answer["notices"]:
        told = f"{one['channel']} {one['target']}: {one['state']} {one['detail']}"
        typer.echo(f"  notice       {told}".rstrip())
    if statement["marks"]:
        typer.echo(f"  marks        {', '.join(statement['marks'])}")
    for line in statement["lines"]:
        typer.echo(sci_lines(line["answer"]))
    typer.echo(f"  statement    {answer['statement_hash']}")
    typer.echo(f"  chained as   {answer['audit_entry']}, {answer['audit_hash']}")


def _explained(answer: dict[str, Any]) -> str:
    lines = [f"{answer['workload']} per {answer['unit']}: {answer['formula']}"]
    for term in answer["terms"]:
        value = "none" if term["value"] is None else significant(term["value"], 6)
        lines.append(f"  {term['symbol']:4} {value} {term['unit']}  = {term['how']}")
    lines += [f"  M    {formula}" for formula in answer["embodied_formulas"]]
    lines += [f"  O    {row['start']}  {row['device']}  {row['formula']}" for row in answer["rows"]]
    lines += [
        f"  E    {one['start']} to {one['end']}  {one['device']}  {one['energy_mj']} mJ"
        f"  {one['method']} by {one['meter']}"
        for one in answer["readings"]
    ]
    state = "gives the same inputs today" if answer["unchanged"] else "has changed since"
    return "\n".join([*lines, f"the ledger {state}"])


def _differences(answer: dict[str, Any]) -> list[str]:
    lines = []
    for line in answer["lines"]:
        causes = ", ".join(line["causes"])
        lines.append(f"{line['workload']} per {line['unit']}  ({causes} changed)")
        for figure in line["figures"]:
            change = "" if figure["change"] is None else f"  {figure['change']:+.2%}"
            shown = [_figure(figure, side) for side in ("as_reported", "restated")]
            lines.append(f"  {figure['figure']:15} {shown[0]} -> {shown[1]}{change}")
    if answer["notice"]:
        lines.append("above the report's materiality: its recipients are to be told")
    if answer["restated"]:
        lines.append(f"issued as {answer['restated']['id']}")
    return lines


def _figure(figure: dict[str, Any], side: str) -> str:
    value = figure[side]
    if value is None:
        return "none"
    return significant(value, 6) if figure["figure"] == "count" else mass(value)
