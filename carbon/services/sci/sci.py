"""SCI of a workload over a window, from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET

from carbon.clock import to_rfc3339
from carbon.domain.embodied import EmbodiedCharge
from carbon.domain.energy import Method
from carbon.domain.factor import Factor
from carbon.domain.factor_book import FactorBook
from carbon.domain.functional_unit import UnitDefinition
from carbon.domain.intensity import PointKind
from carbon.domain.principal import Principal
from carbon.domain.sci import Charge, Score, score, terms_ng
from carbon.domain.tenancy import WorkloadName
from carbon.domain.uncertainty import Term
from carbon.domain.units import NG_PER_G
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.services.sci.boundary import boundary_of
from carbon.services.sci.components import with_components
from carbon.services.sci.counting import count_units
from carbon.services.sci.gap_filling import with_gaps_filled
from carbon.services.sci.held_devices import embodied_charges, held_ms
from carbon.services.sci.host_parts import with_host_parts
from carbon.services.sci.idle_time import with_idle_time
from carbon.services.sci.question import Question, known_workload, span_of_run, window_of
from carbon.services.sci.simulation import simulate
from carbon.services.sci.unit_definitions import meaning
from carbon.services.sci.window_ledger import Ledger, Scope, read_ledger
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.ledger_rows import DeviceRef, LedgerRow
from carbon.storage.ratings import Rating, Ratings
from carbon.storage.settled import pieces_of
from carbon.storage.unit_definitions import definitions_of
from carbon.wire.answer import FactorUsed, IntensityUsed, SciAnswer


def workload_sci(context: Context, principal: Principal, question: Question) -> SciAnswer:
    """Answers a question. Brings the window's roll-ups up to date first.

    Raises NotFound (`unknown_workload` with near names, `unknown_run`) and InvalidInput
    (`unit_required`, `unknown_unit`, `end_before_start`).
    """
    return workload_account(context, principal, question).answer


@dataclass(frozen=True, slots=True)
class Account:
    """An answer with what it was computed from."""

    answer: SciAnswer
    rows: Sequence[LedgerRow]
    devices: Mapping[int, DeviceRef]
    ratings: Mapping[int, Rating]
    charges: Sequence[Charge]
    embodied: Sequence[EmbodiedCharge]
    #: Part of `rows`: of filled gaps, of idle time by policy, of components without a meter.
    added: Sequence[LedgerRow]

    @property
    def metered(self) -> list[LedgerRow]:
        """Rows of the workload's own subjects, by meters."""
        more = {row.key for row in self.added}
        return [row for row in self.rows if row.key not in more]


def workload_account(
    context: Context, principal: Principal, question: Question, book: FactorBook | None = None
) -> Account:
    """As `workload_sci`; `book` tries other factors than the recorded ones."""
    name = principal.workload(question.workload)
    roll_up(context, end_ms=question.end_ms)
    with reading(context.engine) as connection:
        workload_id = known_workload(connection, principal, name)
        subject_id, run_span = span_of_run(connection, workload_id, name, question.run)
        now_ms = context.clock.now_ms()
        start_ms, end_ms = window_of(connection, workload_id, question, run_span, now_ms)
        ratings = Ratings(connection, may_store=False)
        scope = Scope(
            context,
            connection,
            ratings,
            workload_id,
            subject_id,
            question,
            pieces_of(connection, ZoneInfo(context.settings.timezone), workload_id),
        )
        ledger = read_ledger(scope, start_ms, end_ms, book or factor_book(connection))
        if question.fill_gaps:
            ledger = with_gaps_filled(scope, ledger)
        ledger = with_host_parts(scope, ledger, question.host_parts)
        ledger = with_idle_time(scope, ledger, question.idle)
        ledger = with_components(scope, ledger)
        unit, counted, aside = count_units(scope, ledger, question)
        boundary = boundary_of(connection, workload_id)
        meant = definitions_of(connection, workload_id).get(unit)
    return _answer(name, ledger, unit, meant, counted, aside, boundary)


def _answer(
    name: WorkloadName,
    ledger: Ledger,
    unit: str,
    meant: UnitDefinition | None,
    counted: int | float,
    aside: int | float,
    boundary: dict[str, Any],
) -> Account:
    embodied = [charge for row in held_ms(ledger.rows) for charge in _embodied(ledger, *row)]
    charges = [_charge(ledger, row) for row in ledger.rows]
    result = _drawn(score(charges, embodied, counted), terms_ng(charges, embodied))
    used = [ledger.ratings[row.rating_id] for row in ledger.rows]
    answer = SciAnswer(
        workload=str(name),
        start=to_rfc3339(ledger.start_ms),
        end=to_rfc3339(ledger.end_ms),
        unit=unit,
        unit_meaning=meaning(unit, meant) if meant else UNSET,
        count=counted,
        count_set_aside=aside,
        energy_mj=result.energy_mj,
        measured_g=result.measured_g,
        estimated_g=result.estimated_g,
        operational_g=result.operational_g,
        embodied_g=result.embodied_g,
        total_g=result.total_g,
        sci_g_per_unit=result.sci_g_per_unit,
        low=result.low,
        high=result.high,
        reason=str(result.reason) if result.reason else UNSET,
        coverage=ledger.coverage,
        methods=result.methods,
        zones=list(result.zones),
        boundary=boundary,
        factors=_factors(embodied),
        intensity=_intensity(ledger, result),
        flags=sorted({*_flags(ledger, embodied), *(flag for r in used for flag in r.flags)}),
        input_hash="",
    )
    answer = _hashed(answer, ledger, embodied)
    return Account(
        answer, ledger.rows, ledger.devices, ledger.ratings, charges, embodied, ledger.added_rows
    )


