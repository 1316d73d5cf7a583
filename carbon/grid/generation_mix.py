"""From what plants generated to g/kWh: a mean of factors, weighted by energy.

Of the zone's own production; what it imports is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from carbon.domain.intensity import IntensityPoint, PointKind
from carbon.grid.source_factors import Fuel, SourceFactors

#: Of the energy, what may come from plants without a factor; with more, a moment has no figure.
UNRATED_SHARE: Final = 0.1
#: A series that spans less than this share of the time is no regular part of the mix.
REGULAR_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Output:
    """Mean power over [start, end)."""

    start_ms: int
    end_ms: int
    mw: float


def mix_points(
    outputs: Mapping[str, Sequence[Output]], fuels: Mapping[str, Fuel], factors: SourceFactors
) -> list[IntensityPoint]:
    """One ACTUAL point for each step between the marks of all series, in order of time.

    `outputs` by the source's own name of a kind of plant, in steps that may differ. A moment
    at which a regular kind says nothing has no figure, since the mix would look like another;
    the newest moments often lack one. Storage is left out, negative output counts as 0.
    """
    return [
        IntensityPoint(share.start_ms, share.end_ms, share.g_per_kwh, PointKind.ACTUAL)
        for share in mix_shares(outputs, fuels, factors)
    ]


@dataclass(frozen=True, slots=True)
class MixShare:
    """What the rated plants generate over [start, end), and its mean g/kWh."""

    start_ms: int
    end_ms: int
    mw: float
    g_per_kwh: float


def mix_shares(
    outputs: Mapping[str, Sequence[Output]], fuels: Mapping[str, Fuel], factors: SourceFactors
) -> list[MixShare]:
    """As `mix_points`, with the output."""
    regular = _regular(outputs)
    made = []
    for start_ms, end_ms, told in output_steps(outputs):
        if regular <= told.keys() and (mean := _mean(told, fuels, factors)) is not None:
            made.append(MixShare(start_ms, end_ms, *mean))
    return made


def output_steps(
    outputs: Mapping[str, Sequence[Output]],
) -> Iterator[tuple[int, int, dict[str, float]]]:
    """(start_ms, end_ms, MW by name) between the marks of all series, in order of time."""
    series = {name: list(parts) for name, parts in outputs.items() if parts}
    tables = {name: _Steps(parts) for name, parts in series.items()}
    for start_ms, end_ms in pairwise(_marks(series.values())):
        yield (
            start_ms,
            end_ms,
            {name: mw for name, table in tables.items() if (mw := table.at(start_ms)) is not None},
        )


def _mean(
    mw_by_name: Mapping[str, float], fuels: Mapping[str, Fuel], factors: SourceFactors
) -> tuple[float, float] | None:
    """(MW, g/kWh) of the plants with a factor."""
    rated = unrated = grams = 0.0
    for name, mw in mw_by_name.items():
        fuel = fuels.get(name, Fuel.OTHER)
        factor = factors.g_per_kwh.get(fuel)
        if fuel is Fuel.STORAGE or mw <= 0:
            continue
        if factor is None:
            unrated += mw
        else:
            rated += mw
            grams += mw * factor
    if rated <= 0 or unrated > UNRATED_SHARE * (rated + unrated):
        return None
    return rated, grams / rated


class _Steps:
    """Which of a kind's outputs holds at a moment: asked for in order of time."""

    def __init__(self, parts: Iterable[Output]) -> None:
        self._parts = sorted(parts, key=lambda part: part.start_ms)
        self._at = 0

    def at(self, ms: int) -> float | None:
        while self._at < len(self._parts) and self._parts[self._at].end_ms <= ms:
            self._at += 1
        if self._at == len(self._parts) or self._parts[self._at].start_ms > ms:
            return None
        return self._parts[self._at].mw


def _marks(series: Iterable[Sequence[Output]]) -> list[int]:
    return sorted({ms for parts in series for part in parts for ms in (part.start_ms, part.end_ms)})


def _regular(series: Mapping[str, Sequence[Output]]) -> set[str]:
    spans = {
        name: sum(part.end_ms - part.start_ms for part in parts)
        for name, parts in series.items()
        if parts
    }
    longest = max(spans.values(), default=0)
    return {name for name, span in spans.items() if span >= REGULAR_SHARE * longest}
