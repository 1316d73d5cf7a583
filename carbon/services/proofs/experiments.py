"""Experiments: compared, recorded once, and never changed. In order of time those of a workload
are its optimisation log; each has its entry in the audit chain."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.experiments.arms import Arm, Block, Treated, check_comparable, config_diff
from carbon.domain.experiments.comparison import VERDICT, Delta
from carbon.domain.experiments.techniques import Technique, check_parameters, technique_of
from carbon.domain.experiments.verdict import Finding, find
from carbon.domain.principal import Principal
from carbon.domain.uncertainty import Interval
from carbon.errors import InvalidInput, NotFound
from carbon.evaluation.answers import Cell
from carbon.evaluation.fairness import Fairness, judge
from carbon.evaluation.gates import Limits, all_passed, gates
from carbon.services.audit import EXPERIMENT_RECORDED, experiment_hash, statement_hash
from carbon.services.context import Context
from carbon.services.proofs.arms import ReadArm, read_arm
from carbon.services.proofs.published import published_answer, published_summary
from carbon.services.sci.question import Question, known_workload
from carbon.services.sci.sci import workload_sci
from carbon.storage import experiments as stored
from carbon.storage.audit import append, entry_of
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities
from carbon.wire.experiments import (
    ArmAnswer,
    BlockAnswer,
    Bounded,
    BreakEvenAnswer,
    CostBody,
    DeltaAnswer,
    Deltas,
    ExperimentBody,
    ExperimentList,
    ExperimentRecord,
    ExperimentStatement,
    ExperimentSummary,
    FairnessAnswer,
    FairnessGroup,
    GateAnswer,
    ReboundAnswer,
)

#: Names the arithmetic, as in reports.
METHOD: Final = "carbon-experiment/1"


def record_experiment(
    context: Context, principal: Principal, body: ExperimentBody
) -> dict[str, Any]:
    """Compares the arms, stores what was found and chains it.

    Raises InvalidInput: `unknown_technique`, `technique_field`, `arms_differ` (with `differ`),
    `too_few_blocks`, `block_without_units`, `invalid_cost`, and what `read_arm` raises.
    """
    technique = technique_of(body.technique)
    check_parameters(technique, body.parameters)
    read = [
        read_arm(context, principal, body, name, asked)
        for name, asked in (("baseline", body.baseline), ("treatment", body.treatment))
    ]
    treats = [Treated(one) for one in body.treats]
    baseline, treatment = read[0].arm, read[1].arm
    check_comparable(baseline.conditions, treatment.conditions, treats)
    finding = find(technique, baseline, treatment, treats, _cost_g(context, principal, body))
    fairness = _fairness(body)
    statement = _statement(body, technique, baseline, treatment, finding, fairness)
    return _store(context, principal, body, statement, read)


def read_experiment(context: Context, principal: Principal, id_: str) -> dict[str, Any]:
    """Raises NotFound: `unknown_experiment`, for another team's too unless it is published, and
    `experiment_erased`."""
    with reading(context.engine) as connection:
        found = _visible(connection, principal, id_)
        answer = _answer(connection, found)
    return answer if _is_own(principal, found) else published_answer(answer, found.salt)


def list_experiments(
    context: Context,
    principal: Principal,
    limit: int = 50,
    after: str | None = None,
    workload: str | None = None,
    technique: str | None = None,
) -> ExperimentList:
    """Newest first: of one's own team, and what others published."""
    wanted = None if technique is None else technique_of(technique)
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        last = _visible(connection, principal, after) if after else None
        workload_id = None
        if workload is not None:
            workload_id = known_workload(connection, principal, principal.workload(workload))
        found = stored.experiments_of(
            connection,
            team,
            limit,
            workload_id=workload_id,
            technique=wanted,
            before=(last.recorded_ms, last.id) if last else None,
        )
    return ExperimentList(
        [_summary(principal, one) for one in found], found[-1].id if len(found) == limit else None
    )


def _is_own(principal: Principal, found: stored.StoredExperiment) -> bool:
    return principal.sees_all_teams or found.team == principal.team


def _visible(connection: Connection, principal: Principal, id_: str) -> stored.StoredExperiment:
    found = stored.find_experiment(connection, id_)
    if found is None or not (found.is_published or _is_own(principal, found)):
        raise NotFound("unknown_experiment", f"no experiment {id_!r}")
    if not found.statement:
        raise NotFound(
            "experiment_erased", f"{id_} was erased with its team; its hash is in the log"
        )
    return found


