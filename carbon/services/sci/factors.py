"""Factors: listed with what disagrees, recorded for good, superseded and never edited."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from carbon.clock import to_rfc3339
from carbon.domain.factor import Factor, FactorKind
from carbon.domain.factor_book import FactorBook
from carbon.domain.factors import sources_beside
from carbon.domain.principal import Principal
from carbon.errors import InvalidInput
from carbon.services.audit import FACTOR_RECORDED, factor_hash
from carbon.services.context import Context
from carbon.storage.audit import append
from carbon.storage.engine import reading, writing
from carbon.storage.factors import factor_book, insert_factor
from carbon.wire.factors import FactorAnswer, FactorBody, FactorList

Given = TypeVar("Given")

#: An id is a path of the API.
_ID = re.compile(r"[a-z]+(/[\w.:@+-]+){1,2}")
#: Until the rest is known, from which the id is made.
_PROPOSED = "factor/proposed"


def list_factors(
    context: Context,
    kind: FactorKind | None = None,
    subject: str | None = None,
    as_of_ms: int | None = None,
) -> FactorList:
    """What ships and what was recorded, as known at a moment (by default now)."""
    book = _book(context, as_of_ms)
    return FactorList(
        [
            factor_answer(book, factor)
            for factor in sorted(book.all(), key=lambda f: (f.kind, f.subject, f.name, f.id))
            if kind in (None, factor.kind) and subject in (None, factor.subject)
        ]
    )


def get_factor(context: Context, id_: str) -> FactorAnswer:
    """Raises NotFound(`unknown_factor`)."""
    book = _book(context, None)
    return factor_answer(book, book.find(id_))


def _book(context: Context, as_of_ms: int | None) -> FactorBook:
    with reading(context.engine) as connection:
        book = factor_book(connection)
    return book if as_of_ms is None else book.as_of(as_of_ms)


def proposed_factor(
    context: Context, body: FactorBody, valid_from_ms: int | None, valid_to_ms: int | None
) -> tuple[Factor, FactorBook]:
    """The factor that a body means, and the book with it; records nothing.

    Raises InvalidInput for what cannot be a factor, Conflicting where another holds already.
    """
    book = _book(context, None)
    factor = _factor(book, body, valid_from_ms, valid_to_ms, context.clock.now_ms())
    return factor, book.with_factor(factor)


def record_factor(context: Context, principal: Principal, factor: Factor) -> FactorAnswer:
    """Records a proposed factor and its entry in the audit log."""
    with writing(context.engine) as connection:
        book = factor_book(connection)
        book.check(factor)
        insert_factor(connection, factor)
        body = {"hash": factor_hash(factor), "supersedes": factor.supersedes}
        append(connection, factor.recorded_ms, principal.key_id, FACTOR_RECORDED, factor.id, body)
    return factor_answer(FactorBook((*book.recorded, factor)), factor)


def _factor(
    book: FactorBook,
    body: FactorBody,
    valid_from_ms: int | None,
    valid_to_ms: int | None,
    now_ms: int,
) -> Factor:
    old = book.find(body.supersedes) if body.supersedes is not None else None
    made = Factor(
        id=body.id or _PROPOSED,
        kind=_stated("kind", body.kind, old.kind if old else None),
        subject=_stated("subject", body.subject, old.subject if old else None),
        name=_stated("name", body.name, old.name if old else ""),
        value=body.value,
        unit=_stated("unit", body.unit, old.unit if old else None),
        low=body.low,
        high=body.high,
        source=body.source,
        licence=body.licence,
        vintage=body.vintage,
        tier=body.tier,
        life_cycle_stages=tuple(body.life_cycle_stages),
        flags=tuple(body.flags),
        note=body.note,
        distribution=body.distribution,
        source_hash=body.source_hash,
        valid_from_ms=valid_from_ms,
        valid_to_ms=valid_to_ms,
        recorded_ms=now_ms,
        supersedes=body.supersedes,
    )
    if not _ID.fullmatch(made.id):
        raise InvalidInput(
            "invalid_id", "an id is kind/name or kind/subject/name, such as pue/my-room@2026"
        )
    if made.kind is FactorKind.EMBODIED and not made.life_cycle_stages:
        raise InvalidInput(
            "missing_stages",
            "state the life_cycle_stages that the footprint covers, such as materials and "
            "manufacture; one with the use phase cannot be embodied",
        )
    return made if body.id else replace(made, id=_id_of(made))


def _stated(name: str, given: Given | None, inherited: Given | None) -> Given:
    value = inherited if given is None else given
    if value is None:
        raise InvalidInput("missing_field", f"state {name}, or what the factor supersedes")
    return value


def _id_of(factor: Factor) -> str:
    """`embodied/gpu/nvidia-l40s@2026-1f2e3d4c`."""
    digest = factor_hash(factor).removeprefix("sha256:")
    parts = (str(factor.kind), _slug(factor.subject), _slug(factor.name))
    return f"{'/'.join(parts)}@{_slug(factor.vintage)}-{digest[:8]}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") or "generic"


def factor_answer(book: FactorBook, factor: Factor) -> FactorAnswer:
    return FactorAnswer(
        id=factor.id,
        kind=str(factor.kind),
        subject=factor.subject,
        name=factor.name,
        value=factor.value,
        unit=str(factor.unit),
        low=factor.low,
        high=factor.high,
        distribution=str(factor.distribution),
        source=factor.source,
        source_hash=factor.source_hash,
        licence=factor.licence,
        vintage=factor.vintage,
        tier=str(factor.tier),
        life_cycle_stages=[str(stage) for stage in factor.life_cycle_stages],
        flags=list(factor.flags),
        note=factor.note,
        valid_from=_moment(factor.valid_from_ms),
        valid_to=_moment(factor.valid_to_ms),
        recorded_at=_moment(factor.recorded_ms or None),
        supersedes=factor.supersedes,
        superseded_by=_ids(book.successors(factor.id)),
        beside=_ids(sources_beside(factor)),
    )


def _ids(factors: Sequence[Factor]) -> list[str]:
    return [factor.id for factor in factors]


def _moment(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)
