"""Bodies of OTLP/HTTP metrics, in protobuf and in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from carbon.errors import MalformedInput
from carbon.imports.series import NAME_LABEL, Sample, Series

_NS: Final = 1_000_000
_DELTA: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


def read_otlp(body: bytes, is_json: bool) -> list[Series]:
    """Labels are the resource's attributes and over them the point's; a histogram counts by its
    sum, and is followed by the number of its values as `NAME.count`.

    Raises MalformedInput(`malformed_protobuf`, `malformed_json`).
    """
    request = ExportMetricsServiceRequest()
    try:
        if is_json:
            Parse(body.decode(), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, UnicodeDecodeError, ParseError) as error:
        code = "malformed_json" if is_json else "malformed_protobuf"
        told = str(error).splitlines()[0]
        raise MalformedInput(code, f"the body is no ExportMetricsServiceRequest: {told}") from None
    return list(_series(request))


def _series(request: ExportMetricsServiceRequest) -> Iterator[Series]:
    for resource in request.resource_metrics:
        shared = _labels(resource.resource.attributes)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is not None:
                    yield from _of_metric(shared, metric.name, kind, getattr(metric, kind))


def _of_metric(shared: dict[str, str], name: str, kind: str, data: Any) -> Iterator[Series]:
    is_delta = getattr(data, "aggregation_temporality", 0) == _DELTA
    for point in data.data_points:
        labels = {**shared, **_labels(point.attributes)}
        for suffix, value in _values(kind, point):
            named = {**labels, NAME_LABEL: name + suffix}
            since_ms = point.start_time_unix_nano // _NS or None
            samples = [Sample(point.time_unix_nano // _NS, value)]
            if kind == "gauge":
                yield Series(named, samples)
            elif is_delta:
                yield Series(named, samples, delta_starts_ms=[since_ms or samples[0].at_ms])
            else:
                yield Series(named, samples, since_ms)


def _values(kind: str, point: Any) -> Iterator[tuple[str, float]]:
    if kind in ("gauge", "sum"):
        which = point.WhichOneof("value")
        if which is not None:
            yield "", float(getattr(point, which))
    elif kind in ("histogram", "exponential_histogram", "summary"):
        yield "", float(point.sum)
        yield ".count", float(point.count)


def _labels(attributes: Iterable[Any]) -> dict[str, str]:
    return {each.key: text for each in attributes if (text := _text(each.value))}


def _text(value: Any) -> str:
    which = value.WhichOneof("value")
    if which in ("string_value", "int_value", "double_value", "bool_value"):
        return str(getattr(value, which))
    return ""
