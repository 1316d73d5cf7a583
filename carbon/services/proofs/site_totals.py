"""What a site hands to a central ledger in place of its readings: sums of whole quarter-hours.

The answer is the arm of an experiment as `POST /v1/experiments` takes it. It names no workload,
run, device, host or user: the sums, and the conditions without which they could not be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from carbon.domain.experiments.arms import Conditions
from carbon.domain.principal import Principal
from carbon.domain.units import QUARTER_MS
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.proofs.arms import conditions_of
from carbon.services.sci.question import Question
from carbon.services.sci.sci import Account, workload_account
from carbon.wire.experiments import ArmBody, BlockBody, StatedConditions, Totals

#: Blocks of an arm: some five days.
MOST: Final = 500


def site_totals(
    context: Context,
    principal: Principal,
    workload: str,
    start_ms: int,
    end_ms: int,
    unit: str | None,
    site: str,
) -> ArmBody:
    """Of the quarter-hours of [start_ms, end_ms) in which the workload drew energy and was counted.

    Raises InvalidInput (`not_quarter_hours`, `too_many_quarters`, `no_data`, and what a question
    for a score raises) and NotFound(`unknown_workload`).
    """
    if start_ms % QUARTER_MS or end_ms % QUARTER_MS or end_ms <= start_ms:
        raise InvalidInput(
            "not_quarter_hours", "start and end lie on quarter-hours, the end after the start"
        )
    if (end_ms - start_ms) // QUARTER_MS > MOST:
        raise InvalidInput("too_many_quarters", f"ask for {MOST} quarter-hours at most")
    questions = (
        Question(workload, at_ms, at_ms + QUARTER_MS, unit)
        for at_ms in range(start_ms, end_ms, QUARTER_MS)
    )
    accounts = [
        account
        for question in questions
        if (account := workload_account(context, principal, question)).rows and account.answer.count
    ]
    if not accounts:
        raise InvalidInput("no_data", f"{workload} has no counted energy in that time")
    conditions = conditions_of(context, accounts, ArmBody([]), warm_up=0)
    return ArmBody(
        blocks=list(_blocks(accounts, site)),
        unit=conditions.unit,
        stated=_stated(conditions),
    )


def _blocks(accounts: list[Account], site: str) -> Iterator[BlockBody]:
    for account in accounts:
        told = account.answer
        sums = Totals(told.energy_mj, told.operational_g, told.count, told.embodied_g)
        yield BlockBody(start=told.start, end=told.end, site=site, totals=sums)


def _stated(conditions: Conditions) -> StatedConditions:
    pues = sorted(conditions.pues, key=lambda pue: pue or 0.0)
    return StatedConditions(
        boundary=dict(conditions.boundary),
        factors=sorted(conditions.factors),
        methods=sorted(conditions.methods),
        zones=sorted(conditions.zones),
        hardware=sorted(conditions.hardware),
        pue=pues[0] if len(pues) == 1 else pues,
    )
