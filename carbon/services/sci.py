"""SCI of a workload over a window, from the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection, func, select

from carbon.clock import to_rfc3339
from carbon.domain.embodied import EmbodiedCharge, embodied_ng
from carbon.domain.energy import Method, energy_until
from carbon.domain.factor import Factor
from carbon.domain.factor_book import FactorBook, Holding
from carbon.domain.intensity import EmissionScope, PointKind, Signal
from carbon.domain.principal import Principal
from carbon.domain.sci import Charge, Score, score
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, ceil_to, floor_to
from carbon.errors import InvalidInput, NotFound
from carbon.services.boundary import boundary_of
from carbon.services.bucket_roller import BucketRoller
from carbon.services.context import Context
from carbon.services.coverage import coverage_of
from carbon.services.rollup import roll_up
from carbon.storage.energy import has_raw_between
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.identities import find_workload, workload_names
from carbon.storage.ledger_rows import (
    DeviceRef,
    LedgerRow,
    added,
    bucket_starts,
    buckets_with_energy,
    devices_by_id,
    devices_in_bucket,
    life_of,
    rows_between,
)
from carbon.storage.names import run
from carbon.storage.ratings import Rating, Ratings
from carbon.storage.unit_counts import counts_between, units_of
from carbon.wire.answer import FactorUsed, IntensityUsed, SciAnswer

#: Units that every workload has; the ledger counts them itself.
RUN, DEVICE_HOUR = "run", "device_hour"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; None takes the default: the whole recorded life, the only unit."""

    workload: str
    start_ms: int | None = None
    end_ms: int | None = None
    unit: str | None = None
    run: str | None = None
    #: With either given, the window is re-rated with just that signal and scope.
    signal: Signal | None = None
    scope: EmissionScope | None = None

    @property
    def is_rerated(self) -> bool:
        return self.signal is not None or self.scope is not None


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


def workload_account(
    context: Context, principal: Principal, question: Question, book: FactorBook | None = None
) -> Account:
    """As `workload_sci`; `book` tries other factors than the recorded ones."""
    name = principal.workload(question.workload)
    roll_up(context, end_ms=question.end_ms)
    with reading(context.engine) as connection:
        workload_id = known_workload(connection, principal, name)
        subject_id, run_span = _run(connection, workload_id, name, question.run)
        now_ms = context.clock.now_ms()
        start_ms, end_ms = _window(connection, workload_id, question, run_span, now_ms)
        ratings = Ratings(connection, may_store=False)
        scope = _Scope(context, connection, ratings, workload_id, subject_id, question)
        ledger = _read(scope, start_ms, end_ms, book or factor_book(connection))
        unit, counted, aside = _count(connection, ledger, question)
        boundary = boundary_of(connection, workload_id)
    return _answer(name, ledger, unit, counted, aside, boundary)


