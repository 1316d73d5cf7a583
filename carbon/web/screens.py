"""The screens of the dashboard, and how a route shows one: a page, its JSON and its CSV."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse
from msgspec import Struct

from carbon.auth.access import principal_of
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import CarbonError, Unauthorized
from carbon.services.sci.time_range import PRESETS
from carbon.web.browser import PAGE_HEADERS, check_same_origin, read_form, view_of
from carbon.web.catalogue import strings_of
from carbon.web.pages import page
from carbon.web.published import published

SEE_OTHER: Final = 303
#: Lines of a table before somebody asks for `all=1`; JSON and CSV hold each of them.
_SHOWN_AT_ONCE: Final = 50
_NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Screen:
    """A page of the navigation; its words stand under `nav.<key>`."""

    key: str
    path: str
    #: Who it is made for: `lead`, `team` or `platform`.
    reader: str
    #: Not offered to who lacks it.
    scope: Scope = Scope.REPORTS_READ


SCREENS: Final = (
    Screen("overview", "/", "lead"),
    Screen("breakdown", "/breakdown", "lead"),
    Screen("budgets", "/budgets", "lead"),
    Screen("reports", "/reports", "lead"),
    Screen("avoided", "/avoided", "lead"),
    Screen("shadow", "/shadow", "lead"),
    Screen("experiments", "/experiments", "lead"),
    Screen("recommendations", "/recommendations", "lead"),
    Screen("quality", "/quality", "lead"),
    Screen("workloads", "/workloads", "team"),
    Screen("compare", "/compare", "team"),
    Screen("plan", "/plan", "team"),
    Screen("jobs", "/jobs", "team"),
    Screen("fleet", "/fleet", "platform"),
    Screen("feeds", "/feeds", "platform"),
    Screen("scheduler", "/scheduler", "platform"),
    Screen("hosts", "/hosts", "platform", Scope.ALL_TEAMS),
    Screen("names", "/names", "platform"),
    Screen("people", "/people", "platform", Scope.PEOPLE_INVITE),
    Screen("keys", "/keys", "platform", Scope.KEYS_ADMIN),
)


def navigation(principal: Principal) -> list[tuple[str, list[Screen]]]:
    """The screens that a principal may open, by reader."""
    return [
        (reader, [s for s in SCREENS if s.reader == reader and s.scope in principal.scopes])
        for reader in ("lead", "team", "platform")
    ]


def show_screen(
    request: Request,
    render: Callable[[Principal], Response],
    scope: Scope = Scope.REPORTS_READ,
) -> Response:
    """Renders for whoever is signed in; a stranger signs in first and comes back here."""
    try:
        principal = principal_of(request)
    except Unauthorized as error:
        return to_sign_in(request, error)
    except CarbonError as error:
        return error_page(error)
    try:
        principal.require(scope)
        return render(principal)
    except CarbonError as error:
        return error_screen(request, principal, error)


async def answer_form(
    request: Request, act: Callable[[Principal, dict[str, str]], Response]
) -> Response:
    """Does what a form of ours asks, for whoever is signed in; errors are shown as pages.

    `act` runs beside the loop, with who asks and what the form holds.
    """
    try:
        check_same_origin(request)
        principal = principal_of(request)
    except Unauthorized as error:
        return to_sign_in(request, error)
    except CarbonError as error:
        return error_page(error)
    try:
        form = await read_form(request)
        return await run_in_threadpool(act, principal, form)
    except CarbonError as error:
        return error_screen(request, principal, error)


def seen_at(path: str) -> Response:
    """What a form has changed is looked at under its own address."""
    return RedirectResponse(path, SEE_OTHER, headers=PAGE_HEADERS)


def screen_page(
    request: Request,
    principal: Principal,
    key: str,
    answer: Struct,
    /,
    *,
    charts: Sequence[dict[str, Any]] = (),
    data: str | None = None,
    query: str | None = None,
    live: Mapping[str, Any] | None = None,
    **values: Any,
) -> Response:
    """The template of a screen with its answer; charts are drawn from the page's own JSON.

    `live` is what the scripts need beside charts.

    `data` is where the same answer is as JSON; by default `/web/<key>.json`, with a CSV beside
    it, both asked with `query` or else with the page's own.
    """
    asked = request.url.query if query is None else query
    query = f"?{asked}" if asked else ""
    return page(
        f"{key}.html",
        screen=key,
        principal=principal,
        answer=answer,
        navigation=navigation(principal),
        json_url=data or f"/web/{key}.json{query}",
        csv_url=None if data else f"/web/{key}.csv{query}",
        page_data={"charts": list(charts), "strings": strings_of("chart"), **(live or {})},
        with_query=lambda **changed: with_query(request, **changed),
        presets=list(PRESETS),
        clock_zone=request.app.state.context.settings.timezone,
        shown=sys.maxsize if request.query_params.get("all") else _SHOWN_AT_ONCE,
        **values,
    )


def with_query(request: Request, **changed: str | None) -> str:
    """This page's address with some of its parameters changed; None takes one out."""
    query = {k: v for k, v in request.query_params.items() if k not in changed}
    query |= {k: v for k, v in changed.items() if v is not None}
    return request.url.path + (f"?{urlencode(query)}" if query else "")


def screen_json(answer: Struct) -> Response:
    return JSONResponse(published(answer), headers=_NO_STORE)


def screen_csv(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """The table of a screen; times in RFC 3339. A cell that a spreadsheet would take for a
    formula is led by an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    headers = {**_NO_STORE, "Content-Disposition": f'attachment; filename="carbon-{name}.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t"):
        return f"'{value}"
    return "" if value is None else value


def to_sign_in(request: Request, error: Unauthorized) -> Response:
    """Back to the same view after signing in; a first visit is told nothing of an error."""
    query = {"next": view_of(request)}
    if error.code != "key_missing":
        query["why"] = error.code
    return RedirectResponse(f"/sign-in?{urlencode(query)}", SEE_OTHER, headers=PAGE_HEADERS)


def error_page(error: CarbonError) -> Response:
    """For who is not signed in."""
    return page("error.html", error.status, error=error)


def _near(principal: Principal, error: CarbonError) -> list[str]:
    """Workloads by their whole names; an own team's are told without it."""
    names = error.extra.get("near")
    if error.code != "unknown_workload" or not isinstance(names, list):
        return []
    return [name if "/" in name else f"{principal.team}/{name}" for name in names]


def error_screen(request: Request, principal: Principal, error: CarbonError) -> Response:
    """With the screens at hand, names that are near, and the same screen without what was asked."""
    is_of_query = error.status == HTTPStatus.UNPROCESSABLE_ENTITY and request.url.query
    return page(
        "error_screen.html",
        error.status,
        error=error,
        principal=principal,
        screen="",
        navigation=navigation(principal),
        near=_near(principal, error),
        usual=request.url.path if is_of_query else "",
    )
