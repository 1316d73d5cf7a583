"""The paths of CodeCarbon's own server, so that an unmodified tracker and its command line work.

Names, units (kWh, kg) and answers are its own. Mounted at `/` and at `/api`; a key comes as
`x-api-token` or as `Authorization: Bearer`, and in `emissions_endpoint`, whose client sends no
header, as the password of the URL. Key-less only on loopback and from no browser, with the
rights of a tracker of this deployment's team.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, FastAPI, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from carbon.api.bodies import answer, read_json
from carbon.api.short_posts import Posted, ShortPost
from carbon.auth.access import (
    ContextOf,
    allowed_to_write_energy,
    context_of,
    is_local,
    principal_of,
)
from carbon.auth.keys import create_key, list_keys, principal_of_key, revoke_key
from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import FLEET_SCOPES, Scope
from carbon.errors import NotFound, Unauthorized
from carbon.services.context import Context
from carbon.services.trackers import answers, catalogue
from carbon.services.trackers.host_addresses import plain_address
from carbon.services.trackers.trackers import TrackerIngest
from carbon.storage.keys import StoredKey
from carbon.wire.codecarbon import (
    EmissionBody,
    ExperimentBody,
    OrganizationBody,
    ProjectBody,
    ProjectChange,
    RunBody,
    TokenBody,
    TotalsBody,
)
from carbon.wire.decode import decode

#: What a tracker sends that nobody has given a key.
_NO_KEY = "api_key"
_MOST_A_PAGE = 10_000

router = APIRouter(tags=["codecarbon"], include_in_schema=False)


# What a tracker calls


async def post_run(request: Request) -> Response:
    """201 with `id`, fast: a client that waits over 2 s opens another run."""
    principal = _tracker(request)
    body = decode(await read_json(request), RunBody)
    ingest = _ingest(request)
    opened = ingest.open_run(principal, body, plain_address(_client(request)))
    return answer({**msgspec.structs.asdict(body), "id": await asyncio.wrap_future(opened)}, 201)


async def post_emission(request: Request) -> Response:
    """A delta of a run, or (from `emissions_endpoint`) its totals."""
    principal = _tracker(request)
    raw = await read_json(request)
    return answer(await _told(_ingest(request), principal, raw, _client(request)), 201)


def _short_emission(app: FastAPI, posted: Posted) -> asyncio.Future[str]:
    """As `post_emission`, of a body as it is."""
    principal = allowed_to_write_energy(principal_of_key(app.state.context, posted.key))
    return _told(app.state.trackers, principal, posted.body, posted.address)


def _told(
    ingest: TrackerIngest, principal: Principal, raw: bytes, address: str
) -> asyncio.Future[str]:
    try:
        body = _DELTA.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return asyncio.wrap_future(_told_totals(ingest, principal, raw, address))
    return ingest.post(principal, raw, body)


def _told_totals(
    ingest: TrackerIngest, principal: Principal, raw: bytes, address: str
) -> Future[str]:
    if b'"emissions_sum"' in raw or b'"project_name"' not in raw:
        decode(raw, EmissionBody)  # says what is wrong with it
    body = decode(raw, TotalsBody)
    return ingest.post_totals(principal, raw, body, plain_address(address))


_DELTA = msgspec.json.Decoder(EmissionBody)

#: What trackers call, at both prefixes and in front of all other paths: to be matched and solved
#: as the others would cost more than the delta.
straight = [
    Route(prefix + path, call, methods=["POST"])
    for path, call in (("/emissions", post_emission), ("/runs", post_run))
    for prefix in ("", "/api")
]
#: Of these, what is answered at the socket where it is short and plain (`api.short_posts`).
short = [
    ShortPost(f"{prefix}/emissions", 201, _short_emission, b"x-api-token", _NO_KEY.encode())
    for prefix in ("", "/api")
]


def _ingest(request: Request) -> TrackerIngest:
    ingest: TrackerIngest = request.app.state.trackers
    return ingest


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _tracker(request: Request) -> Principal:
    return allowed_to_write_energy(_principal(request))


def _principal(request: Request) -> Principal:
    """Raises Unauthorized where no key is sent that holds, and none may be left out."""
    token = request.headers.get("x-api-token", "")
    if token and token != _NO_KEY:
        return principal_of_key(context_of(request), token)
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        return principal_of_key(context_of(request), _password(told))
    if told or not is_local(request) or "origin" in request.headers:
        return principal_of(request)
    team = context_of(request).settings.team
    return Principal("", "tracker of this machine", team, frozenset({Scope.ENERGY_TRACK}))


def _password(told: str) -> str:
    try:
        return base64.b64decode(told, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthorized("key_malformed", "the URL's user and password are no key") from None


# What its command line and its dashboards call


def _reader(request: Request) -> Principal:
    principal = principal_of(request)
    principal.require(Scope.REPORTS_READ)
    return principal


async def _read(request: Request, make: Callable[[Principal], Any], status: int = 200) -> Response:
    principal = _reader(request)
    return answer(await run_in_threadpool(make, principal), status)


@router.get("/auth/check")
async def check_auth(request: Request) -> Response:
    def user(principal: Principal) -> Any:
        return {"user": {"id": principal.key_id, "name": principal.name, "team": principal.team}}

    return await _read(request, user)


@router.get("/organizations")
async def get_organizations(request: Request, context: ContextOf) -> Response:
    return await _read(request, lambda who: catalogue.organizations(context, who))


@router.post("/organizations")
async def post_organization(request: Request, context: ContextOf) -> Response:
    body = decode(await read_json(request), OrganizationBody)
    return await _read(request, lambda who: catalogue.create_organization(context, who, body), 201)


@router.get("/organizations/{id_:uuid}")
@router.patch("/organizations/{id_:uuid}")
async def get_organization(request: Request, context: ContextOf, id_: UUID) -> Response:
    """A team's name is what others rely on: a change is answered with what stays."""
    return await _read(request, lambda who: catalogue.organization(context, who, str(id_)))


