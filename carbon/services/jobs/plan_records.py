"""Plans of the service: what is told to the planner, kept beside what it answered, and replayed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final
from weakref import WeakKeyDictionary

from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from carbon.clock import to_rfc3339
from carbon.domain.intensity import RatedPoint
from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.executors.registry import Executors
from carbon.planning.arrivals import Arrivals
from carbon.services.context import Context
from carbon.services.jobs.energy_prices import with_known_prices
from carbon.services.jobs.group_plans import PoolPlan, plan_of
from carbon.services.jobs.plan_inputs import (
    PLANNER,
    Expected,
    PlanInputs,
    Taken,
    Wish,
    packed,
    points_of_rated,
    unpacked,
    vintages_of,
)
from carbon.services.jobs.pools import capacity_of, terms_of, weights_of
from carbon.storage.engine import reading, writing
from carbon.storage.job_history import Arrival, arrivals
from carbon.storage.job_queries import PlacementRow, get_job, segments_of
from carbon.storage.plans import (
    Decision,
    PlanRow,
    decisions_of,
    forget_inputs,
    get_plan,
    store_plan,
)
from carbon.storage.pools import PoolRow, planned_spans
from carbon.storage.scheduler_pauses import current_pause
from carbon.wire.jobs import DecisionAnswer, DecisionList

#: A pool that holds no more than this many jobs by plan is asked for no headroom.
_FEW: Final = 16
_LOOKED_BACK_MS: Final = 21 * MS_PER_DAY
_MOST_ARRIVALS: Final = 20_000
#: Inputs of plans are kept so long.
KEPT_MS: Final = 90 * MS_PER_DAY
_FORGOTTEN_AT_ONCE: Final = 50
#: What pools expect is worked out once an hour.
_HELD_AT_MOST: Final = 256
_Known = dict[tuple[int, int, int], tuple[Expected, ...]]
_expectations: WeakKeyDictionary[Engine, _Known] = WeakKeyDictionary()


def inputs_for(
    context: Context,
    executors: Executors,
    connection: Connection,
    pool: PoolRow,
    zone: str,
    points: Sequence[RatedPoint],
    wishes: Sequence[Wish],
    taken: Sequence[Taken],
) -> PlanInputs:
    """All that a plan of these jobs is made from; `taken` is what others hold by plan."""
    now_ms = context.clock.now_ms()
    capacity = capacity_of(pool, executors)
    return PlanInputs(
        PLANNER,
        now_ms,
        zone,
        context.settings.timezone,
        points_of_rated(points),
        vintages_of(points),
        capacity,
        tuple(taken),
        with_known_prices(connection, terms_of(pool), zone, context.settings.timezone, now_ms),
        weights_of(pool),
        _expected(connection, pool, capacity, now_ms) if len(wishes) > _FEW else (),
        current_pause(connection) is not None,
        tuple(wishes),
    )


def _expected(
    connection: Connection, pool: PoolRow, capacity: int, now_ms: int
) -> tuple[Expected, ...]:
    """The work that hours of the day have brought so far; the same throughout an hour."""
    hour_ms = floor_to(now_ms, MS_PER_HOUR)
    held = _expectations.setdefault(connection.engine, {})
    key = (pool.id, hour_ms, capacity)
    if key not in held:
        since_ms = hour_ms - _LOOKED_BACK_MS
        past = arrivals(connection, pool.id, since_ms, hour_ms, _MOST_ARRIVALS)
        while len(held) >= _HELD_AT_MOST:
            held.pop(next(iter(held)), None)
        held[key] = _foreseen(past, hour_ms, capacity)
    return held[key]


def _foreseen(past: Sequence[Arrival], hour_ms: int, capacity: int) -> tuple[Expected, ...]:
    if not past:
        return ()
    work = Arrivals.seen(past).expected(hour_ms, capacity)
    columns = (work.earliest_ms, work.latest_end_ms, work.cpus, work.left_cpu_h, work.chance)
    return tuple(zip(*(column.tolist() for column in columns), strict=True))


def taken_of(connection: Connection, pool: PoolRow, but_for: str | None = None) -> list[Taken]:
    return planned_spans(connection, pool.id, but_for)


def planned_and_kept(
    connection: Connection, pool: PoolRow, inputs: PlanInputs
) -> list[PlacementRow]:
    """The placements, in the order of the wishes, each with the plan that it is part of."""
    made = plan_of(inputs)
    plan_id = keep(connection, pool, inputs, made)
    return [replace(placed, plan_id=plan_id) for placed in made.placements]


def keep(connection: Connection, pool: PoolRow, inputs: PlanInputs, made: PoolPlan) -> int:
    told = (made.method, made.cost, made.bound, packed(inputs))
    row = PlanRow(pool.id, inputs.zone, inputs.now_ms, len(inputs.wishes), *told)
    return store_plan(connection, row)


def decisions(
    context: Context, principal: Principal, job_id: str, replayed: bool = False
) -> DecisionList:
    """Every placement that a job has had, oldest first; `replayed` works each out again from
    what its plan was told and says whether it came out the same, to the bit.

    Raises NotFound(`unknown_job`).
    """
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        get_job(connection, job_id, team)
        found = decisions_of(connection, job_id)
        plans = {d.plan_id: get_plan(connection, d.plan_id) for d in found if d.plan_id}
    answers = []
    for decision in found:
        plan = plans.get(decision.plan_id) if decision.plan_id else None
        came_out = _same(job_id, decision, plan) if replayed and plan else None
        answers.append(_answer(decision, plan, came_out))
    return DecisionList(job_id, answers)


def _same(job_id: str, decision: Decision, plan: PlanRow) -> bool | None:
    """None where the inputs are no longer kept, or were those of another planner."""
    if plan.inputs is None:
        return None
    inputs = unpacked(plan.inputs)
    if inputs.planner != PLANNER:
        return None
    made = plan_of(inputs).placements
    index = next(i for i, wish in enumerate(inputs.wishes) if wish.job_id == job_id)
    return _facts(made[index]) == (
        decision.start_ms,
        decision.end_ms,
        decision.latest_start_ms,
        decision.zone,
        decision.expected_g,
        decision.start_now_g,
        decision.reason,
        segments_of(decision.segments),
        tuple(json.loads(decision.vintages)),
    )


def _facts(placed: PlacementRow) -> tuple[object, ...]:
    return (
        placed.start_ms,
        placed.end_ms,
        placed.latest_start_ms,
        placed.zone,
        placed.expected_g,
        placed.start_now_g,
        str(placed.reason),
        placed.segments,
        placed.vintages,
    )


def _answer(decision: Decision, plan: PlanRow | None, came_out: bool | None) -> DecisionAnswer:
    return DecisionAnswer(
        decided=to_rfc3339(decision.decided_ms),
        start=to_rfc3339(decision.start_ms),
        end=to_rfc3339(decision.end_ms),
        latest_start=to_rfc3339(decision.latest_start_ms),
        segments=segments_answer(segments_of(decision.segments)),
        zone=decision.zone,
        expected_g=decision.expected_g,
        start_now_g=decision.start_now_g,
        reason=decision.reason,
        vintages=json.loads(decision.vintages),
        plan=decision.plan_id,
        planned_with=plan.jobs if plan else None,
        method=plan.method if plan else None,
        gap=plan.gap if plan else None,
        replays=came_out,
    )


def segments_answer(segments: Sequence[tuple[int, int]]) -> list[list[str]]:
    return [[to_rfc3339(start), to_rfc3339(end)] for start, end in segments]


def forget_old_inputs(context: Context) -> int:
    """In short transactions; answers of how many plans."""
    before_ms = context.clock.now_ms() - KEPT_MS
    total = 0
    while True:
        with writing(context.engine) as connection:
            count = forget_inputs(connection, before_ms, _FORGOTTEN_AT_ONCE)
        total += count
        if count < _FORGOTTEN_AT_ONCE:
            return total
