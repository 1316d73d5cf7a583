"""The readings that a Prometheus server keeps, by its query_range."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import httpx2
import msgspec
import numpy as np

from carbon.errors import CarbonError, InvalidInput, Unavailable
from carbon.imports.series import NAME_LABEL, Floats, Ints, Readings, Series

_PLAIN_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
#: What a server answers at most for one series.
MOST_POINTS: Final = 11_000
#: How old a reading may be that a server still answers with, unless told otherwise.
_LOOKBACK_MS: Final = 300_000


class _Row(msgspec.Struct):
    metric: dict[str, str]
    #: `[[seconds, "value"], …]`
    values: msgspec.Raw


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
            read_at = times.get(_key(row.metric))
            try:
                asked, values = _columns(row.values)
                told = None if read_at is None else _read_at(asked, values, *_columns(read_at))
            except (ValueError, msgspec.DecodeError) as error:
                raise self._no_range(error) from None
            is_exact &= told is not None
            samples = Readings(_ms(asked), values) if told is None else told
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
            raise self._no_range(error) from None

    def _no_range(self, error: Exception) -> CarbonError:
        return CarbonError("prometheus_error", f"{self._url} answers no query_range: {error}")

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


_NUMBERS: Final = msgspec.json.Decoder(list[float])
_PAIRS: Final = msgspec.json.Decoder(list[tuple[float, str]])


def _columns(values: msgspec.Raw) -> tuple[Floats, Floats]:
    """Seconds and values: read as one list of numbers, where it is one. Raises ValueError."""
    raw = bytes(values)
    try:
        flat = _NUMBERS.decode(b"[" + raw.translate(None, b'[]"') + b"]")
    except msgspec.DecodeError:  # NaN and infinities are no numbers of JSON
        flat = []
    if not flat or len(flat) != 2 * (raw.count(b"[") - 1):
        pairs = _PAIRS.decode(raw)
        flat = [number for at, text in pairs for number in (at, float(text))]
    told = np.array(flat, dtype=np.float64)
    return told[::2], told[1::2]


def _ms(seconds: Floats) -> Ints:
    return np.rint(seconds * 1000).astype(np.int64)


def _read_at(asked: Floats, values: Floats, asked_too: Floats, read_at: Floats) -> Readings | None:
    """The readings at their own times, each once; None where the times are not theirs."""
    if not np.array_equal(asked, asked_too) or not np.isfinite(read_at).all():
        return None
    read_ms = _ms(read_at)
    age_ms = asked * 1000 - read_ms
    if not ((age_ms >= -1) & (age_ms <= _LOOKBACK_MS)).all():
        return None
    is_new = np.diff(read_ms, prepend=0) != 0
    return Readings(read_ms[is_new], values[is_new])