def _drawn(result: Score, terms: Iterable[Term]) -> Score:
    """The score between drawn bounds; `score` itself has those of the first order."""
    return result.within(simulate(terms).scaled(1 / NG_PER_G))


def _flags(ledger: Ledger, embodied: Sequence[EmbodiedCharge]) -> Iterable[str]:
    yield from ledger.flags
    if any(charge.past_life for charge in embodied):
        yield "fully_depreciated"
    if any(_is_inside_of_server(ledger, row) for row in ledger.rows):
        yield "parts_in_server"


def _is_inside_of_server(ledger: Ledger, row: LedgerRow) -> bool:
    server = ledger.devices[row.device_id].server
    return bool(row.reserved_ms) and server is not None and server.is_inside


def _hashed(answer: SciAnswer, ledger: Ledger, embodied: Sequence[EmbodiedCharge]) -> SciAnswer:
    """The answer with the hash of everything it was computed from."""
    inputs = [
        answer.workload,
        ledger.start_ms,
        ledger.end_ms,
        answer.unit if answer.unit_meaning is UNSET else answer.unit_meaning,
        answer.count,
        answer.boundary,
        [factor.id for factor in answer.factors],
        [_row_inputs(ledger, row) for row in ledger.rows],
        *([ledger.devices[int(c.device)].uuid, c.reserved_ms] for c in embodied if c.past_life),
        *(_own_inputs(ledger, charge) for charge in embodied if _is_of_its_own(charge)),
    ]
    digest = sha256(msgspec.json.encode(inputs, order="sorted")).hexdigest()
    return msgspec.structs.replace(answer, input_hash=f"sha256:{digest}")


def _is_of_its_own(charge: EmbodiedCharge) -> bool:
    """Whether its device alone does not tell how it is charged."""
    return bool(charge.server or charge.lifespan.subject)


def _own_inputs(ledger: Ledger, charge: EmbodiedCharge) -> list[object]:
    uuid = ledger.devices[int(charge.device)].uuid
    return [uuid, charge.server, charge.shared_by, charge.factor.id, charge.lifespan.id]


def _row_inputs(ledger: Ledger, row: LedgerRow) -> list[object]:
    """A row by names instead of surrogate ids: the same ledger elsewhere hashes the same."""
    rating = ledger.ratings[row.rating_id]
    return [
        ledger.devices[row.device_id].uuid,
        row.method,
        [rating.zone, rating.source, rating.signal, rating.scope, rating.kind],
        row.energy_mj,
        row.operational_ng,
        row.covered_ms,
        row.reserved_ms,
    ]


def _charge(ledger: Ledger, row: LedgerRow) -> Charge:
    rating = ledger.ratings[row.rating_id]
    low_ng, high_ng = ledger.bounds.get(row.key, (None, None))
    return Charge(
        device=ledger.devices[row.device_id].uuid,
        method=Method(row.method),
        zone=rating.zone,
        energy_mj=row.energy_mj,
        operational_ng=row.operational_ng,
        covered_ms=row.covered_ms,
        intensity_kind=PointKind(rating.kind),
        pue_is_stated=rating.pue_is_stated,
        low_ng=low_ng,
        high_ng=high_ng,
    )


def _embodied(ledger: Ledger, device_id: int, reserved_ms: int) -> list[EmbodiedCharge]:
    device = ledger.devices[device_id]
    return embodied_charges(
        ledger.factors, device_id, device, reserved_ms, ledger.start_ms, ledger.end_ms
    )


def _factors(embodied: Sequence[EmbodiedCharge]) -> list[FactorUsed]:
    used: dict[str, Factor] = {}
    for charge in embodied:
        used |= {charge.factor.id: charge.factor, charge.lifespan.id: charge.lifespan}
    return [
        FactorUsed(f.id, str(f.kind), f.value, f.low, f.high, str(f.unit), f.source, list(f.flags))
        for _, f in sorted(used.items())
    ]


def _intensity(ledger: Ledger, result: Score) -> list[IntensityUsed]:
    energy: dict[int, int] = {}
    for row in ledger.rows:
        energy[row.rating_id] = energy.get(row.rating_id, 0) + row.energy_mj
    used = [(ledger.ratings[rating_id], mj) for rating_id, mj in energy.items()]
    return [
        IntensityUsed(
            r.zone, r.source, r.signal, r.scope, r.kind, list(r.flags), mj / result.energy_mj
        )
        for r, mj in sorted(used, key=lambda pair: (-pair[1], pair[0].zone, pair[0].source))
        if mj
    ]
