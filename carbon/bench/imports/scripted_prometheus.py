"""A Prometheus that remembers what a script says: query_range, timestamp() and the names, as the
real one answers them. For measurements of imports, and for their tests."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

import httpx2

from carbon.imports.series import NAME_LABEL, Sample, Series

_LOOKBACK_MS: Final = 300_000
_SELECTOR: Final = re.compile(r'\{__name__="([^"]+)"\}|([\w:]+)')


class ScriptedPrometheus:
    """Answers requests for the series that it was given."""

    def __init__(self, series: Sequence[Series], tells_times: bool = True) -> None:
        self._series = list(series)
        self._tells_times = tells_times
        #: Requests so far, and the one from which on it is away.
        self.asked = 0
        self.away_from: int | None = None

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self._handle)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if self.away_from is not None and self.asked >= self.away_from:
            raise httpx2.ConnectError("away", request=request)
        if request.url.path.endswith("/values"):
            names = sorted({each.name for each in self._series})
            return httpx2.Response(200, json={"status": "success", "data": names})
        query = request.url.params
        start_ms, end_ms, step_ms = (
            round(float(query[n]) * 1000) for n in ("start", "end", "step")
        )
        result = self._range(query["query"], range(start_ms, end_ms + 1, step_ms))
        data = {"resultType": "matrix", "result": result}
        return httpx2.Response(200, content=json.dumps({"status": "success", "data": data}))

    def _range(self, query: str, times_ms: range) -> list[dict[str, Any]]:
        asks_times = query.startswith("timestamp(")
        if asks_times and not self._tells_times:
            return []
        found = _SELECTOR.search(query.removeprefix("timestamp("))
        name = (found[1] or found[2]) if found else ""
        rows = []
        for each in self._series:
            values = _evaluated(each, times_ms, asks_times) if each.name == name else []
            if values:
                labels = {k: v for k, v in each.labels.items() if k != NAME_LABEL or not asks_times}
                rows.append({"metric": labels, "values": values})
        return rows


def _evaluated(each: Series, times_ms: range, asks_times: bool) -> list[tuple[float, str]]:
    taken = [sample.at_ms for sample in each.samples]
    values = []
    for at_ms in times_ms:
        n = bisect_right(taken, at_ms) - 1
        if n >= 0 and at_ms - taken[n] < _LOOKBACK_MS:
            sample: Sample = each.samples[n]
            told = sample.at_ms / 1000 if asks_times else sample.value
            values.append((at_ms / 1000, repr(told)))
    return values
