"""From a reported number to its formula, its factors, its roll-up rows and its readings."""

from __future__ import annotations

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.units import BUCKET_MS
from carbon.errors import CarbonError, InvalidInput
from carbon.services.context import Context
from carbon.services.reports.reports import own_report, statement_of
from carbon.services.rollup.raw_readings import readings_of
from carbon.services.sci.question import known_workload
from carbon.storage.engine import reading
from carbon.storage.evidence import (
    BucketEvidence,
    BucketKey,
    ReadingEvidence,
    buckets_behind,
    claimed_subjects,
    meter_names,
)
from carbon.wire.answer import SciAnswer
from carbon.wire.reports import (
    EmbodiedPart,
    EvidenceReading,
    EvidenceRow,
    Explanation,
    ReportBody,
    ReportLine,
    Statement,
    Term,
)

_ROWS = 100
_READINGS = 500
FORMULA = "SCI = (O + M) / R"


def explain_report(
    context: Context,
    principal: Principal,
    id_: str,
    workload: str | None = None,
    unit: str | None = None,
    after: str | None = None,
) -> Explanation:
    """One line of a report; the first where neither workload nor unit is named. `after` pages
    on through the rows.

    Raises NotFound(`unknown_report`) and InvalidInput (`unknown_line`, `invalid_cursor`).
    """
    with reading(context.engine) as connection:
        report = own_report(connection, principal, id_)
    issued = msgspec.json.decode(report.statement, type=Statement)
    line = _chosen(issued, workload and str(principal.workload(workload)), unit)
    rows, readings = _evidence(context, principal, line.answer, after)
    request = msgspec.json.decode(report.request, type=ReportBody)
    return Explanation(
        report=report.id,
        workload=line.answer.workload,
        unit=line.answer.unit,
        formula=FORMULA,
        terms=_terms(line.answer),
        operational=line.operational,
        embodied=line.embodied,
        embodied_formulas=[_embodied_formula(part) for part in line.embodied],
        rows=[_row(row) for row in rows],
        next=_cursor(rows[-1].key) if len(rows) == _ROWS else None,
        readings=[_reading(one) for one in readings],
        unchanged=_is_unchanged(context, principal, request, report.input_hash),
        statement_hash=report.statement_hash,
    )


def _chosen(issued: Statement, workload: str | None, unit: str | None) -> ReportLine:
    for line in issued.lines:
        if workload in (None, line.answer.workload) and unit in (None, line.answer.unit):
            return line
    known = ", ".join(f"{line.answer.workload} in {line.answer.unit}" for line in issued.lines)
    raise InvalidInput("unknown_line", f"the report has {known}")


def _is_unchanged(
    context: Context, principal: Principal, request: ReportBody, input_hash: str
) -> bool:
    """Whether the same inputs stand in the ledger today."""
    try:
        return statement_of(context, principal, request).input_hash == input_hash
    except CarbonError:  # the readings or the workload are gone
        return False


def _evidence(
    context: Context, principal: Principal, answer: SciAnswer, after: str | None
) -> tuple[list[BucketEvidence], list[ReadingEvidence]]:
    start_ms, end_ms = from_rfc3339(answer.start), from_rfc3339(answer.end)
    key = _key(after)
    name = principal.workload(answer.workload)
    with reading(context.engine) as connection:
        workload_id = known_workload(connection, principal, name)
        rows = buckets_behind(connection, workload_id, start_ms, end_ms, key, _ROWS)
        if not rows:
            return [], []
        meters = {row.meter_id for row in rows if row.key[0] == rows[0].key[0]}
        first_ms = rows[0].key[0]
        return rows, _readings(context, connection, meters, workload_id, first_ms)


def _readings(
    context: Context, connection: Connection, meters: set[int], workload_id: int, start_ms: int
) -> list[ReadingEvidence]:
    """Raw readings of one bucket, of the workload's subjects, wherever they lie."""
    claimed = claimed_subjects(connection, workload_id)
    names = meter_names(connection, meters)
    found = readings_of(context, connection, start_ms, start_ms + BUCKET_MS, meters)
    own = sorted(
        (r for r in found if r.subject in claimed), key=lambda r: (r.end_ms, r.meter, r.subject)
    )
    return [
        ReadingEvidence(r.start_ms, r.end_ms, *names[r.meter], r.method, r.energy_mj)
        for r in own[:_READINGS]
    ]


def _cursor(key: BucketKey) -> str:
    return ".".join(map(str, key))


def _key(after: str | None) -> BucketKey | None:
    if after is None:
        return None
    parts = after.split(".")
    if len(parts) != 4 or not all(part.isdigit() and len(part) < 16 for part in parts):
        raise InvalidInput("invalid_cursor", "after: pass on what `next` said")
    first, second, third, fourth = map(int, parts)
    return first, second, third, fourth


def _terms(answer: SciAnswer) -> list[Term]:
    count = answer.count
    return [
        Term("O", answer.operational_g, "gCO2e", "sum over 5-minute buckets of E x I x PUE"),
        Term("M", answer.embodied_g, "gCO2e", "sum over devices of TE x reserved / lifespan"),
        Term("C", answer.total_g, "gCO2e", "O + M"),
        Term("R", float(count), answer.unit, _counting(answer)),
        Term("SCI", answer.sci_g_per_unit, f"gCO2e/{answer.unit}", FORMULA),
    ]


def _counting(answer: SciAnswer) -> str:
    told = "counts of the buckets that have energy"
    meant = answer.unit_meaning
    if meant is UNSET or meant.converted_from is None:
        return told
    return f"{told}, of {meant.converted_from}, x {meant.factor:.10g} by {meant.source}"


def _embodied_formula(part: EmbodiedPart) -> str:
    if part.past_life:
        return f"{part.device}: 0 ng, older than its expected life ({part.lifespan})"
    share = f" / {part.shared_by} devices of the server" if part.kind == "server" else ""
    return (
        f"{part.device}: {part.total_g:.10g} g x {part.reserved_ms} ms / {part.lifespan_ms} ms"
        f"{share} = {part.embodied_ng} ng ({part.factor}, {part.lifespan})"
    )


def _row(row: BucketEvidence) -> EvidenceRow:
    start_ms = row.key[0]
    return EvidenceRow(
        start=to_rfc3339(start_ms),
        end=to_rfc3339(start_ms + BUCKET_MS),
        device=row.device,
        meter=row.meter,
        method=row.method.label,
        zone=row.zone,
        source=row.source,
        energy_mj=row.energy_mj,
        g_per_kwh=row.g_per_kwh,
        pue=row.pue,
        operational_ng=row.operational_ng,
        formula=f"{row.energy_mj} mJ x {row.g_per_kwh!r} g/kWh x {row.pue!r} / 3.6"
        f" = {row.operational_ng} ng",
    )


def _reading(one: ReadingEvidence) -> EvidenceReading:
    return EvidenceReading(
        start=to_rfc3339(one.start_ms),
        end=to_rfc3339(one.end_ms),
        meter=one.meter,
        device=one.device,
        method=one.method.label,
        energy_mj=one.energy_mj,
    )
