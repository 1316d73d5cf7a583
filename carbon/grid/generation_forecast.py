"""From what a zone's plants are to generate tomorrow to g/kWh.

Foretold are wind and sun, and all plants together. What is left comes from the others, whose mean
intensity is learned from the days before: a straight line over their output, since another kind
of plant follows when more is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from carbon.domain.intensity import IntensityPoint, PointKind
from carbon.grid.generation_mix import Output, mix_shares, output_steps
from carbon.grid.source_factors import Fuel, SourceFactors

#: Foretold apart; all other plants follow what they leave.
WEATHER: Final = frozenset({Fuel.WIND, Fuel.WIND_OFFSHORE, Fuel.SOLAR})
#: Of fewer known moments nothing is learned.
FEWEST: Final = 48


def forecast_points(
    outputs: Mapping[str, Sequence[Output]],
    weather: Mapping[str, Sequence[Output]],
    total: Sequence[Output],
    fuels: Mapping[str, Fuel],
    factors: SourceFactors,
    now_ms: int,
) -> list[IntensityPoint]:
    """FORECAST points from `now_ms` on, of the moments of which `weather` and `total` both speak.

    `outputs` are the measured ones that are learned from, all by the source's names. Empty where
    too little is known: what is not foretold is not made up.
    """
    rest_mw, rest_g = _rest(outputs, fuels, factors)
    if len(rest_mw) < FEWEST or not total or not weather:
        return []
    slope, level = _line(rest_mw, rest_g)
    lowest, highest = float(rest_g.min()), float(rest_g.max())
    points = []
    for start_ms, end_ms, told in output_steps({**weather, _ALL: total}):
        whole = told.pop(_ALL, None)
        if end_ms <= now_ms or whole is None or whole <= 0 or told.keys() != weather.keys():
            continue
        wind_and_sun = {name: max(mw, 0.0) for name, mw in told.items()}
        left = max(whole - sum(wind_and_sun.values()), 0.0)
        grams = left * min(max(level + slope * left, lowest), highest)
        for name, mw in wind_and_sun.items():
            grams += mw * factors.g_per_kwh[fuels[name]]
        mean = grams / (left + sum(wind_and_sun.values()))
        points.append(IntensityPoint(start_ms, end_ms, mean, PointKind.FORECAST))
    return points


_ALL: Final = "all plants"


def _rest(
    outputs: Mapping[str, Sequence[Output]], fuels: Mapping[str, Fuel], factors: SourceFactors
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]
]:
    """Output in MW and mean g/kWh of all but wind and sun, at each measured moment."""
    others = {name: s for name, s in outputs.items() if fuels.get(name) not in WEATHER}
    rows = [(share.mw, share.g_per_kwh) for share in mix_shares(others, fuels, factors)]
    known = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return known[:, 0], known[:, 1]


def _line(
    mw: np.ndarray[tuple[int], np.dtype[np.float64]],
    g_per_kwh: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> tuple[float, float]:
    """(slope, value at 0) of the least squares; level where the output never changed."""
    spread = float(mw.var())
    if spread <= 0:
        return 0.0, float(g_per_kwh.mean())
    slope = float(((mw - mw.mean()) * (g_per_kwh - g_per_kwh.mean())).mean()) / spread
    return slope, float(g_per_kwh.mean() - slope * mw.mean())