def known_workload(connection: Connection, principal: Principal, name: WorkloadName) -> int:
    """Raises NotFound(`unknown_workload`) with the near names that this principal may see."""
    found = find_workload(connection, name)
    if found is not None:
        return found
    team = None if principal.sees_all_teams else principal.team
    seen = [
        str(n) if principal.sees_all_teams and n.team != principal.team else n.name
        for _, n in workload_names(connection, team)
    ]
    near = get_close_matches(name.name, seen, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise NotFound("unknown_workload", f"no workload {name}{hint}", near=near)


def _run(
    connection: Connection, workload_id: int, name: WorkloadName, run_id: str | None
) -> tuple[int | None, tuple[int, int] | None]:
    if run_id is None:
        return None, None
    key = f"{name.team}/{run_id}"
    query = select(run).where(run.c.id == key, run.c.workload_id == workload_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("unknown_run", f"{name} has no run {run_id!r}")
    return row.subject_id, (row.start_ms, row.end_ms)


def _window(
    connection: Connection,
    workload_id: int,
    question: Question,
    run_span: tuple[int, int] | None,
    now_ms: int,
) -> tuple[int, int]:
    """What is asked, else the run's span or the workload's recorded life up to now."""
    first, last = run_span or life_of(connection, workload_id) or (0, 0)
    start_ms = first if question.start_ms is None else question.start_ms
    end_ms = max(min(last, now_ms), start_ms) if question.end_ms is None else question.end_ms
    if end_ms < start_ms:
        raise InvalidInput("end_before_start", "end must not lie before start")
    return start_ms, end_ms


@dataclass(frozen=True, slots=True)
class _Ledger:
    """Everything a window's score is computed from."""

    workload_id: int
    subject_id: int | None
    start_ms: int
    end_ms: int
    rows: Sequence[LedgerRow]
    devices: Mapping[int, DeviceRef]
    ratings: Mapping[int, Rating]
    factors: FactorBook
    coverage: float | None
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scope:
    """Whose rows are read, and how they are priced."""

    context: Context
    connection: Connection
    ratings: Ratings
    workload_id: int
    subject_id: int | None
    question: Question

    def rolled_rows(self, start_ms: int, end_ms: int) -> list[LedgerRow]:
        return rows_between(self.connection, self.workload_id, start_ms, end_ms, self.subject_id)

    def raw_rows(self, start_ms: int, end_ms: int) -> list[LedgerRow]:
        """Rows of a part of one bucket, from its raw readings."""
        bucket_ms = floor_to(start_ms, BUCKET_MS)
        devices = devices_in_bucket(self.connection, self.workload_id, bucket_ms)
        roller = BucketRoller.load(
            self.context,
            self.connection,
            self.ratings,
            devices,
            start_ms,
            end_ms,
            self.question.signal or Signal.AVERAGE,
            self.question.scope,
        )
        return [
            row
            for device in devices
            for row in roller.ledger_rows(device, self.workload_id, self.subject_id)
        ]


def _read(scope: _Scope, start_ms: int, end_ms: int, book: FactorBook) -> _Ledger:
    rows, snapped = _rows(scope, start_ms, end_ms)
    connection = scope.connection
    return _Ledger(
        scope.workload_id,
        scope.subject_id,
        start_ms,
        end_ms,
        rows,
        devices_by_id(connection, sorted({row.device_id for row in rows})),
        scope.ratings.by_id,
        book,
        coverage_of(connection, rows, start_ms, end_ms),
        ("window_snapped",) if snapped else (),
    )


def _rows(scope: _Scope, start_ms: int, end_ms: int) -> tuple[list[LedgerRow], bool]:
    """The window's rows, and whether it had to be snapped outward.

    Whole buckets come from the roll-ups, unless another signal or scope was asked for; the
    buckets at the edges from raw readings, or whole where these are no longer hot.
    """
    rows: list[LedgerRow] = []
    snapped = False
    for lo, hi, is_whole in _spans(start_ms, end_ms):
        if is_whole and not scope.question.is_rerated:
            rows += scope.rolled_rows(lo, hi)
            continue
        for at in bucket_starts(scope.connection, scope.workload_id, lo, hi):
            if has_raw_between(scope.connection, at, at + BUCKET_MS):
                rows += scope.raw_rows(max(at, lo), min(at + BUCKET_MS, hi))
            elif whole := scope.rolled_rows(at, at + BUCKET_MS):
                _check_rerating(scope.question)
                rows += whole
                snapped |= not is_whole
    return added(rows), snapped


def _check_rerating(question: Question) -> None:
    if question.is_rerated:
        raise InvalidInput(
            "window_not_hot",
            "another signal or scope can be asked for while raw readings are hot; "
            "choose a later start",
        )


def _spans(start_ms: int, end_ms: int) -> list[tuple[int, int, bool]]:
    """(start, end, is_whole): the edges inside one bucket each, and the whole buckets between."""
    first, last = ceil_to(start_ms, BUCKET_MS), floor_to(end_ms, BUCKET_MS)
    if first > last:
        return [(start_ms, end_ms, False)]
    spans = [(start_ms, first, False), (first, last, True), (last, end_ms, False)]
    return [span for span in spans if span[0] < span[1]]


def _count(
    connection: Connection, ledger: _Ledger, question: Question
) -> tuple[str, int | float, int | float]:
    """(unit, R, counts set aside)."""
    own = units_of(connection, ledger.workload_id)
    unit = question.unit or _only_unit(own)
    if unit == DEVICE_HOUR:
        return unit, sum(row.reserved_ms for row in ledger.rows) / MS_PER_HOUR, 0
    if unit in own:
        counted, aside = _counted(connection, ledger, own[unit])
        return unit, counted, aside
    if unit == RUN:
        return unit, _runs(connection, ledger), 0
    known = [*own, RUN, DEVICE_HOUR]
    raise InvalidInput(
        "unknown_unit",
        f"{question.workload} has no unit {unit!r}; it has {', '.join(known)}",
        near=get_close_matches(unit, known),
    )


def _only_unit(own: Mapping[str, int]) -> str:
    if len(own) > 1:
        raise InvalidInput("unit_required", f"say which unit: {', '.join(own)}", units=list(own))
    return next(iter(own), RUN)


def _counted(connection: Connection, ledger: _Ledger, unit_id: int) -> tuple[int, int]:
    """Counts in buckets where the workload has energy, and the rest of the window's."""
    start_ms, end_ms = ledger.start_ms, ledger.end_ms
    powered = buckets_with_energy(
        connection, ledger.workload_id, start_ms, end_ms, ledger.subject_id
    )
    inside = outside = 0
    for lo, hi, count in counts_between(connection, unit_id, start_ms, end_ms):
        until, before = min(hi, end_ms), max(lo, start_ms)
        part = energy_until(count, lo, hi, until) - energy_until(count, lo, hi, before)
        if floor_to(lo, BUCKET_MS) in powered:
            inside += part
        else:
            outside += part
    return inside, outside


def _runs(connection: Connection, ledger: _Ledger) -> int:
    """Runs that ended in the window."""
    r = run.c
    query = select(func.count()).where(
        r.workload_id == ledger.workload_id, r.end_ms > ledger.start_ms, r.end_ms <= ledger.end_ms
    )
    if ledger.subject_id is not None:
        query = query.where(r.subject_id == ledger.subject_id)
    return connection.scalar(query) or 0


def _answer(
    name: WorkloadName,
    ledger: _Ledger,
    unit: str,
    counted: int | float,
    aside: int | float,
    boundary: dict[str, Any],
) -> Account:
    embodied = [charge for row in _held(ledger.rows) for charge in _embodied(ledger, *row)]
    charges = [_charge(ledger, row) for row in ledger.rows]
    result = score(charges, embodied, counted)
    used = [ledger.ratings[row.rating_id] for row in ledger.rows]
    answer = SciAnswer(
        workload=str(name),
        start=to_rfc3339(ledger.start_ms),
        end=to_rfc3339(ledger.end_ms),
        unit=unit,
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
        flags=sorted({*ledger.flags, *(flag for rating in used for flag in rating.flags)}),
        input_hash="",
    )
    answer = _hashed(answer, ledger)
    return Account(answer, ledger.rows, ledger.devices, ledger.ratings, charges, embodied)


def _hashed(answer: SciAnswer, ledger: _Ledger) -> SciAnswer:
    """The answer with the hash of everything it was computed from."""
    inputs = [
        answer.workload,
        ledger.start_ms,
        ledger.end_ms,
        answer.unit,
        answer.count,
        answer.boundary,
        [factor.id for factor in answer.factors],
        [_row_inputs(ledger, row) for row in ledger.rows],
    ]
    digest = sha256(msgspec.json.encode(inputs, order="sorted")).hexdigest()
    return msgspec.structs.replace(answer, input_hash=f"sha256:{digest}")


def _row_inputs(ledger: _Ledger, row: LedgerRow) -> list[object]:
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


def _charge(ledger: _Ledger, row: LedgerRow) -> Charge:
    rating = ledger.ratings[row.rating_id]
    return Charge(
        device=row.device_id,
        method=Method(row.method),
        zone=rating.zone,
        energy_mj=row.energy_mj,
        operational_ng=row.operational_ng,
        covered_ms=row.covered_ms,
        intensity_kind=PointKind(rating.kind),
    )


def _held(rows: Sequence[LedgerRow]) -> list[tuple[int, int]]:
    """(device, reserved time) in order of device."""
    held: dict[int, int] = {}
    for row in rows:
        held[row.device_id] = held.get(row.device_id, 0) + row.reserved_ms
    return sorted(held.items())


def _embodied(ledger: _Ledger, device_id: int, reserved_ms: int) -> list[EmbodiedCharge]:
    device = ledger.devices[device_id]
    return embodied_charges(
        ledger.factors, device_id, device, reserved_ms, ledger.start_ms, ledger.end_ms
    )


def embodied_charges(
    book: FactorBook,
    device_id: int,
    device: DeviceRef,
    reserved_ms: int,
    start_ms: int,
    end_ms: int,
) -> list[EmbodiedCharge]:
    """M of a device's reserved time in a window; where a factor changes inside of it, by the
    share of the window for which each holds."""
    if not reserved_ms:
        return []
    end_ms = max(end_ms, start_ms + 1)  # a moment may have been snapped outward to its bucket
    charges, so_far = [], 0
    for factor, lifespan, until_ms in _holding(book, device, start_ms, end_ms):
        part_ms = reserved_ms * (until_ms - start_ms) // (end_ms - start_ms) - so_far
        so_far += part_ms
        mass_ng = embodied_ng(factor.total_g, part_ms, lifespan.duration_ms)
        charges.append(EmbodiedCharge(device_id, mass_ng, factor, lifespan, part_ms))
    return charges


def _holding(
    book: FactorBook, device: DeviceRef, start_ms: int, end_ms: int
) -> list[tuple[Factor, Factor, int]]:
    """(embodied factor, lifespan, until when) over a window, in order of time."""
    embodied = book.for_device(device.kind, device.model, start_ms, end_ms)
    lifespans = book.lifespan(start_ms, end_ms)
    cuts = sorted({held.end_ms for held in (*embodied, *lifespans)})
    return [(_until(embodied, cut), _until(lifespans, cut), cut) for cut in cuts]


def _until(held: Sequence[Holding], end_ms: int) -> Factor:
    return next(one.factor for one in held if one.start_ms < end_ms <= one.end_ms)


def _factors(embodied: Sequence[EmbodiedCharge]) -> list[FactorUsed]:
    used: dict[str, Factor] = {}
    for charge in embodied:
        used |= {charge.factor.id: charge.factor, charge.lifespan.id: charge.lifespan}
    return [
        FactorUsed(f.id, str(f.kind), f.value, f.low, f.high, str(f.unit), f.source, list(f.flags))
        for _, f in sorted(used.items())
    ]


def _intensity(ledger: _Ledger, result: Score) -> list[IntensityUsed]:
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
