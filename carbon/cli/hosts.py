"""`carbon host`: where machines stand, from when on, and which of them are silent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli import host_import
from carbon.cli.join_tokens import tokens
from carbon.cli.output import print_json

host = typer.Typer(help="The inventory of hosts.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Name = Annotated[str, typer.Argument(help="As its agent names it.")]
Site = Annotated[str | None, typer.Option(help="Where it stands.")]
Zone = Annotated[str | None, typer.Option(help="Grid zone, such as DE.")]
Pue = Annotated[float | None, typer.Option(help="Of its site, from 1 on.")]
Owner = Annotated[str | None, typer.Option(help="Who answers for it.")]
Region = Annotated[
    str | None, typer.Option(help="Of a cloud, such as aws/eu-west-1: brings its zone and PUE.")
]
Server = Annotated[
    str | None,
    typer.Option(help="Its model without GPUs, which share its making: 'Dell R740', generic."),
]
Gpus = Annotated[int | None, typer.Option(help="How many share it, where not all are metered.")]
Commissioned = Annotated[str | None, typer.Option(help="RFC 3339: expected to report from then.")]
Retired = Annotated[str | None, typer.Option(help="RFC 3339: expected to report until then.")]
Trackers = Annotated[
    list[str] | None,
    typer.Option("--tracker", help="Address whose CodeCarbon trackers run on it; may repeat."),
]


def register(app: typer.Typer) -> None:
    host.add_typer(tokens, name="token")
    host_import.register(host)
    app.add_typer(host, name="host")


@host.command()
def add(
    name: Name,
    site: Site = None,
    zone: Zone = None,
    pue: Pue = None,
    owner: Owner = None,
    region: Region = None,
    server: Server = None,
    gpus: Gpus = None,
    commissioned: Commissioned = None,
    retired: Retired = None,
    tracker: Trackers = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", help="RFC 3339; by default for all time.")
    ] = None,
    json: Json = False,
) -> None:
    """Note what is known of a host; what it ran since is priced anew."""
    stated = {"site": site, "zone": zone, "pue": pue, "owner": owner, "valid_from": valid_from}
    machine = {"region": region, "server": server, "gpus": gpus}
    dates = {"commissioned": commissioned, "retired": retired, "trackers": tracker}
    _record(name, json, **stated, **machine, **dates)


@host.command("set")
def set_(
    name: Name,
    site: Site = None,
    zone: Zone = None,
    pue: Pue = None,
    owner: Owner = None,
    region: Region = None,
    server: Server = None,
    gpus: Gpus = None,
    commissioned: Commissioned = None,
    retired: Retired = None,
    tracker: Trackers = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", help="RFC 3339; by default from now on.")
    ] = None,
    json: Json = False,
) -> None:
    """Change what is said of a host, from a time on; what is not named stays as it was."""
    from carbon.clock import SystemClock, to_rfc3339

    _check_known(name)
    since = valid_from or to_rfc3339(SystemClock().now_ms())
    stated = {"site": site, "zone": zone, "pue": pue, "owner": owner, "valid_from": since}
    machine = {"region": region, "server": server, "gpus": gpus}
    dates = {"commissioned": commissioned, "retired": retired, "trackers": tracker}
    _record(name, json, **stated, **machine, **dates)


@host.command()
def retire(
    name: Name,
    at: Annotated[str | None, typer.Option(help="RFC 3339; by default now.")] = None,
    json: Json = False,
) -> None:
    """Take a host out of service: from then on nobody waits for its readings."""
    from carbon.clock import SystemClock, to_rfc3339

    _check_known(name)
    _record(name, json, retired=at or to_rfc3339(SystemClock().now_ms()))


@host.command("list")
def list_(
    start: Annotated[str | None, typer.Option(help="Of the completeness, RFC 3339.")] = None,
    end: Annotated[str | None, typer.Option(help="By default now, and start 24 h before.")] = None,
    json: Json = False,
) -> None:
    """Every host with what holds now, and how much of the window it reported."""
    from carbon.client import Client

    with Client() as client:
        found = client.hosts(start=start, end=end)
    if json:
        print_json(found)
        return
    for known in found["hosts"]:
        typer.echo(_line(known))
    if found["completeness"] is not None:
        typer.echo(
            f"completeness {found['completeness']:.1%} of what the registered hosts should have "
            f"reported; {found['silent']} silent"
        )


def _check_known(name: str) -> None:
    from difflib import get_close_matches

    from carbon.client import Client
    from carbon.errors import NotFound

    with Client() as client:
        names = [known["name"] for known in client.hosts()["hosts"]]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        mend = f"did you mean {near[0]}?" if near else f"add it with: carbon host add {name}"
        raise NotFound("unknown_host", f"no host {name!r}; {mend}")


def _record(name: str, json: bool, **members: Any) -> None:
    from carbon.client import Client

    with Client() as client:
        known = client.add_host(name=name, **{k: v for k, v in members.items() if v is not None})
    if json:
        print_json(known)
    else:
        typer.echo(_line(known))


def _line(known: dict[str, Any]) -> str:
    pue = f"PUE {known['pue']}" if known["pue"] is not None else "PUE not set"
    site = known["site"] or known.get("region") or "no site"
    said = [site, known["zone"] or "no zone", pue, known["owner"] or ""]
    state = known["state"]
    if known["completeness"] is not None:
        state = f"{state} ({known['completeness']:.0%})"
    return f"{known['name']:24}  {'  '.join(said).rstrip()}  {known['devices']} devices  {state}"
