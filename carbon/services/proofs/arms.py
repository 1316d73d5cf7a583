"""An arm as it is asked for, read from the ledger or taken from a site's totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from carbon.clock import from_rfc3339
from carbon.domain.experiments.arms import Arm, Block, Conditions, MethodClass
from carbon.domain.principal import Principal
from carbon.domain.units import QUARTER_MS
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.sci.question import Question
from carbon.services.sci.sci import Account, workload_account
from carbon.storage.engine import reading
from carbon.storage.places import places_at
from carbon.wire.experiments import ArmBody, BlockBody, ExperimentBody, StatedConditions

#: A price that carried less of the energy than this is no condition of its own.
_MINOR_SHARE = 0.05


@dataclass(frozen=True)
class ReadArm:
    arm: Arm
    unit: str
    subjects: frozenset[int]


def read_arm(
    context: Context, principal: Principal, body: ExperimentBody, name: str, asked: ArmBody
) -> ReadArm:
    """Raises InvalidInput (`invalid_block`, `no_data`, `mixed_blocks`, `conditions_required`,
    `not_quarter_hours`, `unknown_method`) and NotFound (`unknown_workload`, `unknown_run`)."""
    workload = str(principal.workload(asked.workload or body.workload))
    blocks = asked.blocks[body.warm_up :]
    if len(blocks) < 2:
        raise InvalidInput(
            "too_few_blocks",
            f"arm {name} has {len(blocks)} blocks after the warm-up: give two or more",
        )
    with_totals = [block for block in blocks if block.totals is not None]
    if not with_totals:
        return _of_ledger(context, principal, body, name, asked, workload, blocks)
    if len(with_totals) < len(blocks):
        raise InvalidInput(
            "mixed_blocks", f"arm {name}: blocks are all totals or all of the ledger"
        )
    return _of_totals(body, name, asked, workload, blocks)


def _of_ledger(
    context: Context,
    principal: Principal,
    body: ExperimentBody,
    name: str,
    asked: ArmBody,
    workload: str,
    blocks: Sequence[BlockBody],
) -> ReadArm:
    unit = asked.unit or body.unit
    accounts = [
        workload_account(context, principal, _question(workload, unit, block)) for block in blocks
    ]
    for account in accounts:
        if not account.rows:
            answer = account.answer
            raise InvalidInput(
                "no_data", f"{answer.workload} has no reading from {answer.start} to {answer.end}"
            )
    made = [_block(account, block) for account, block in zip(accounts, blocks, strict=True)]
    conditions = conditions_of(context, accounts, asked, body.warm_up)
    arm = Arm(name, workload, made, conditions, asked.config, asked.artefacts)
    of_runs = [
        account for account, block in zip(accounts, blocks, strict=True) if block.run is not None
    ]
    subjects = frozenset(row.subject_id for account in of_runs for row in account.rows)
    return ReadArm(arm, conditions.unit, subjects)


def _question(workload: str, unit: str | None, block: BlockBody) -> Question:
    if block.run is not None:
        if block.start is not None or block.end is not None:
            raise InvalidInput("invalid_block", "a block is a run, or a start and an end")
        return Question(workload, unit=unit, run=block.run)
    start_ms, end_ms = _window(block)
    return Question(workload, start_ms, end_ms, unit)


def _window(block: BlockBody) -> tuple[int, int]:
    if block.start is None or block.end is None:
        raise InvalidInput("invalid_block", "a block is a run, or a start and an end")
    try:
        start_ms, end_ms = from_rfc3339(block.start), from_rfc3339(block.end)
    except (ValueError, OverflowError):
        raise InvalidInput(
            "invalid_time", "start, end: write RFC 3339 with an offset, as 2026-01-31T08:00:00Z"
        ) from None
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "a block's end must lie after its start")
    return start_ms, end_ms


def _block(account: Account, asked: BlockBody) -> Block:
    answer = account.answer
    return Block(
        from_rfc3339(answer.start),
        from_rfc3339(answer.end),
        answer.energy_mj,
        answer.operational_g,
        answer.embodied_g,
        answer.count,
        asked.quality,
        asked.site,
        asked.run,
    )


def conditions_of(
    context: Context, accounts: Sequence[Account], asked: ArmBody, warm_up: int
) -> Conditions:
    """Under which what was read of the ledger came about."""
    answers = [account.answer for account in accounts]
    boundary = answers[0].boundary
    devices = {id_: ref for account in accounts for id_, ref in account.devices.items()}
    methods: dict[str, float] = {}
    for answer in answers:
        for label, share in answer.methods.items():
            methods[label] = methods.get(label, 0.0) + share * answer.energy_mj
    energy_mj = sum(methods.values())
    return Conditions(
        boundary={key: value for key, value in boundary.items() if key != "version"},
        unit=answers[0].unit,
        factors=frozenset(factor.id for answer in answers for factor in answer.factors),
        intensity=_prices(answers),
        selection={**asked.selection, "warm_up": warm_up},
        methods=frozenset(methods),
        method_class=MethodClass.of({k: v / energy_mj for k, v in methods.items()})
        if energy_mj
        else MethodClass.UNKNOWN,
        hardware=frozenset(f"{ref.kind} {ref.model}".strip() for ref in devices.values()),
        zones=frozenset(zone for answer in answers for zone in answer.zones),
        pues=_pues(context, accounts),
    )


def _prices(answers: Iterable[Any]) -> frozenset[str]:
    """Source, signal and scope of what priced a noticeable part of an arm's energy."""
    shares: dict[str, float] = {}
    total = 0
    for answer in answers:
        total += answer.energy_mj
        for used in answer.intensity:
            key = f"{used.source} {used.signal} {used.scope}"
            shares[key] = shares.get(key, 0.0) + used.energy_share * answer.energy_mj
    return frozenset(key for key, part in shares.items() if part >= _MINOR_SHARE * total)


