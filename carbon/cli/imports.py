"""`carbon import prometheus|sacct|codecarbon|focus`: history of tools that people already run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typer

from carbon.cli.intensity import imports
from carbon.cli.output import print_json
from carbon.errors import InvalidInput

if TYPE_CHECKING:
    from carbon.client.bringing import Brought
    from carbon.client.prometheus_history import Result
    from carbon.imports.harvest import Harvest
    from carbon.wire.energy import EnergyBatch
    from carbon.wire.quality import TroubleReport

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Since = Annotated[str, typer.Option(help="RFC 3339, or how long ago, such as 90d.")]
Until = Annotated[str | None, typer.Option(help="RFC 3339; by default now.")]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="Rules before the shipped ones, in TOML.")
]


def register(_app: typer.Typer) -> None:
    """Verbs below `carbon import`, which `intensity` adds."""
    for command in (prometheus, sacct, codecarbon, focus):
        imports.command()(command)


def prometheus(
    url: Annotated[str, typer.Option(help="Address of the Prometheus server.")],
    since: Since,
    until: Until = None,
    mapping: MappingFile = None,
    step: Annotated[str, typer.Option(help="As its scrapes, or shorter: 15s.")] = "30s",
    restart: Annotated[bool, typer.Option(help="From the start, not from where it ended.")] = False,
    json: Json = False,
) -> None:
    """What a Prometheus server remembers; begun again it goes on where it ended.

    A server behind a token: PROMETHEUS_TOKEN.
    """
    from carbon.client import Client
    from carbon.client.prometheus_history import PrometheusHistory, Window, progress_file
    from carbon.clock import SystemClock
    from carbon.imports.mapping import load_mapping
    from carbon.imports.prometheus_api import PrometheusApi
    from carbon.settings import Settings
    from carbon.wire.durations import parse_duration_ms, resolve_moment_ms, resolve_past_ms

    now_ms = SystemClock().now_ms()
    step_ms = parse_duration_ms(step)
    if step_ms < 1000:
        raise InvalidInput("invalid_duration", "--step is a second or longer")
    rules = load_mapping(mapping)
    since_ms = resolve_past_ms(since, now_ms) // step_ms * step_ms
    until_ms = min(resolve_moment_ms(until, now_ms), now_ms) if until else now_ms
    api = PrometheusApi(url, os.environ.get("PROMETHEUS_TOKEN"))
    with Client() as client:
        folder = Settings().data_dir / "imports"
        file = progress_file(folder, url, client.url, since, step_ms, rules)
        if restart:
            file.unlink(missing_ok=True)
        window = Window(since_ms, until_ms, step_ms)
        result = PrometheusHistory(api, client, rules, window, file).run(_say_progress)
    if json:
        print_json(result)
    else:
        _show(result)


def sacct(
    file: Annotated[Path, typer.Argument(help="What sacct printed; - reads standard input.")],
    timezone: Annotated[str, typer.Option(help="Of the cluster's times.")] = "UTC",
    energy: Annotated[
        bool, typer.Option(help="Not where an agent or exporter meters the nodes.")
    ] = True,
    simulate: Annotated[
        Path | None, typer.Option(help="Write the jobs for carbon simulate, too.")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Grid zone of the nodes, such as DE.")] = None,
    json: Json = False,
) -> None:
    """Slurm's accounts: runs by account, who held which node, energy of exclusive jobs.

    sacct --allusers --allocations --parsable2 --starttime 2026-01-01
    --format=JobID,JobName,User,Account,State,Submit,Start,End,AllocCPUS,NodeList,ConsumedEnergyRaw
    """
    from carbon.imports.harvest import Harvest
    from carbon.imports.sacct import read_sacct, simulate_rows, to_batches

    harvest = Harvest()
    with opened(file) as lines:
        jobs = read_sacct(lines, timezone_named(timezone), harvest)
    if simulate is not None:
        rows = "".join(f"{a:g},{n:g},{c}\n" for a, n, c in simulate_rows(jobs))
        simulate.write_text("arrival_time,length,cpus\n" + rows)
    batches = to_batches(jobs, harvest)
    if not energy:
        batches = (msgspec.structs.replace(batch, intervals=[]) for batch in batches)
    if zone is not None:
        batches = (msgspec.structs.replace(batch, zone=zone) for batch in batches)
    _bring("sacct", batches, harvest, json, f"{len(jobs)} jobs")


def focus(
    file: Annotated[Path, typer.Argument(help="CSV; - reads standard input.")],
    tag: Annotated[str, typer.Option(help="Tag that names the workload.")] = "app",
    json: Json = False,
) -> None:
    """A cloud bill in the FOCUS format: machine hours as estimated energy by instance type."""
    from carbon.imports.focus import Machines, read_focus
    from carbon.imports.harvest import Harvest

    harvest, machines = Harvest(), Machines()
    with opened(file) as lines:
        batches = list(read_focus(lines, harvest, tag, machines))
    found = machines.by_energy()
    if not json:
        for one in found:
            typer.echo(
                f"{one.type}  {one.hours:,.0f} h at {one.watts:,.0f} W ({one.low_w:,.0f} to "
                f"{one.high_w:,.0f}), {one.tier}: {one.source}"
            )
    _bring("focus", batches, harvest, json, "", machines=found)


def codecarbon(
    file: Annotated[Path, typer.Argument(help="emissions.csv; - reads standard input.")],
    timezone: Annotated[
        str, typer.Option("--timezone", help="Of its times, which state none.")
    ] = "UTC",
    host: Annotated[
        str | None, typer.Option(help="Where they ran: what our agent metered there stays.")
    ] = None,
    json: Json = False,
) -> None:
    """Runs that CodeCarbon wrote to a file; the project is the workload."""
    from carbon.imports.codecarbon_csv import read_codecarbon
    from carbon.imports.harvest import Harvest

    harvest = Harvest()
    with opened(file) as lines:
        batches, claimed_g = read_codecarbon(lines, timezone_named(timezone), harvest, host)
    told = f"{len(batches)} runs, {claimed_g:.3g} g by CodeCarbon's own account"
    _bring("codecarbon", batches, harvest, json, told)


def _bring(
    source: str,
    batches: Iterable[EnergyBatch],
    harvest: Harvest,
    json: bool,
    told: str,
    **beside: object,
) -> None:
    """`beside` stands in the JSON with what became of it."""
    from carbon.client import Client
    from carbon.client.bringing import Bringer, Brought

    brought = Brought()
    with Client() as client:
        bringer = Bringer(client, source, brought)
        bringer.energy_of_all(batches, harvest)
        bringer.tell(harvest)
    if json:
        print_json({**msgspec.to_builtins(brought), **beside})
        return
    typer.echo(", ".join(filter(None, [told, _told(brought)])))
    show_troubles(brought.troubles)


@contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    if str(file) == "-":
        yield sys.stdin
        return
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            yield lines
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("file_unreadable", f"cannot read {file}: {error}") from None


def timezone_named(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidInput(
            "unknown_timezone", f"no time zone {name!r}: UTC, Europe/Paris"
        ) from None


def _told(brought: Brought) -> str:
    return (
        f"{brought.intervals} intervals, {brought.counts} counts: {brought.accepted} new, "
        f"{brought.duplicate} known, {brought.conflict} contradict, {brought.rejected} refused"
    )


def _say_progress(done_ms: int, whole_ms: int) -> None:
    typer.echo(f"  {done_ms / whole_ms:4.0%}", err=True)


def _show(result: Result) -> None:
    rate = result.points / result.seconds if result.seconds else 0
    typer.echo(f"{result.points} points in {result.seconds:.1f} s ({rate:,.0f}/s), {_told(result)}")
    if not result.is_exact:
        typer.echo("  at the query's times: the server does not tell when readings were taken")
    show_troubles(result.troubles)


def show_troubles(troubles: list[TroubleReport]) -> None:
    """A few of them; all are in data quality."""
    for trouble in troubles[:10]:
        typer.echo(f"  {trouble.code}  {trouble.about}: {trouble.detail} ({trouble.count} times)")
    if len(troubles) > 10:
        typer.echo(f"  … and {len(troubles) - 10} more: see data quality")
