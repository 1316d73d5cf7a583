"""The first page: what the template needs beside the overview itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi.responses import HTMLResponse

from carbon.domain.principal import Principal
from carbon.services.sci.scores import WorkloadScore
from carbon.services.sci.today import Share
from carbon.services.screens.overview import Overview
from carbon.web.catalogue import say, say_code, strings_of
from carbon.web.figures import ENERGY, rounded
from carbon.web.live import live_words
from carbon.web.pages import page
from carbon.web.published import published
from carbon.web.screens import navigation


def overview_page(overview: Overview, principal: Principal) -> HTMLResponse:
    size, unit = ENERGY.unit_for(_tallest_hour_kwh(overview))
    charts = {
        "overview": published(overview),
        "energy": {"kwh_per_unit": size, "unit": unit, "names": names_of(overview.today.shares)},
        "strings": strings_of("chart"),
        **live_words(overview.timezone),
    }
    return page(
        "overview.html",
        overview=overview,
        principal=principal,
        screen="overview",
        navigation=navigation(principal),
        charts=charts,
        energy_unit=unit,
        cell=lambda kwh: rounded(kwh / size, 3),
        modelled_kwh=sum(share.energy_kwh - share.measured_kwh for share in overview.today.shares),
        share_names=names_of(overview.today.shares),
        notices=notices(overview),
        hue_class=hue_class,
        scores=scored_first(overview.sci.workloads),
        hours=[hour for hour in _hours(overview) if hour.is_heard],
    )


def _tallest_hour_kwh(overview: Overview) -> float:
    """Of the bars that will stand on each other."""
    return max((hour.total_kwh for hour in _hours(overview)), default=0.0)


@dataclass(frozen=True, slots=True)
class Hour:
    """A row of the chart's table twin."""

    index: int
    start_ms: int
    is_heard: bool
    #: Measured and modelled kWh, one pair per share.
    parts: tuple[tuple[float, float], ...]

    @property
    def total_kwh(self) -> float:
        return sum(measured + modelled for measured, modelled in self.parts)


def _hours(overview: Overview) -> list[Hour]:
    shares = overview.today.shares
    return [
        Hour(
            index,
            start_ms,
            any(s.measured_kwh_by_hour[index] is not None for s in shares),
            tuple(
                (s.measured_kwh_by_hour[index] or 0.0, s.modelled_kwh_by_hour[index] or 0.0)
                for s in shares
            ),
        )
        for index, start_ms in enumerate(overview.today.hours_ms)
    ]


def scored_first(scores: Sequence[WorkloadScore]) -> list[tuple[int, WorkloadScore]]:
    """With their places in the answer: what has a rate before what has none, most carbon first."""
    return sorted(
        enumerate(scores),
        key=lambda placed: (placed[1].sci_g_per_unit is None, -placed[1].total_g),
    )


def names_of(shares: list[Share]) -> list[str]:
    return [share.name or say(f"share.{share.kind}") for share in shares]


def hue_class(share: Share, place: int) -> str:
    return f"hue-{place}" if share.kind == "workload" else f"hue-{share.kind}"


def notices(overview: Overview) -> list[str]:
    """What must be said before any figure is read: each flag of the prices in words."""
    intensity = overview.intensity
    year = (intensity.source or "").rpartition("-")[2]
    return [
        say_code("flag", flag, zone=intensity.zone, year=year)
        for flag in _told_once(intensity.flags)
    ]


#: What a flag's words already say.
_INCLUDES = {
    "zone_unknown": {"world_figure", "yearly_figure"},
    "world_figure": {"yearly_figure"},
    "own_forecast": {"learned"},
}
#: Said beside the figure of carbon instead.
_ELSEWHERE = {"pue_unset"}


def _told_once(flags: list[str]) -> list[str]:
    said = _ELSEWHERE.union(*(_INCLUDES.get(flag, set()) for flag in flags))
    return [flag for flag in flags if flag not in said]
