"""What a browser may do with a page, and what is believed of what it sends."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, urlsplit

from fastapi import Request

from carbon.errors import Forbidden, MalformedInput, TooLarge

PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_MOST_FORM_BYTES: Final = 4096


def check_same_origin(request: Request) -> None:
    """A POST must come from one of our own pages.

    Raises Forbidden(`cross_origin`); also where the browser tells neither, since every one in
    use tells at least one.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_own = site == "same-origin"
    else:
        is_own = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if not is_own:
        raise Forbidden("cross_origin", "this form was sent from another site; open it here")


def safe_next(target: str | None) -> str:
    """A path of this service to go to after signing in; anything else becomes the first page."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    if any(ord(character) < 0x20 for character in target) or target.startswith("/sign-"):
        return "/"
    return target


def view_of(request: Request) -> str:
    """The path and query that somebody looks at: of a form, the page that it stood on."""
    if request.method in ("GET", "HEAD"):
        return _path(request.url.path, request.url.query)
    left = urlsplit(request.headers.get("referer", ""))
    return _path(left.path, left.query) if left.netloc == request.headers.get("host") else "/"


def _path(path: str, query: str) -> str:
    return path + (f"?{query}" if query else "")


async def read_form(request: Request) -> dict[str, str]:
    """A small urlencoded form; of a field sent twice the first counts.

    Raises TooLarge(`form_too_large`) and MalformedInput(`malformed_form`).
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM_BYTES:
            raise TooLarge("form_too_large", "this form is too large to be one of ours")
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=10)
    except ValueError as error:
        raise MalformedInput("malformed_form", "this form cannot be read") from error
    return {name: values[0] for name, values in fields.items()}
