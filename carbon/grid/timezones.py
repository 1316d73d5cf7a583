"""The country of a time zone, by the tz database: a guess at where a machine stands."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

#: Old names that the database files under some city; they name a rule and no country.
# fmt: off
_NO_PLACE: Final = frozenset({
    "CET", "EET", "MET", "WET", "EST", "MST", "HST", "EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT",
})
# fmt: on


def timezone_country(name: str) -> str | None:
    """ISO 3166 alpha-2 of `Europe/Berlin`; None for UTC and whatever names no country."""
    if name in _NO_PLACE:
        return None
    countries, links = _database()
    return countries.get(name) or countries.get(links.get(name, ""))


def system_timezone(
    environ: Mapping[str, str] | None = None, etc: Path = Path("/etc")
) -> str | None:
    """The IANA name of this machine's time zone: TZ, /etc/timezone, or /etc/localtime's target."""
    named = (os.environ if environ is None else environ).get("TZ", "").lstrip(":")
    if named:
        return named
    try:
        return (etc / "timezone").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        target = os.path.realpath(etc / "localtime")
        _, found, name = target.rpartition("/zoneinfo/")
        return name if found else None


@cache
def _database() -> tuple[dict[str, str], dict[str, str]]:
    """Country by zone name, and zone name by former name; empty where no database is."""
    for folder in _folders():
        try:
            table = (folder / "zone.tab").read_text(encoding="utf-8")
            rules = (folder / "tzdata.zi").read_text(encoding="utf-8")
        except OSError:
            continue
        return dict(_countries(table)), dict(_links(rules))
    return {}, {}


def _folders() -> Iterator[Traversable]:
    if find_spec("tzdata"):
        yield files("tzdata") / "zoneinfo"
    yield Path("/usr/share/zoneinfo")


def _countries(table: str) -> Iterator[tuple[str, str]]:
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, name = line.split("\t")[:3]
            yield name, country


def _links(rules: str) -> Iterator[tuple[str, str]]:
    for line in rules.splitlines():
        if line.startswith("L "):
            _, target, name = line.split()
            yield name, target
