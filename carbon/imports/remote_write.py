"""Bodies of Prometheus remote write 1.0: protobuf in snappy's block format."""

from __future__ import annotations

from typing import Final

import cramjam
from google.protobuf.message import DecodeError

from carbon.errors import MalformedInput, TooLarge, UnsupportedMedia
from carbon.imports.protobuf import message
from carbon.imports.series import Sample, Series

_V2: Final = "io.prometheus.write.v2.Request"


def check_protocol(content_type: str, encoding: str) -> None:
    """Raises UnsupportedMedia(`content_type`, `content_encoding`), as the protocol asks: a
    sender of version 2 then falls back to 1.0."""
    media, _, parameters = content_type.partition(";")
    if media.strip().lower() != "application/x-protobuf" or _V2 in parameters:
        told = "remote write 2.0" if _V2 in parameters else content_type or "nothing"
        raise UnsupportedMedia(
            "content_type", f"send remote write 1.0 as application/x-protobuf, not {told}"
        )
    if encoding.lower() != "snappy":
        raise UnsupportedMedia("content_encoding", f"send snappy, not {encoding or 'plain bytes'}")


def read_remote_write(body: bytes, most_bytes: int) -> list[Series]:
    """The series of a body that decompresses to `most_bytes` at most.

    Raises MalformedInput(`malformed_snappy`, `malformed_protobuf`), TooLarge(`body_too_large`).
    """
    request = message("WriteRequest")()
    try:
        request.ParseFromString(_decompressed(body, most_bytes))
    except DecodeError as error:
        raise MalformedInput(
            "malformed_protobuf", f"the body is no WriteRequest: {error}"
        ) from None
    return [
        Series(
            {label.name: label.value for label in each.labels},
            [Sample(sample.timestamp, sample.value) for sample in each.samples],
        )
        for each in request.timeseries
    ]


def _decompressed(body: bytes, most_bytes: int) -> bytes:
    try:
        # The length that the head claims is looked at before that much memory is taken.
        if cramjam.snappy.decompress_raw_len(body) > most_bytes:
            raise TooLarge(
                "body_too_large", f"a body may have {most_bytes} bytes; send it in parts"
            )
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise MalformedInput("malformed_snappy", f"the body is not snappy: {error}") from None


def write_remote_write(series: list[Series]) -> bytes:
    """A body as Prometheus sends it, for a bench or a test."""
    request = message("WriteRequest")()
    for each in series:
        made = request.timeseries.add()
        for name, value in sorted(each.labels.items()):
            made.labels.add(name=name, value=value)
        for sample in each.samples:
            made.samples.add(timestamp=sample.at_ms, value=sample.value)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