@router.get("/organizations/{id_:uuid}/projects")
async def get_projects(request: Request, context: ContextOf, id_: UUID) -> Response:
    return await _read(request, lambda who: catalogue.projects(context, who, str(id_)))


@router.get("/projects")
async def list_projects(request: Request, context: ContextOf, organization: UUID) -> Response:
    return await _read(request, lambda who: catalogue.projects(context, who, str(organization)))


@router.post("/projects")
async def post_project(request: Request, context: ContextOf) -> Response:
    body = decode(await read_json(request), ProjectBody)
    return await _read(request, lambda who: catalogue.create_project(context, who, body), 201)


@router.get("/projects/{id_:uuid}")
async def get_project(request: Request, context: ContextOf, id_: UUID) -> Response:
    return await _read(request, lambda who: catalogue.project(context, who, str(id_)))


@router.patch("/projects/{id_:uuid}")
async def patch_project(request: Request, context: ContextOf, id_: UUID) -> Response:
    body = decode(await read_json(request), ProjectChange)
    return await _read(request, lambda who: catalogue.change_project(context, who, str(id_), body))


@router.delete("/projects/{id_:uuid}")
async def delete_project(request: Request, context: ContextOf, id_: UUID) -> Response:
    principal = _reader(request)
    await run_in_threadpool(catalogue.delete_project, context, principal, str(id_))
    return Response(status_code=204)


@router.get("/projects/{id_:uuid}/experiments")
async def get_experiments(request: Request, context: ContextOf, id_: UUID) -> Response:
    return await _read(request, lambda who: catalogue.experiments(context, who, str(id_)))


@router.post("/experiments")
async def post_experiment(request: Request, context: ContextOf) -> Response:
    body = decode(await read_json(request), ExperimentBody)
    return await _read(request, lambda who: catalogue.create_experiment(context, who, body), 201)


@router.get("/experiments/{id_:uuid}")
async def get_experiment(request: Request, context: ContextOf, id_: UUID) -> Response:
    return await _read(request, lambda who: catalogue.experiment(context, who, str(id_)))


# Tokens of a project: keys of its team that may write and read nothing


@router.post("/projects/{id_:uuid}/api-tokens")
async def post_token(request: Request, context: ContextOf, id_: UUID) -> Response:
    """The token's text is told here and never again."""
    body = decode(await read_json(request), TokenBody)

    def make(principal: Principal) -> Any:
        principal.require(Scope.WORKLOADS_WRITE)
        team = catalogue.project_team(context, principal, str(id_))
        text, key_id = create_key(context, _token_name(id_, body.name), team, FLEET_SCOPES)
        return {"id": key_id, "project_id": str(id_), "name": body.name, "token": text}

    return await _read(request, make, 201)


@router.get("/projects/{id_:uuid}/api-tokens")
async def get_tokens(request: Request, context: ContextOf, id_: UUID) -> Response:
    def told(principal: Principal) -> Any:
        return [
            {
                "id": key.id,
                "project_id": str(id_),
                "name": key.name.removeprefix(_token_name(id_, "")),
                "revoked": key.revoked_ms is not None,
                "last_used": None,
                "created": to_rfc3339(key.created_ms),
            }
            for key in _tokens(context, principal, id_)
        ]

    return await _read(request, told)


