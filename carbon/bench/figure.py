"""Figures, each beside its target, with the machine and the commit that gave them."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from msgspec import UNSET, Struct, UnsetType

from carbon.collect.machine import cpu_name


class Figure(Struct, frozen=True):
    """`met` is null where there is no target, or where the figure could not be taken."""

    name: str
    value: float | None
    unit: str
    target: str | None = None
    met: bool | None = None
    note: str | UnsetType = UNSET


def at_least(name: str, value: float, unit: str, target: float, note: str = "") -> Figure:
    return Figure(name, value, unit, f">= {target:g}", value >= target, note or UNSET)


def at_most(name: str, value: float, unit: str, target: float, note: str = "") -> Figure:
    return Figure(name, value, unit, f"<= {target:g}", value <= target, note or UNSET)


def reported(name: str, value: float, unit: str, note: str = "") -> Figure:
    return Figure(name, value, unit, note=note or UNSET)


def not_taken(name: str, unit: str, why: str, target: str | None = None) -> Figure:
    return Figure(name, None, unit, target, None, why)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line passes to a bench."""

    #: A database to measure instead of a temporary SQLite file.
    db_url: str | None = None
    #: Folder of real traces, as $CARBON_BENCH_DATA names it; None where there is none.
    data: Path | None = None
    #: Smaller and quicker, for a look.
    quick: bool = False
    #: Raw rows to load, where a bench loads any; None takes its default.
    rows: int | None = None
    #: Of a bench that runs in parts the one that is meant; None runs all.
    part: str | None = None
    #: Folder in which a bench that generates a ledger keeps it for the next time; None keeps none.
    kept: Path | None = None

    def takes(self, part: str) -> bool:
        return self.part in (None, part)


def report(bench: str, figures: Sequence[Figure]) -> dict[str, Any]:
    """The body that `carbon bench NAME --json` prints."""
    return {"bench": bench, "commit": commit(), "machine": machine(), "figures": list(figures)}


def all_met(figures: Sequence[Figure]) -> bool:
    return not any(figure.met is False for figure in figures)


def machine() -> str:
    memory_gb = psutil.virtual_memory().total / 1e9
    cores = psutil.cpu_count()
    python = platform.python_version()
    return f"{cpu_name()}, {cores} cores, {memory_gb:.0f} GB, {platform.system()}, Python {python}"


def commit() -> str:
    """The checkout's commit, marked where files differ from it; `unknown` outside of one."""
    here = Path(__file__).resolve().parent
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told.stdout.strip()
