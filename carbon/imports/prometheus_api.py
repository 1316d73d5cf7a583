"""The readings that a Prometheus server keeps, by its query_range."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

import httpx2
import msgspec

from carbon.errors import CarbonError, InvalidInput, Unavailable
from carbon.imports.series import NAME_LABEL, Sample, Series

_PLAIN_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
#: What a server answers at most for one series.
MOST_POINTS: Final = 11_000
#: How old a reading may be that a server still answers with, unless told otherwise.
_LOOKBACK_MS: Final = 300_000


class _Row(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Data(msgspec.Struct):
    result: list[_Row]


class _Answer(msgspec.Struct):
    data: _Data


class PrometheusApi:
    """One server. Every call raises Unavailable(`prometheus_unreachable`) where none answers, and
    CarbonError(`prometheus_error`) with what it says."""

    def __init__(
        self, url: str, token: str | None = None, transport: httpx2.BaseTransport | None = None
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidInput("invalid_url", f"{url!r} is no address; write http://HOST:9090")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        self._http = httpx2.Client(headers=headers, timeout=120.0, transport=transport)

    def close(self) -> None:
        self._http.close()

    def metrics(self) -> frozenset[str]:
        """The names of all metrics; empty where the server does not tell."""
        try:
            answer = self._get("/api/v1/label/__name__/values", {})
        except Unavailable:
            raise
        except CarbonError:
            return frozenset()
        names = msgspec.json.decode(answer).get("data", [])
        return frozenset(name for name in names if isinstance(name, str))

    def readings(
        self, metric: str, start_ms: int, end_ms: int, step_ms: int
    ) -> tuple[list[Series], bool]:
        """What each series of a metric read over [start, end), at most one reading a step; and
        whether all times are those of the readings.

        query_range answers at its own times with the last reading before each; a second query
        asks when those were read. Where the server cannot tell, its own times stand.
        """
        name = metric if _PLAIN_NAME.fullmatch(metric) else f'{{{NAME_LABEL}="{metric}"}}'
        window = {
            "start": f"{start_ms / 1000:.3f}",
            "end": f"{(end_ms - 1) / 1000:.3f}",
            "step": f"{step_ms / 1000:.3f}",
        }
        rows = self._range({"query": name, **window})
        if not rows:
            return [], True
        times = {_key(row.metric): row.values for row in self._times(name, window)}
        made, is_exact = [], True
        for row in rows:
            labels = {NAME_LABEL: metric, **row.metric}
            samples = _read_at(row.values, times.get(_key(row.metric)), start_ms)
            if samples is None:
                is_exact = False
                samples = [Sample(round(at * 1000), float(text)) for at, text in row.values]
            made.append(Series(labels, samples))
        return made, is_exact

    def _times(self, name: str, window: dict[str, str]) -> Sequence[_Row]:
        try:
            return self._range({"query": f"timestamp({name})", **window})
        except Unavailable:
            raise
        except CarbonError:  # a store that speaks a part of the language
            return []

    def _range(self, query: dict[str, str]) -> list[_Row]:
        try:
            body = self._get("/api/v1/query_range", query)
            return msgspec.json.decode(body, type=_Answer).data.result
        except msgspec.DecodeError as error:
            raise CarbonError(
                "prometheus_error", f"{self._url} answers no query_range: {error}"
            ) from None

    def _get(self, path: str, query: dict[str, Any]) -> bytes:
        try:
            answer = self._http.get(self._url + path, params=query)
        except httpx2.TransportError as error:
            raise Unavailable(
                "prometheus_unreachable", f"no answer from {self._url} ({error})"
            ) from None
        if answer.is_success:
            return bytes(answer.content)
        told = answer.text.strip().splitlines()[:1]
        raise CarbonError(
            "prometheus_error",
            f"{self._url} answers {answer.status_code}: {''.join(told)[:200]}",
        )


def _key(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in labels.items() if k != NAME_LABEL))


def _read_at(
    values: list[tuple[float, str]], times: list[tuple[float, str]] | None, start_ms: int
) -> list[Sample] | None:
    """The readings at their own times, each once; None where the times are not theirs. One that
    was read before the window belongs to the window before."""
    if times is None or len(times) != len(values):
        return None
    samples: list[Sample] = []
    last_ms = 0
    for (at, text), (at_too, read_at) in zip(values, times, strict=True):
        seconds = float(read_at)
        if at != at_too or not math.isfinite(seconds):
            return None
        read_ms = round(seconds * 1000)
        if not -1 <= at * 1000 - read_ms <= _LOOKBACK_MS:
            return None
        if read_ms != last_ms:
            samples.append(Sample(read_ms, float(text)))
            last_ms = read_ms
    return samples