@router.delete("/projects/{id_:uuid}/api-tokens/{token}")
async def delete_token(request: Request, context: ContextOf, id_: UUID, token: str) -> Response:
    principal = _reader(request)
    principal.require(Scope.WORKLOADS_WRITE)

    def revoke() -> None:
        if token not in {key.id for key in _tokens(context, principal, id_)}:
            raise NotFound("unknown_key", f"no token {token!r}")
        revoke_key(context, token)

    await run_in_threadpool(revoke)
    return Response(status_code=204)


def _tokens(context: Context, principal: Principal, project: UUID) -> list[StoredKey]:
    team = catalogue.project_team(context, principal, str(project))
    prefix = _token_name(project, "")
    return [key for key in list_keys(context, team) if key.name.startswith(prefix)]


def _token_name(project: UUID, name: str) -> str:
    return f"codecarbon {project} {name}"


# Runs and their sums

_Page = Annotated[int, Query(ge=1)]
_Size = Annotated[int, Query(ge=1, le=_MOST_A_PAGE)]


@router.get("/runs")
async def get_runs(request: Request, context: ContextOf) -> Response:
    """With `emissions` as the tracker claims them and `emissions_recomputed` by our intensity."""
    return await _read(request, lambda who: answers.runs(context, who))


@router.get("/runs/{id_:uuid}")
async def get_run(request: Request, context: ContextOf, id_: UUID) -> Response:
    return await _read(request, lambda who: answers.one_run(context, who, str(id_)))


@router.get("/runs/{id_:uuid}/emissions")
async def get_run_emissions(
    request: Request, context: ContextOf, id_: UUID, page: _Page = 1, size: _Size = 50
) -> Response:
    return await _read(request, lambda who: answers.emissions(context, who, str(id_), page, size))


@router.get("/emissions/{id_:uuid}")
async def get_emission(request: Request, context: ContextOf, id_: UUID) -> Response:
    return await _read(request, lambda who: answers.one_emission(context, who, str(id_)))


@router.get("/experiments/{id_:uuid}/runs")
async def get_experiment_runs(request: Request, context: ContextOf, id_: UUID) -> Response:
    return await _read(request, lambda who: answers.runs(context, who, experiment_id=str(id_)))


@router.get("/experiments/{id_:uuid}/runs/sums")
async def get_run_sums(request: Request, context: ContextOf, id_: UUID) -> Response:
    def told(principal: Principal) -> Any:
        found = answers.runs(context, principal, experiment_id=str(id_))
        return [answers.sums([run], run_id=run["id"], timestamp=run["timestamp"]) for run in found]

    return await _read(request, told)


@router.get("/projects/{id_:uuid}/experiments/sums")
async def get_experiment_sums(request: Request, context: ContextOf, id_: UUID) -> Response:
    def told(principal: Principal) -> Any:
        return [
            answers.sums(
                answers.runs(context, principal, experiment_id=known["id"]),
                experiment_id=known["id"],
                name=known["name"],
                description=known["description"],
            )
            for known in catalogue.experiments(context, principal, str(id_))
        ]

    return await _read(request, told)


@router.get("/projects/{id_:uuid}/sums")
async def get_project_sums(request: Request, context: ContextOf, id_: UUID) -> Response:
    def told(principal: Principal) -> Any:
        known = catalogue.project(context, principal, str(id_))
        found = answers.runs(context, principal, project_id=str(id_))
        return answers.sums(found, project_id=known["id"], name=known["name"])

    return await _read(request, told)


@router.get("/organizations/{id_:uuid}/sums")
async def get_organization_sums(request: Request, context: ContextOf, id_: UUID) -> Response:
    def told(principal: Principal) -> Any:
        known = catalogue.organization(context, principal, str(id_))
        found = answers.runs(context, principal, team=known["name"])
        return answers.sums(found, organization_id=known["id"], name=known["name"])

    return await _read(request, told)


@router.get("/lastrun/project/{id_:uuid}")
async def get_last_run(request: Request, context: ContextOf, id_: UUID) -> Response:
    def told(principal: Principal) -> Any:
        catalogue.project(context, principal, str(id_))
        found = answers.runs(context, principal, project_id=str(id_))
        if not found:
            raise NotFound("unknown_run", f"project {id_} has no run")
        return found[0]

    return await _read(request, told)