def _cost_g(context: Context, principal: Principal, body: ExperimentBody) -> float | None:
    """None where nobody stated what making the treatment took; stated 0 is 0."""
    if not body.optimisation:
        return None
    return math.fsum(_grams(context, principal, body, cost) for cost in body.optimisation)


def _grams(context: Context, principal: Principal, body: ExperimentBody, cost: CostBody) -> float:
    if (cost.grams is None) == (cost.run is None):
        raise InvalidInput("invalid_cost", f"{cost.what}: state its grams, or the run that made it")
    if cost.grams is not None:
        return cost.grams
    workload = cost.workload or body.workload
    answer = workload_sci(context, principal, Question(workload, unit="run", run=cost.run))
    return answer.total_g


def _fairness(body: ExperimentBody) -> Fairness | None:
    if not body.answers:
        return None
    cells = [
        Cell(c.group, c.label, c.both_right, c.baseline_only, c.treatment_only, c.both_wrong)
        for c in body.answers
    ]
    if len({(cell.group, cell.label) for cell in cells}) < len(cells):
        raise InvalidInput("invalid_answers", "a group and label stand in two cells")
    try:
        return judge(cells)
    except ValueError as error:
        raise InvalidInput("invalid_answers", f"answers: {error}") from None


def _statement(
    body: ExperimentBody,
    technique: Technique,
    baseline: Arm,
    treatment: Arm,
    finding: Finding,
    fairness: Fairness | None,
) -> ExperimentStatement:
    asked = body.gates
    limits = Limits(
        asked.quality_loss, asked.worst_group_loss, asked.equalised_odds_change, asked.verdict
    )
    judged = gates(limits, finding, fairness)
    unit = baseline.conditions.unit
    return ExperimentStatement(
        workload=baseline.workload,
        title=body.title,
        technique=technique,
        parameters=dict(body.parameters),
        unit=unit,
        treats=sorted(set(body.treats)),
        warm_up=body.warm_up,
        quality_metric=body.quality_metric,
        baseline=_arm(baseline),
        treatment=_arm(treatment),
        config_diff=_listed(config_diff(baseline.config, treatment.config)),
        artefact_diff=_listed(config_diff(baseline.artefacts, treatment.artefacts)),
        deltas=_deltas(finding, fairness, unit, body.quality_metric),
        verdict=finding.verdict,
        verdict_confidence=VERDICT,
        gates=[GateAnswer(g.name, g.limit, str(g.outcome), g.value, g.low, g.high) for g in judged],
        passed=all_passed(judged),
        break_even=_break_even(finding),
        rebound=ReboundAnswer(
            finding.rebound.baseline_g_per_day,
            finding.rebound.treatment_g_per_day,
            finding.rebound.baseline_count_per_day,
            finding.rebound.treatment_count_per_day,
        ),
        caveats=[str(caveat) for caveat in finding.caveats],
        boundary=dict(baseline.conditions.boundary),
        factors=sorted(baseline.conditions.factors | treatment.conditions.factors),
        intensity=sorted(baseline.conditions.intensity | treatment.conditions.intensity),
        g_per_kwh=finding.g_per_kwh,
        not_measured=_not_measured(baseline, finding, fairness),
        method=METHOD,
    )


def _listed(diff: Mapping[str, tuple[Any, Any]]) -> dict[str, list[Any]]:
    return {key: list(pair) for key, pair in diff.items()}


def _arm(arm: Arm) -> ArmAnswer:
    conditions = arm.conditions
    total_g = arm.operational_g + arm.embodied_g
    return ArmAnswer(
        workload=arm.workload,
        blocks=[_block(block) for block in arm.blocks],
        energy_mj=arm.energy_mj,
        operational_g=arm.operational_g,
        embodied_g=arm.embodied_g,
        total_g=total_g,
        count=arm.count,
        sci_g_per_unit=total_g / arm.count,
        config=dict(arm.config),
        artefacts=dict(arm.artefacts),
        methods=sorted(conditions.methods),
        method_class=conditions.method_class,
        hardware=sorted(conditions.hardware),
        zones=sorted(conditions.zones),
        pue=sorted(conditions.pues, key=lambda pue: pue or 0.0),
    )


def _block(block: Block) -> BlockAnswer:
    return BlockAnswer(
        to_rfc3339(block.start_ms),
        to_rfc3339(block.end_ms),
        block.energy_mj,
        block.operational_g,
        block.embodied_g,
        block.count,
        (block.operational_g + block.embodied_g) / block.count,
        block.quality,
        block.site,
        block.run,
    )


