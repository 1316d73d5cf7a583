"""Templates and what they may call."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from carbon.bundled import bundled
from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.units import kwh
from carbon.services.sci.scores import WorkloadScore
from carbon.services.sci.time_range import TimeRange
from carbon.services.sci.today import Figure
from carbon.web.assets import assets
from carbon.web.browser import PAGE_HEADERS
from carbon.web.burn import small_burn
from carbon.web.catalogue import say, say_code
from carbon.web.figures import BY_NAME, ENERGY, MASS, digits_of, percent, rounded
from carbon.web.wording import (
    day_words,
    evidence_words,
    measured_share,
    plain,
    sentence,
    short_model,
    skew,
    sourced,
    weekday,
)
from carbon.wire.recommendations import Recommendation

#: Bytes; below, a packet holds it anyway.
_LEAST_COMPRESSED: Final = 1_400
#: Most of the gain at a tenth of the time of the best.
_LEVEL: Final = 3
_MISSING: Final = "–"


def page(template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    html = _environment().get_template(template).render(values)
    return CompressedHtml(html, status, headers={**PAGE_HEADERS, "Vary": "Accept-Encoding"})


class CompressedHtml(HTMLResponse):
    """Sent in gzip to whoever takes it: a page of a large fleet is a tenth of its size then."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = Headers(scope=scope).get("accept-encoding", "")
        if len(self.body) >= _LEAST_COMPRESSED and "gzip" in accepted:
            self.body = gzip.compress(bytes(self.body), _LEVEL)
            self.headers["Content-Encoding"] = "gzip"
            self.headers["Content-Length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(bundled("dashboards") / "web" / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        say=say,
        say_code=say_code,
        asset=assets().url,
        show=show,
        show_share=show_share,
        bounds=bounds,
        rounded=lambda value: rounded(value, 3),
        digits_of=digits_of,
        figure_of=figure_of,
        clock_time=clock_time,
        moment=moment,
        json_block=json_block,
        percent=percent,
        date_of=date_of,
        date_words=date_words,
        day_words=day_words,
        local_time=local_time,
        rfc3339=to_rfc3339,
        duration=duration,
        energy_words=energy_words,
        mass_words=mass_words,
        change_words=change_words,
        trend_words=trend_words,
        signed_percent=signed_percent,
        query_of=query_of,
        evidence_words=evidence_words,
        measured_share=measured_share,
        plain=plain,
        saved_of=saved_of,
        short_model=short_model,
        skew=skew,
        small_burn=small_burn,
        sourced=sourced,
        weekday=weekday,
        words_of=words_of,
    )
    environment.filters["sentence"] = sentence
    return environment


def show(quantity: str, value: float | Figure | None, path: str, digits: int = 3) -> Markup:
    """A number and its unit; `path` says where in the page's JSON the same number stands."""
    if value is None:
        return Markup('<span class="missing">{}</span>').format(_MISSING)
    if isinstance(value, Figure):
        digits, value, path = digits_of(value), value.value, f"{path}.value"
    shown = BY_NAME[quantity].show(value, digits)
    return _data(value, path, shown.number, shown.unit)


def show_share(share: float | None, path: str) -> Markup:
    if share is None:
        return Markup('<span class="missing">{}</span>').format(_MISSING)
    return _data(share, path, percent(share), "%")


def _data(value: float, path: str, number: str, unit: str) -> Markup:
    return Markup(
        '<data class="number" value="{}" data-path="{}">{}</data>'
        '<span class="unit">\N{NARROW NO-BREAK SPACE}{}</span>'
    ).format(repr(value), path, number, unit)


def bounds(quantity: str, figure: Figure) -> str:
    """The central 95 % in the unit of the figure: `1.17–1.29 kWh`."""
    of, digits = BY_NAME[quantity], digits_of(figure)
    low, high = (of.show_like(v, figure.value, digits) for v in (figure.low, figure.high))
    return f"{low.number}–{high.number}\N{NO-BREAK SPACE}{low.unit}"


def figure_of(score: WorkloadScore) -> Figure:
    """The rate of a score that has one, with its bounds."""
    value = score.sci_g_per_unit or 0.0
    low, high = score.low, score.high
    return Figure(value, value if low is None else low, value if high is None else high)


def saved_of(found: Recommendation) -> Figure:
    """What a recommendation could save, with its bounds."""
    return Figure(found.saving_g, found.low, found.high)


def clock_time(ms: int, timezone: str) -> str:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(timezone)).strftime("%H:%M")


def moment(ms: int, timezone: str, now_ms: int) -> str:
    """A time; with its day where that is not today."""
    zone = ZoneInfo(timezone)
    at, now = (datetime.fromtimestamp(x / 1000, zone) for x in (ms, now_ms))
    return at.strftime("%H:%M") if at.date() == now.date() else at.strftime("%a %d %b %H:%M")


def date_of(ms: int, timezone: str) -> str:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(timezone)).date().isoformat()


def date_words(text: str, timezone: str) -> str:
    """The day of an RFC 3339 moment: `1 Nov`."""
    at = datetime.fromtimestamp(from_rfc3339(text) / 1000, ZoneInfo(timezone))
    return f"{at.day} {at:%b}"


def local_time(text: str, timezone: str) -> str:
    """An RFC 3339 moment as people of that zone write it."""
    at = datetime.fromtimestamp(from_rfc3339(text) / 1000, ZoneInfo(timezone))
    return at.strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """`3 min`, `2.5 h`, `1.2 d`: the unit that leaves at least one of it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{rounded(seconds / size, 2)}\N{NO-BREAK SPACE}{unit}"
    return f"{rounded(seconds, 2)}\N{NO-BREAK SPACE}s"


def words_of(quantity: str, value: float) -> str:
    return str(BY_NAME[quantity].show(value))


def energy_words(energy_mj: int) -> str:
    return str(ENERGY.show(kwh(energy_mj)))


def mass_words(grams: float) -> str:
    return str(MASS.show(grams))


def change_words(value: float, before: float) -> str:
    """How a figure compares with the one of the time before."""
    change = value / before - 1 if before else 0.0
    if not before or abs(change) < 0.005:
        return say("breakdown.same")
    word = "breakdown.more" if change > 0 else "breakdown.less"
    return say(word, share=f"{percent(abs(change))}\N{NO-BREAK SPACE}%")


def trend_words(value: float, before: float | None) -> str:
    """As `change_words`, with an arrow that says the direction at a glance."""
    if before is None:
        return say("trend.no_before")
    change = value / before - 1 if before else 0.0
    arrow = "→" if not before or abs(change) < 0.005 else "↗" if change > 0 else "↘"
    return f"{arrow}\N{NO-BREAK SPACE}{change_words(value, before)}"


def signed_percent(change: float) -> str:
    """In figures, too, where a share would say `< 1` or `> 99`: no sign stands before those."""
    sign = "+" if change > 0 else "\N{MINUS SIGN}" if change < 0 else ""
    size = abs(change)
    if 0 < size < 0.01:
        shown = rounded(size * 100, 2)
    elif 0.99 < size < 1:
        shown = f"{min(size * 100, 99.9):.1f}"
    else:
        shown = percent(size)
    return f"{sign}{shown}\N{NO-BREAK SPACE}%"


def query_of(window: TimeRange) -> str:
    """The query that asks another screen for the same time range."""
    if window.preset:
        return urlencode({"last": window.preset})
    moments = {"start": window.start_ms, "end": window.end_ms - 1}
    return urlencode({name: to_rfc3339(ms) for name, ms in moments.items()})


def json_block(value: Any) -> Markup:
    """JSON that may stand inside <script type="application/json">."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