def _pues(context: Context, accounts: Sequence[Account]) -> frozenset[float | None]:
    found: set[float | None] = set()
    with reading(context.engine) as connection:
        for account in accounts:
            at_ms = from_rfc3339(account.answer.start)
            places = places_at(connection, list(account.devices), at_ms, context.settings.zone)
            found |= {
                None if "pue_unset" in place.flags else place.pue for place in places.values()
            }
    return frozenset(found)


def _of_totals(
    body: ExperimentBody, name: str, asked: ArmBody, workload: str, blocks: Sequence[BlockBody]
) -> ReadArm:
    if asked.stated is None:
        raise InvalidInput(
            "conditions_required",
            f"arm {name}: totals say nothing of how they were made: add `stated` with boundary, "
            "factors, methods, zones and hardware",
        )
    unit = asked.unit or body.unit
    if unit is None:
        raise InvalidInput("unit_required", "say which unit the totals count")
    conditions = _stated(asked.stated, unit, asked, body.warm_up)
    made = [_total(block) for block in blocks]
    arm = Arm(name, workload, made, conditions, asked.config, asked.artefacts)
    return ReadArm(arm, unit, frozenset())


def _stated(told: StatedConditions, unit: str, asked: ArmBody, warm_up: int) -> Conditions:
    try:
        shares = {label: 1 / len(told.methods) for label in told.methods}
        method_class = MethodClass.of(shares)
    except KeyError as error:
        raise InvalidInput("unknown_method", f"no method {error}") from None
    return Conditions(
        boundary={key: value for key, value in told.boundary.items() if key != "version"},
        unit=unit,
        factors=frozenset(told.factors),
        intensity=frozenset(),
        selection={**asked.selection, "warm_up": warm_up},
        methods=frozenset(told.methods),
        method_class=method_class,
        hardware=frozenset(told.hardware),
        zones=frozenset(told.zones),
        pues=frozenset(told.pue if isinstance(told.pue, list) else [told.pue]),
    )


def _total(asked: BlockBody) -> Block:
    totals = asked.totals
    assert totals is not None
    start_ms, end_ms = _window(asked)
    if start_ms % QUARTER_MS or end_ms % QUARTER_MS:
        raise InvalidInput(
            "not_quarter_hours", "a site's totals begin and end on quarter-hours: no finer look"
        )
    return Block(
        start_ms,
        end_ms,
        totals.energy_mj,
        totals.operational_g,
        totals.embodied_g,
        totals.count,
        asked.quality,
        asked.site,
        None,
    )
