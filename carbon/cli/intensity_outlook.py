"""`carbon intensity history|best-window|zones|configmap`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Annotated, Any

import msgspec
import typer

from carbon.cli.choices import ScopeOption, SignalOption, series_query
from carbon.cli.output import print_json, significant
from carbon.errors import InvalidInput, NotFound

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Point = dict[str, Any]

#: Kinds by which a job may be moved.
_FORETELLS = frozenset({"forecast", "typical"})
_BARS = "▁▂▃▄▅▆▇█"


def register(intensity: typer.Typer) -> None:
    for command in (history, zones, configmap):
        intensity.command()(command)
    intensity.command("best-window")(best_window)


def history(
    zone: str,
    hours: Annotated[int, typer.Option(min=1, max=9600, help="How far back.")] = 24,
    signal: SignalOption = "average",
    scope: ScopeOption = None,
    as_of: Annotated[
        str | None, typer.Option(help="As it was known then, RFC 3339: without later revisions.")
    ] = None,
    json: Json = False,
) -> None:
    """The last hours, as a chart."""
    from carbon.client import Client
    from carbon.clock import SystemClock, to_rfc3339

    now_ms = SystemClock().now_ms()
    start = to_rfc3339(now_ms - hours * 3_600_000)
    query = series_query(signal, scope) | ({"as_of": as_of} if as_of else {})
    answer = Client().intensity(zone, start=start, end=to_rfc3339(now_ms), **query)
    if json:
        print_json(answer)
        return
    points = answer["points"]
    typer.echo(f"{answer['zone']}  {chart([p['g_per_kwh'] for p in points])}")
    for source in dict.fromkeys(f"{p['source']} ({p['signal']}, {p['scope']})" for p in points):
        typer.echo(f"  from {source}")


def chart(values: Sequence[float], width: int = 72) -> str:
    """One line of bars from 0 to the highest, and the lowest and highest in figures."""
    if not values:
        return "nothing known"
    highest, step = max(values), max(1, -(-len(values) // width))
    means = [sum(part) / len(part) for part in _parts(values, step)]
    bars = "".join(_BARS[min(7, int(8 * mean / highest))] for mean in means)
    return f"{bars}  {significant(min(values))} to {significant(highest)} g/kWh"


def _parts(values: Sequence[float], size: int) -> list[Sequence[float]]:
    return [values[at : at + size] for at in range(0, len(values), size)]


def best_window(
    zone: str,
    length: Annotated[str, typer.Option(help="Such as 2h or 90m.")] = "2h",
    within: Annotated[int, typer.Option(min=1, max=96, help="Hours to look ahead.")] = 24,
    signal: SignalOption = "average",
    scope: ScopeOption = None,
    json: Json = False,
) -> None:
    """The cleanest stretch of the hours ahead."""
    from carbon.client import Client

    minutes = _minutes(length)
    points = Client().forecast(zone, hours=within, **series_query(signal, scope))["points"]
    best = cleanest(points, minutes)
    if json:
        print_json({"zone": zone, **best})
        return
    typer.echo(
        f"{best['start']} to {best['end']}: {significant(best['g_per_kwh'])} g/kWh, "
        f"now {significant(best['now_g_per_kwh'])}"
    )


def cleanest(points: Sequence[Point], minutes: float) -> Point:
    """The window of the lowest mean among points that may move a job; of equal ones the first.

    Raises NotFound `no_forecast`, InvalidInput `window_does_not_fit`.
    """
    ahead = _ahead(points)
    if not ahead:
        raise NotFound("no_forecast", "nothing is foretold: bring a feed, or some days of history")
    marks = [_time(ahead[0]["start"]), *(_time(point["end"]) for point in ahead)]
    minutes_of = [(b - a).total_seconds() / 60 for a, b in pairwise(marks)]
    grams = [p["g_per_kwh"] * m for p, m in zip(ahead, minutes_of, strict=True)]
    area = [0.0, *accumulate(grams)]
    length = timedelta(minutes=minutes)
    starts = {*marks, *(mark - length for mark in marks)}
    fitting = sorted(at for at in starts if marks[0] <= at and at + length <= marks[-1])
    if not fitting:
        raise InvalidInput("window_does_not_fit", "the window is longer than what is foretold")

    def mean(at: datetime) -> float:
        return (_integral(marks, area, at + length) - _integral(marks, area, at)) / minutes

    best = min(fitting, key=lambda at: (round(mean(at), 6), at))
    return {
        "start": _stamp(best),
        "end": _stamp(best + length),
        "g_per_kwh": mean(best),
        "now_g_per_kwh": points[0]["g_per_kwh"],
        "source": ahead[0]["source"],
    }


def _ahead(points: Sequence[Point]) -> list[Point]:
    """From the first foretold point up to the first gap."""
    made: list[Point] = []
    for point in points:
        if point["kind"] in _FORETELLS and (not made or made[-1]["end"] == point["start"]):
            made.append(point)
        elif made:
            break
    return made


def _integral(marks: Sequence[datetime], area: Sequence[float], at: datetime) -> float:
    index = max(i for i, mark in enumerate(marks) if mark <= at)
    if index == len(marks) - 1:
        return area[-1]
    share = (at - marks[index]) / (marks[index + 1] - marks[index])
    return area[index] + share * (area[index + 1] - area[index])


def zones(
    at: Annotated[
        str | None, typer.Option(help="LATITUDE,LONGITUDE in degrees: the zone that feeds it.")
    ] = None,
    json: Json = False,
) -> None:
    """The zones there are, and the sources of each that need no key; or that of a place."""
    if at is not None:
        _zone_at(at, json)
        return
    from carbon.domain.yearly import ZONE_NAMES
    from carbon.grid import eia_zones, neso
    from carbon.grid.ladder import sources_for

    rows = [
        {"zone": zone, "name": ZONE_NAMES.get(zone, ""), "sources": list(sources_for(zone))}
        for zone in sorted({*ZONE_NAMES, *eia_zones.ZONES, *neso.ZONES})
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['zone']:12} {row['name']:32} {', '.join(row['sources'])}")


def _zone_at(place: str, json: bool) -> None:
    from carbon.client import Client

    try:
        latitude, longitude = (float(part) for part in place.split(","))
    except ValueError:
        raise InvalidInput("invalid_place", "--at takes LATITUDE,LONGITUDE: 52.5,13.4") from None
    told = Client().zone_at(latitude, longitude)
    if json:
        print_json(told)
    else:
        typer.echo(f"{told['zone']}  by {told['source']}")


def configmap(
    zone: str,
    name: Annotated[str, typer.Option(help="metadata.name")] = "carbon-intensity",
    namespace: Annotated[str, typer.Option(help="metadata.namespace")] = "kube-system",
) -> None:
    """The forecast as the ConfigMap that the KEDA carbon-aware operator reads, for kubectl."""
    from carbon.client import Client
    from carbon.clock import SystemClock, to_rfc3339

    points = _ahead(Client().forecast(zone, hours=96)["points"])
    if not points:
        raise NotFound("no_forecast", f"nothing foretells {zone}: bring a feed, or some history")
    print_json(config_map(zone, points, to_rfc3339(SystemClock().now_ms()), name, namespace))


def config_map(
    zone: str, points: Sequence[Point], now: str, name: str, namespace: str
) -> dict[str, Any]:
    """`minForcast` and `maxForcast` are spelt as the operator's exporter spells them."""
    rows = [
        {
            "location": zone,
            "timestamp": point["start"],
            "duration": round((_time(point["end"]) - _time(point["start"])).total_seconds() / 60),
            "value": point["g_per_kwh"],
        }
        for point in points
    ]
    values = [point["g_per_kwh"] for point in points]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {
            "lastHeartbeatTime": now,
            "message": "",
            "numOfRecords": str(len(rows)),
            "forecastDateTime": points[0]["vintage"] or now,
            "minForcast": str(min(values)),
            "maxForcast": str(max(values)),
        },
        "binaryData": {"data": b64encode(msgspec.json.encode(rows)).decode()},
    }


def _minutes(text: str) -> float:
    try:
        value = float(text[:-1]) * {"h": 60, "m": 1}[text[-1:]]
    except (ValueError, KeyError):
        value = 0.0
    if not 0 < value <= 96 * 60:
        raise InvalidInput("invalid_length", "--length reads 2h or 90m, up to 96h")
    return value


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
