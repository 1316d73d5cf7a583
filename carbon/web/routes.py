"""The addresses of the dashboard."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse

from carbon.auth.access import ContextOf, Reader
from carbon.auth.sessions import (
    SESSION_COOKIE,
    SESSION_MS,
    close_session,
    open_session,
    open_session_of_key,
)
from carbon.errors import CarbonError, Unauthorized
from carbon.services.screens.overview import overview
from carbon.web.api_page import api_page
from carbon.web.assets import asset_response
from carbon.web.browser import PAGE_HEADERS, check_same_origin, read_form, safe_next
from carbon.web.overview_page import overview_page
from carbon.web.pages import page
from carbon.web.published import published
from carbon.web.screens import SEE_OTHER, error_page, show_screen

router = APIRouter(include_in_schema=False)
ZoneChosen = Annotated[str | None, Query(alias="zone", max_length=40)]


@router.get("/")
def first_page(request: Request, context: ContextOf, zone: ZoneChosen = None) -> Response:
    return show_screen(
        request, lambda principal: overview_page(overview(context, principal, zone), principal)
    )


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
        return error_page(error)


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
        return error_page(error)


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
        return error_page(error)
    response = page("sign_out.html", is_done=True)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


@router.get("/static/{version}/{path:path}")
def static_file(request: Request, version: str, path: str) -> Response:
    return asset_response(request, version, path)


def _signed_in(request: Request, cookie: str, target: str) -> Response:
    response = RedirectResponse(target, SEE_OTHER, headers=PAGE_HEADERS)
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
