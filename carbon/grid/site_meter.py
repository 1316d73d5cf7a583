"""A site's own intensity: its solar plant, its supplier, its own model, by file or by HTTP.

The address is a path or an http(s) URL. It gives JSON as `POST /v1/intensity/{zone}` takes it,
`{"published_at"?, "points": [{"start_ms", "end_ms", "g_per_kwh"}]}`, or CSV with the columns
`start`, `end` (RFC 3339) and `g_per_kwh`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2
import msgspec

from carbon.clock import Clock, from_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.grid.answer import get_content
from carbon.grid.feed import FeedAnswerInvalid, FeedUnreachable, Licence

#: A longer file is not a live feed; `carbon import intensity` brings it.
MOST_BYTES = 16 * 1024 * 1024


class _Point(msgspec.Struct, frozen=True):
    start_ms: int
    end_ms: int
    g_per_kwh: float


class _Body(msgspec.Struct, frozen=True):
    points: list[_Point]
    published_at: str | None = None


class SiteMeter:
    name = "site"
    licence = Licence(
        "the owner's own",
        "",
        "Intensity: the site's own meter",
        may_store=True,
        may_redistribute=True,
        commercial=True,
    )
    horizon_ms = 0

    def __init__(
        self,
        http: httpx2.Client,
        clock: Clock,
        address: str,
        zone: str,
        signal: Signal = Signal.AVERAGE,
        scope: EmissionScope = EmissionScope.LIFECYCLE,
        period_ms: int = 300_000,
    ) -> None:
        self._http, self._clock, self._address, self._zone = http, clock, address, zone
        self.signal, self.scope, self.period_ms = signal, scope, period_ms

    def zones(self) -> Sequence[str]:
        return (self._zone,)

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """One vintage; what had ended when it was published is ACTUAL, the rest FORECAST."""
        now_ms = self._clock.now_ms()
        content = self._content()
        try:
            published_ms, rows = _read(content, now_ms)
        except (msgspec.MsgspecError, ValueError, KeyError, csv.Error) as error:
            raise FeedAnswerInvalid(self.name, f"{self._address}: {error}") from None
        points = tuple(
            IntensityPoint(
                row.start_ms,
                row.end_ms,
                row.g_per_kwh,
                PointKind.ACTUAL if row.end_ms <= published_ms else PointKind.FORECAST,
            )
            for row in rows
            if row.end_ms > start_ms and row.start_ms < end_ms
        )
        if not points:
            raise FeedAnswerInvalid(self.name, f"{self._address} holds no point of this time")
        attribution = self.licence.attribution
        return [
            Vintage(zone, self.name, self.signal, self.scope, published_ms, points, attribution)
        ]

    def _content(self) -> bytes:
        if self._address.startswith(("http://", "https://")):
            content = get_content(self._http, self.name, self._address, {})
        else:
            try:
                with Path(self._address).open("rb") as file:
                    content = file.read(MOST_BYTES + 1)
            except OSError as error:
                told = f"cannot read {self._address}: {error.strerror}"
                raise FeedUnreachable(self.name, told) from None
        if len(content) > MOST_BYTES:
            raise FeedAnswerInvalid(self.name, f"{self._address} is longer than {MOST_BYTES} B")
        return content


def _read(content: bytes, now_ms: int) -> tuple[int, list[_Point]]:
    """(published, points)."""
    if content.lstrip()[:1] == b"{":
        body = msgspec.json.decode(content, type=_Body)
        return from_rfc3339(body.published_at) if body.published_at else now_ms, body.points
    return now_ms, list(_csv_points(content.decode("utf-8-sig")))


def _csv_points(text: str) -> Iterator[_Point]:
    reader = csv.DictReader(io.StringIO(text))
    if not {"start", "end", "g_per_kwh"} <= set(reader.fieldnames or ()):
        raise ValueError("a CSV needs the columns start, end and g_per_kwh")
    for row in reader:
        yield _Point(from_rfc3339(row["start"]), from_rfc3339(row["end"]), float(row["g_per_kwh"]))