def _deltas(finding: Finding, fairness: Fairness | None, unit: str, metric: str) -> Deltas:
    grams = f"g/{unit}"
    return Deltas(
        energy=_delta(finding.energy, f"mJ/{unit}"),
        operational=_delta(finding.operational, grams),
        embodied=_delta(finding.embodied, grams),
        sci=_delta(finding.sci, grams),
        quality=_delta(finding.quality, metric or "quality") if finding.quality else None,
        fairness=_fairness_answer(fairness) if fairness else None,
    )


def _delta(found: Delta, unit: str) -> DeltaAnswer:
    low, high = found.relative_bounds or (None, None)
    return DeltaAnswer(
        unit,
        found.baseline,
        found.treatment,
        found.value,
        found.low,
        found.high,
        found.relative,
        low,
        high,
    )


def _fairness_answer(found: Fairness) -> FairnessAnswer:
    return FairnessAnswer(
        found.examples,
        _bounded(found.loss),
        [
            FairnessGroup(
                g.group,
                g.examples,
                g.baseline_accuracy,
                g.treatment_accuracy,
                g.loss.value,
                g.loss.low,
                g.loss.high,
                g.agreement,
                g.p_value,
            )
            for g in found.groups
        ],
        found.withheld,
        found.worst_group,
        _bounded(found.worst_group_loss) if found.worst_group_loss else None,
        _bounded(found.equalised_odds_change) if found.equalised_odds_change else None,
        found.p_value,
    )


def _bounded(interval: Interval) -> Bounded:
    return Bounded(interval.value, interval.low, interval.high)


def _break_even(finding: Finding) -> BreakEvenAnswer | None:
    found = finding.break_even
    if found is None:
        return None
    return BreakEvenAnswer(found.cost_g, found.count, found.low, found.high, found.reason)


def _not_measured(arm: Arm, finding: Finding, fairness: Fairness | None) -> list[str]:
    excluded = [str(part.get("component")) for part in arm.conditions.boundary.get("excluded", [])]
    return [
        *excluded,
        *(["quality"] if finding.quality is None and fairness is None else []),
        *(["effect on groups"] if fairness is None else []),
        *(["carbon of making the treatment"] if finding.break_even is None else []),
    ]


def _store(
    context: Context,
    principal: Principal,
    body: ExperimentBody,
    statement: ExperimentStatement,
    read: Sequence[ReadArm],
) -> dict[str, Any]:
    name = principal.workload(body.workload)
    now_ms = context.clock.now_ms()
    text = msgspec.json.encode(statement, order="sorted")
    with writing(context.engine) as connection:
        ids = Identities(connection, now_ms, {})
        made = stored.StoredExperiment(
            id=f"exp_{secrets.token_hex(8)}",
            team=name.team,
            workload_id=ids.workload(name),
            technique=statement.technique,
            recorded_ms=now_ms,
            actor=principal.key_id,
            verdict=statement.verdict,
            is_published=body.publish,
            request=msgspec.json.encode(body, order="sorted").decode(),
            statement=text.decode(),
            statement_hash=statement_hash(text),
        )
        subjects = [(id_, one.arm.name) for one in read for id_ in sorted(one.subjects)]
        stored.insert_experiment(connection, ids.team(name.team), made, subjects)
        if made.is_published:
            stored.draw_salt(connection, ids.team(name.team))
        chained = {"hash": experiment_hash(made), "technique": made.technique}
        append(connection, now_ms, principal.key_id, EXPERIMENT_RECORDED, made.id, chained)
        return _answer(connection, made)


def _answer(connection: Connection, found: stored.StoredExperiment) -> dict[str, Any]:
    """The record and the statement side by side."""
    entry = entry_of(connection, EXPERIMENT_RECORDED, found.id)
    record = ExperimentRecord(
        found.id,
        found.team,
        to_rfc3339(found.recorded_ms),
        found.actor,
        found.is_published,
        found.statement_hash,
        entry.id if entry else 0,
        entry.hash.hex() if entry else "",
    )
    return {**msgspec.to_builtins(record), **msgspec.json.decode(found.statement)}


def _summary(principal: Principal, found: stored.StoredExperiment) -> ExperimentSummary:
    told = msgspec.json.decode(found.statement, type=ExperimentStatement)
    sci = told.deltas.sci
    summary = ExperimentSummary(
        found.id,
        found.team,
        told.workload,
        told.title,
        found.technique,
        to_rfc3339(found.recorded_ms),
        found.actor,
        found.is_published,
        told.verdict,
        told.passed,
        told.unit,
        sci.baseline,
        sci.treatment,
        sci.relative,
        sci.relative_low,
        sci.relative_high,
        told.config_diff,
        found.statement_hash,
        told.deltas.quality,
    )
    return summary if _is_own(principal, found) else published_summary(summary, found.salt)
