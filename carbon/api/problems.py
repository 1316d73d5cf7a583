"""Errors as problem+json (RFC 9457), with a stable `code`."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from carbon.errors import CarbonError, Retryable

log = logging.getLogger("carbon.api")


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return Response(
        msgspec.json.encode({**extra, **body}, enc_hook=str),
        status,
        headers=headers,
        media_type="application/problem+json",
    )


def problem_of(error: CarbonError) -> Response:
    headers = error_headers(error)
    return problem(error.status, error.code, error.title, error.detail, headers, **error.extra)


def unforeseen_problem(request: Request, error: Exception) -> Response:
    """As `unforeseen`, of a request."""
    return unforeseen(f"{request.method} {request.url.path}", error)


def unforeseen(call: str, error: BaseException) -> Response:
    """An error of ours: the log tells more, the answer does not."""
    log.error("unforeseen error in %s", call, exc_info=error)
    return problem(
        500, "internal_error", "Internal error", "an error of ours; the server's log tells more"
    )


def error_headers(error: CarbonError) -> dict[str, str]:
    """When to try again, for errors that pass; for a missing key, what would be one."""
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Retryable) else {}
    return {**headers, "WWW-Authenticate": "Bearer"} if error.status == 401 else headers


def handle_errors(app: FastAPI) -> None:
    """Makes every error of the application a problem document."""

    @app.exception_handler(CarbonError)
    def of_ours(_request: Request, error: CarbonError) -> Response:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    def of_parameters(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(
            422, "invalid_parameter", "Invalid input", f"{where}: {first['msg']}", parameter=where
        )

    @app.exception_handler(HTTPException)
    def of_http(_request: Request, error: HTTPException) -> Response:
        code = {404: "no_such_path", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        headers = dict(error.headers or {})
        return problem(error.status_code, code, str(error.detail), str(error.detail), headers)

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        return unforeseen_problem(request, error)
