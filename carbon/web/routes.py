"""The addresses of the dashboard."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse

from carbon.auth.access import ContextOf, Reader, principal_of
from carbon.auth.sessions import (
    SESSION_COOKIE,
    SESSION_MS,
    close_session,
    open_session,
    open_session_of_key,
)
from carbon.domain.tenancy import Scope
from carbon.errors import CarbonError, Unauthorized
from carbon.services.overview import overview
from carbon.web.api_page import api_page
from carbon.web.assets import asset_response
from carbon.web.browser import PAGE_HEADERS, check_same_origin, own_path, read_form, safe_next
from carbon.web.overview_page import overview_page
from carbon.web.pages import page
from carbon.web.published import published

router = APIRouter(include_in_schema=False)
ZoneChosen = Annotated[str | None, Query(alias="zone", max_length=40)]
_SEE_OTHER: Final = 303


@router.get("/")
def first_page(request: Request, context: ContextOf, zone: ZoneChosen = None) -> Response:
    try:
        principal = principal_of(request)
        principal.require(Scope.REPORTS_READ)
        return overview_page(overview(context, principal, zone), principal)
    except Unauthorized as error:
        return _to_sign_in(request, error)
    except CarbonError as error:
        return _error_page(error)


@router.get("/docs")
def api_docs(request: Request) -> Response:
    """Key-less, as the OpenAPI document is."""
    return api_page(request.app)


@router.get("/web/overview.json")
def overview_json(principal: Reader, context: ContextOf, zone: ZoneChosen = None) -> Response:
    answer = published(overview(context, principal, zone))
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


@router.get("/sign-in")
def sign_in_page(
    request: Request, context: ContextOf, token: str = "", next: str = "/", why: str = ""
) -> Response:
    """With the token of a link it signs in; without, it asks for a key."""
    target = safe_next(next)
    if not token:
        return page("sign_in.html", next=target, error=None, why=why)
    try:
        return _signed_in(request, open_session(context, token), target)
    except Unauthorized as error:
        return page("sign_in.html", error.status, next=target, error=error, why="")
    except CarbonError as error:
        return _error_page(error)


@router.post("/sign-in")
async def sign_in(request: Request, context: ContextOf) -> Response:
    target = "/"
    try:
        check_same_origin(request)
        form = await read_form(request)
        target = safe_next(form.get("next"))
        key = form.get("key", "").strip()
        cookie = await run_in_threadpool(open_session_of_key, context, key)
        return _signed_in(request, cookie, target)
    except Unauthorized as error:
        return page("sign_in.html", error.status, next=target, error=error, why="")
    except CarbonError as error:
        return _error_page(error)


@router.get("/sign-out")
def sign_out_page() -> Response:
    return page("sign_out.html", is_done=False)


@router.post("/sign-out")
def sign_out(request: Request, context: ContextOf) -> Response:
    try:
        check_same_origin(request)
        if cookie := request.cookies.get(SESSION_COOKIE):
            close_session(context, cookie)
    except CarbonError as error:
        return _error_page(error)
    response = page("sign_out.html", is_done=True)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


@router.get("/static/{version}/{path:path}")
def static_file(request: Request, version: str, path: str) -> Response:
    return asset_response(request, version, path)


def _signed_in(request: Request, cookie: str, target: str) -> Response:
    response = RedirectResponse(target, _SEE_OTHER, headers=PAGE_HEADERS)
    response.set_cookie(
        SESSION_COOKIE,
        cookie,
        max_age=SESSION_MS // 1000,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


def _to_sign_in(request: Request, error: Unauthorized) -> Response:
    """Back to the same view after signing in; a first visit is told nothing of an error."""
    query = {"next": own_path(request)}
    if error.code != "key_missing":
        query["why"] = error.code
    return RedirectResponse(f"/sign-in?{urlencode(query)}", _SEE_OTHER, headers=PAGE_HEADERS)


def _error_page(error: CarbonError) -> Response:
    return page("error.html", error.status, error=error)
