"""Screens of the platform engineer: fleet, feeds, scheduler, hosts, names, keys and audit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec import Struct

from carbon.auth.access import ContextOf, Reader, requires
from carbon.auth.keys import list_keys
from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.domain.units import MS_PER_DAY
from carbon.grid.poller import FeedStatus
from carbon.services.audit import audit_page, verify_audit
from carbon.services.context import Context
from carbon.services.fleet.fleet_view import FleetView, fleet_view
from carbon.services.fleet.hosts import list_hosts
from carbon.services.jobs.scheduler_view import SchedulerView, scheduler_view
from carbon.services.screens.grid_view import GridView, grid_view
from carbon.web.live import live_words
from carbon.web.screens import screen_csv, screen_json, screen_page, show_screen
from carbon.wire.hosts import HostList
from carbon.wire.reports import AuditPage, AuditProof

router = APIRouter(include_in_schema=False)


#: What is looked for among devices.
Looked = Annotated[str, Query(alias="q", max_length=100)]


def _fleet(principal: Reader, context: ContextOf, looked_for: Looked = "") -> FleetView:
    return fleet_view(context, principal, looked_for)


def _grid(request: Request, context: ContextOf, _principal: Reader) -> GridView:
    return _grid_of(request, context)


def _grid_of(request: Request, context: Context) -> GridView:
    polling = getattr(request.app.state, "polling", None)
    statuses: list[FeedStatus] = polling.statuses() if polling else []
    return grid_view(context, statuses)


def _scheduler(principal: Reader, context: ContextOf) -> SchedulerView:
    return scheduler_view(context, principal)


#: What JSON and CSV say alike. A page asks for itself, since it shows errors as a page.
FleetOf = Annotated[FleetView, Depends(_fleet)]
GridOf = Annotated[GridView, Depends(_grid)]
SchedulerOf = Annotated[SchedulerView, Depends(_scheduler)]


@router.get("/fleet")
def fleet_screen(request: Request, context: ContextOf, looked_for: Looked = "") -> Response:
    return show_screen(
        request,
        lambda principal: screen_page(
            request,
            principal,
            "fleet",
            fleet_view(context, principal, looked_for),
            live=live_words(context.settings.timezone),
        ),
    )


@router.get("/web/fleet.json")
def fleet_json(answer: FleetOf) -> Response:
    return screen_json(answer)


@router.get("/web/fleet.csv")
def fleet_csv(answer: FleetOf) -> Response:
    return screen_csv(
        "fleet",
        ("device", "kind", "model", "host", "power_w", "measured_w", "method", "seen"),
        (
            (
                *(d.device, d.kind, d.model, d.host, d.power_w, d.measured_w, d.method),
                to_rfc3339(d.seen_ms) if d.seen_ms else None,
            )
            for d in answer.power.devices
        ),
    )


@router.get("/feeds")
def feeds_screen(request: Request, context: ContextOf) -> Response:
    return show_screen(
        request,
        lambda principal: screen_page(request, principal, "feeds", _grid_of(request, context)),
    )


@router.get("/web/feeds.json")
def feeds_json(answer: GridOf) -> Response:
    return screen_json(answer)


@router.get("/web/feeds.csv")
def feeds_csv(answer: GridOf) -> Response:
    return screen_csv(
        "feeds",
        ("zone", "g_per_kwh", "kind", "source", "signal", "scope", "may_shift", "flags"),
        (
            (
                *(z.zone, z.g_per_kwh, z.kind, z.source, z.signal, z.scope, z.may_shift),
                " ".join(z.flags),
            )
            for z in answer.zones
        ),
    )


@router.get("/scheduler")
def scheduler_screen(request: Request, context: ContextOf) -> Response:
    return show_screen(
        request,
        lambda principal: screen_page(
            request, principal, "scheduler", scheduler_view(context, principal)
        ),
    )


@router.get("/web/scheduler.json")
def scheduler_json(answer: SchedulerOf) -> Response:
    return screen_json(answer)


@router.get("/web/scheduler.csv")
def scheduler_csv(answer: SchedulerOf) -> Response:
    return screen_csv(
        "scheduler",
        ("pool", "capacity", "running", "waiting"),
        ((p.name, p.capacity, p.running, p.waiting) for p in answer.pools),
    )


AllTeams = Annotated[Principal, Depends(requires(Scope.ALL_TEAMS))]


def _hosts_today(context: Context) -> HostList:
    now_ms = context.clock.now_ms()
    return list_hosts(context, now_ms - MS_PER_DAY, now_ms)


@router.get("/hosts")
def hosts_screen(request: Request, context: ContextOf) -> Response:
    return show_screen(
        request,
        lambda principal: screen_page(request, principal, "hosts", _hosts_today(context)),
        Scope.ALL_TEAMS,
    )


@router.get("/web/hosts.json")
def hosts_json(_principal: AllTeams, context: ContextOf) -> Response:
    return screen_json(_hosts_today(context))


@router.get("/web/hosts.csv")
def hosts_csv(_principal: AllTeams, context: ContextOf) -> Response:
    return screen_csv(
        "hosts",
        (
            *("host", "site", "zone", "pue", "owner", "valid_from", "devices"),
            *("commissioned", "retired", "state", "last_seen", "completeness"),
        ),
        (
            (
                *(h.name, h.site, h.zone, h.pue, h.owner, h.valid_from, h.devices),
                *(h.commissioned, h.retired, h.state, h.last_seen, h.completeness),
            )
            for h in _hosts_today(context).hosts
        ),
    )


class KeyLine(Struct, frozen=True):
    id: str
    name: str
    team: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None


class KeysAndAudit(Struct, frozen=True):
    keys: list[KeyLine]
    audit: AuditPage
    proof: AuditProof


def _keys(context: Context, after: int) -> KeysAndAudit:
    keys = [
        KeyLine(k.id, k.name, k.team, k.scopes.split(), k.created_ms, k.expires_ms, k.revoked_ms)
        for k in list_keys(context)
    ]
    return KeysAndAudit(keys, audit_page(context, after, 50), verify_audit(context))


KeysAdmin = Annotated[Principal, Depends(requires(Scope.KEYS_ADMIN))]
After = Annotated[int, Query(ge=0)]


@router.get("/keys")
def keys_screen(request: Request, context: ContextOf, after: After = 0) -> Response:
    return show_screen(
        request,
        lambda principal: screen_page(
            request,
            principal,
            "keys",
            _keys(context, after),
            timezone=context.settings.timezone,
            now_ms=context.clock.now_ms(),
        ),
        Scope.KEYS_ADMIN,
    )


@router.get("/web/keys.json")
def keys_json(_principal: KeysAdmin, context: ContextOf, after: After = 0) -> Response:
    return screen_json(_keys(context, after))


@router.get("/web/keys.csv")
def keys_csv(_principal: KeysAdmin, context: ContextOf) -> Response:
    return screen_csv(
        "keys",
        ("key", "name", "team", "scopes", "created"),
        (
            (k.id, k.name, k.team, " ".join(k.scopes), to_rfc3339(k.created_ms))
            for k in _keys(context, 0).keys
        ),
    )
