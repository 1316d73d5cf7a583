"""What an experiment found: differences, verdict, break-even, rebound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from carbon.domain.experiments.arms import Arm, Block, Treated, half_width_of, interleaved
from carbon.domain.experiments.comparison import Delta, delta
from carbon.domain.experiments.techniques import NEEDS_COST, Technique
from carbon.domain.units import MJ_PER_KWH
from carbon.errors import InvalidInput


class Verdict(StrEnum):
    SAVES = "saves"
    COSTS = "costs"
    INCONCLUSIVE = "inconclusive"


class Caveat(StrEnum):
    """What a reader must know before repeating the verdict."""

    NOT_INTERLEAVED = "not_interleaved"
    FEW_BLOCKS = "few_blocks"
    NOT_MEASURED = "energy_not_measured"
    OTHER_SENSORS = "other_sensors"
    NO_QUALITY = "quality_not_stated"
    NO_EMBODIED = "no_embodied"
    COST_NOT_STATED = "optimisation_cost_not_stated"


@dataclass(frozen=True, slots=True)
class BreakEven:
    """After how many units the optimisation's own carbon is paid back."""

    cost_g: float
    count: float | None
    low: float | None
    #: None also where the interval reaches to no saving at all.
    high: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rebound:
    """The total beside the rate: a lower rate with more use may emit more."""

    baseline_g_per_day: float
    treatment_g_per_day: float
    baseline_count_per_day: float
    treatment_count_per_day: float


@dataclass(frozen=True, slots=True)
class Finding:
    energy: Delta  #: mJ per unit
    operational: Delta  #: g per unit
    embodied: Delta
    sci: Delta
    quality: Delta | None
    verdict: Verdict
    break_even: BreakEven | None
    rebound: Rebound
    caveats: tuple[Caveat, ...]
    #: The one intensity at which both arms are priced; None where price is what was treated.
    g_per_kwh: float | None


def find(
    technique: Technique,
    baseline: Arm,
    treatment: Arm,
    treats: Sequence[Treated] = (),
    cost_g: float | None = None,
) -> Finding:
    """Compares two comparable arms (`check_comparable`).

    Unless time, zone or PUE is the treatment, both are priced at their common intensity: else an
    hour's weather would count as the treatment's doing. Raises InvalidInput(`too_few_blocks`,
    `block_without_units`).
    """
    _check_units(baseline, treatment)
    g_per_kwh = None
    if not technique.moves_in_time and not {Treated.ZONE, Treated.PUE} & set(treats):
        g_per_kwh = _common_intensity((baseline, treatment))
        baseline, treatment = (_priced(arm, g_per_kwh) for arm in (baseline, treatment))
    arms = baseline, treatment
    quality = _quality(arms)
    sci = _deltas(arms, _sci_g, _sensor_error(arms, treats))
    return Finding(
        energy=_deltas(arms, _energy_mj, _sensor_error(arms, treats)),
        operational=_deltas(arms, _operational_g, _sensor_error(arms, treats)),
        embodied=_deltas(arms, _embodied_g),
        sci=sci,
        quality=quality,
        verdict=verdict_of(sci),
        break_even=None if cost_g is None else break_even(cost_g, sci),
        rebound=_rebound(arms),
        caveats=(
            *_caveats(arms, treats, quality),
            *((Caveat.COST_NOT_STATED,) if technique in NEEDS_COST and cost_g is None else ()),
        ),
        g_per_kwh=g_per_kwh,
    )


def verdict_of(change: Delta) -> Verdict:
    if change.verdict_high < 0:
        return Verdict.SAVES
    return Verdict.COSTS if change.verdict_low > 0 else Verdict.INCONCLUSIVE


def break_even(cost_g: float, change: Delta) -> BreakEven:
    """Cost over saving per unit; only a saving pays anything back."""
    if change.value >= 0:
        return BreakEven(cost_g, None, None, None, "no_saving")
    count, low = cost_g / -change.value, cost_g / -change.low
    if change.high >= 0:
        return BreakEven(cost_g, count, low, None, "saving_not_sure")
    return BreakEven(cost_g, count, low, cost_g / -change.high)


def _check_units(baseline: Arm, treatment: Arm) -> None:
    for arm in (baseline, treatment):
        if any(not block.count > 0 for block in arm.blocks):
            raise InvalidInput(
                "block_without_units",
                f"a block of arm {arm.name} made no unit: there is no rate to compare",
            )


def _common_intensity(arms: Iterable[Arm]) -> float:
    grams = math.fsum(arm.operational_g for arm in arms)
    energy_mj = sum(arm.energy_mj for arm in arms)
    return grams * MJ_PER_KWH / energy_mj if energy_mj else 0.0


def _priced(arm: Arm, g_per_kwh: float) -> Arm:
    return replace(arm, blocks=[block.priced_at(g_per_kwh) for block in arm.blocks])


def _energy_mj(block: Block) -> float:
    return block.energy_mj / block.count


def _operational_g(block: Block) -> float:
    return block.operational_g / block.count


def _embodied_g(block: Block) -> float:
    return block.embodied_g / block.count


def _sci_g(block: Block) -> float:
    return (block.operational_g + block.embodied_g) / block.count


def _deltas(
    arms: tuple[Arm, Arm], figure: Callable[[Block], float], sensor_error: float = 0.0
) -> Delta:
    try:
        found = delta(arms[0].blocks, arms[1].blocks, figure)
    except ValueError as error:
        raise InvalidInput("too_few_blocks", f"{error}: give two or more blocks each") from None
    return found.widened(abs(found.treatment) * sensor_error) if sensor_error else found


def _sensor_error(arms: tuple[Arm, Arm], treats: Sequence[Treated]) -> float:
    """One meter's error is the same in both arms and cancels; two meters' errors do not."""
    if Treated.HARDWARE not in treats:
        return 0.0
    return math.hypot(*(half_width_of(arm.conditions.methods) for arm in arms))


def _quality(arms: tuple[Arm, Arm]) -> Delta | None:
    if any(block.quality is None for arm in arms for block in arm.blocks):
        return None
    return _deltas(arms, lambda block: block.quality or 0.0)


def _rebound(arms: tuple[Arm, Arm]) -> Rebound:
    days = [arm.duration_s / 86_400 or math.nan for arm in arms]
    grams = [
        (arm.operational_g + arm.embodied_g) / day for arm, day in zip(arms, days, strict=True)
    ]
    counts = [arm.count / day for arm, day in zip(arms, days, strict=True)]
    return Rebound(grams[0], grams[1], counts[0], counts[1])


def _caveats(
    arms: tuple[Arm, Arm], treats: Sequence[Treated], quality: Delta | None
) -> Iterable[Caveat]:
    if not interleaved(arms[0].blocks, arms[1].blocks):
        yield Caveat.NOT_INTERLEAVED
    if min(len(arm.blocks) for arm in arms) < 5:
        yield Caveat.FEW_BLOCKS
    if any(arm.conditions.method_class != "measured" for arm in arms):
        yield Caveat.NOT_MEASURED
    if Treated.HARDWARE in treats:
        yield Caveat.OTHER_SENSORS
    if quality is None:
        yield Caveat.NO_QUALITY
    if not any(arm.embodied_g for arm in arms):
        yield Caveat.NO_EMBODIED
