"""Request bodies: read within limits, decompressed within limits; answers encoded by msgspec."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import Request, Response

from carbon.auth.access import context_of
from carbon.errors import MalformedInput, TooLarge, UnsupportedMedia

_JSON_TYPES = frozenset({"application/json", ""})
#: A gzip header is looked for, too.
_GZIP = zlib.MAX_WBITS | 16
#: Nearly every stream is one member, read in one go. Others are read by so many bytes: what is
#: behind a member is copied for each, so that many small ones would take the square of their size.
_MEMBER_STEP = 4_096
#: Of one body. Writers that cut a stream make one of some kB or more; a million empty ones would
#: hold all other calls for seconds.
_MOST_MEMBERS = 10_000


async def read_json(request: Request) -> bytes:
    """The body, decompressed.

    Raises UnsupportedMedia (`content_type`, `content_encoding`), TooLarge(`body_too_large`) and
    MalformedInput (`malformed_gzip`, `malformed_zstd`).
    """
    media = media_type(request)
    if media not in _JSON_TYPES:
        raise UnsupportedMedia("content_type", f"send application/json, not {media}")
    return await read_plain(request)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_plain(request: Request) -> bytes:
    """As `read_json`, of any type."""
    settings = context_of(request).settings
    body = await read_body(request, settings.max_body_bytes)
    return inflated(request, body, settings.max_decoded_bytes)


def inflated(request: Request, body: bytes, most: int) -> bytes:
    """The body as it was before its content encoding. Raises as `unpacked`."""
    return unpacked(request.headers.get("content-encoding", "identity").lower(), body, most)


def unpacked(encoding: str, body: bytes, most: int) -> bytes:
    """The body as it was before an encoding, of at most so many bytes.

    Raises UnsupportedMedia(`content_encoding`), TooLarge and MalformedInput (`malformed_gzip`,
    `malformed_zstd`).
    """
    if encoding == "identity":
        return body
    unpack = ENCODINGS.get(encoding)
    if unpack is None:
        known = ", ".join(["identity", *ENCODINGS])
        raise UnsupportedMedia("content_encoding", f"send one of {known}, not {encoding}")
    return unpack(body, most)


async def read_body(request: Request, most: int) -> bytes:
    """The body as sent. Raises TooLarge(`body_too_large`)."""
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > most:
        raise _too_large(most)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
    return b"".join(chunks)


def _gunzip(body: bytes, most: int) -> bytes:
    """All members of the stream (RFC 1952), with the zeros that some writers pad it with."""
    parts: list[bytes] = []
    at, left, step = 0, most, len(body)
    inflate, members = zlib.decompressobj(_GZIP), 1
    try:
        while at < len(body):
            if inflate.eof:
                if not body[at] and not body[at:].strip(b"\0"):
                    break
                inflate, step, members = zlib.decompressobj(_GZIP), _MEMBER_STEP, members + 1
                if members > _MOST_MEMBERS:
                    told = f"a gzip stream may have {_MOST_MEMBERS} members at most"
                    raise TooLarge("body_too_large", told)
            block = body[at : at + step]
            parts.append(inflate.decompress(block, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise _too_large(most)
            at += len(block) - len(inflate.unused_data)
    except zlib.error as error:
        raise MalformedInput("malformed_gzip", f"the body is not gzip: {error}") from None
    if not inflate.eof:
        raise MalformedInput("malformed_gzip", "the body's gzip stream is cut off")
    return b"".join(parts)


def _unzstd(body: bytes, most: int) -> bytes:
    import pyarrow as pa  # loaded with the first such body

    try:
        with pa.CompressedInputStream(pa.BufferReader(body), "zstd") as stream:
            plain: bytes = stream.read(most + 1)
    except OSError as error:
        raise MalformedInput("malformed_zstd", f"the body is not zstd: {error}") from None
    if len(plain) > most:
        raise _too_large(most)
    if not body:
        raise MalformedInput("malformed_zstd", "the body is empty")
    return plain


ENCODINGS: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _gunzip, "zstd": _unzstd}


def _too_large(most: int) -> TooLarge:
    return TooLarge("body_too_large", f"a body may have {most} bytes at most; send it in parts")


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(body), status, headers=headers, media_type="application/json"
    )
