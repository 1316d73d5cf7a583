"""POST, GET /v1/reports; GET /v1/reports/{id} and …/explain, POST …/restate."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.exports.audit_pack import write as write_pack
from carbon.exports.formats import FORMS, Format
from carbon.exports.issued import Contact, Issued
from carbon.services.reports.audit_pack import audit_pack
from carbon.services.reports.explanation import explain_report
from carbon.services.reports.reports import issue_report, list_reports, read_report
from carbon.services.reports.restatement import restate_report
from carbon.wire.decode import decode
from carbon.wire.reports import ReportBody, RestateBody

router = APIRouter(prefix="/v1/reports", tags=["reports"])

#: Who may define a workload's boundary may sign for its figures.
Issuer = Annotated[Principal, Depends(requires(Scope.WORKLOADS_WRITE))]


@router.post("", status_code=201)
async def post_report(request: Request, context: ContextOf, principal: Issuer) -> Response:
    body = decode(await read_json(request), ReportBody)
    return answer(await run_in_threadpool(issue_report, context, principal, body), 201)


@router.get("")
def get_reports(
    context: ContextOf,
    principal: Reader,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: str | None = None,
) -> Response:
    return answer(list_reports(context, principal, limit, after))


@router.get("/{report_id}")
def get_report(context: ContextOf, principal: Reader, report_id: str) -> Response:
    return answer(read_report(context, principal, report_id))


@router.get("/{report_id}/explain")
def get_explanation(
    context: ContextOf,
    principal: Reader,
    report_id: str,
    workload: str | None = None,
    unit: str | None = None,
    after: str | None = None,
) -> Response:
    """From one line's number to formula, factors, roll-up rows and readings."""
    return answer(explain_report(context, principal, report_id, workload, unit, after))


@router.get("/{report_id}/export")
def get_export(
    context: ContextOf,
    principal: Reader,
    report_id: str,
    format: Format,
    contact_name: str = "",
    contact_email: str = "",
    organization: str = "",
) -> Response:
    """A report as a file: `gsf`, `sci-reporting`, `csv`, `json`, `html`, `parquet`."""
    report = read_report(context, principal, report_id)
    issued = Issued.of(report, Contact(contact_name, contact_email, organization))
    form = FORMS[format]
    headers = {
        "Content-Disposition": f'attachment; filename="{report.id}.{form.suffix}"',
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    }
    return Response(form.write(issued), media_type=form.media_type, headers=headers)


@router.get("/{report_id}/audit-pack")
def get_audit_pack(
    context: ContextOf,
    principal: Reader,
    report_id: str,
    contact_name: str = "",
    contact_email: str = "",
    organization: str = "",
) -> Response:
    """Report, factors, boundary, quarter-hours, the audit log and its verifier in one zip."""
    principal.require(Scope.AUDIT_READ)
    contact = Contact(contact_name, contact_email, organization)
    pack = audit_pack(context, principal, report_id, contact)
    headers = {"Content-Disposition": f'attachment; filename="{report_id}.zip"'}
    return Response(write_pack(pack), media_type="application/zip", headers=headers)


@router.post("/{report_id}/restate")
async def post_restate(
    request: Request, context: ContextOf, principal: Issuer, report_id: str
) -> Response:
    """What the report would say now; with `commit` it is issued anew beside the old one."""
    raw = await read_json(request)
    body = decode(raw, RestateBody) if raw else RestateBody()
    done = await run_in_threadpool(restate_report, context, principal, report_id, body)
    return answer(done, 201 if done.restated else 200)
