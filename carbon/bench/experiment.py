"""`carbon bench experiment`: how often a verdict errs, what it finds, and what a gate stops."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from carbon.app import open_context
from carbon.bench.figure import Figure, Options, at_least, at_most, not_taken, reported
from carbon.bench.generated.fleet import PLANTED, Fleet, Habit
from carbon.bench.generated.year import Year
from carbon.bench.planted import year
from carbon.bench.serving import Service, service
from carbon.client.http import Client
from carbon.client.options import local_options
from carbon.domain.experiments.arms import Block
from carbon.domain.experiments.comparison import Delta, delta, pairs_needed
from carbon.domain.experiments.techniques import Technique
from carbon.domain.experiments.verdict import Verdict, verdict_of
from carbon.domain.principal import Principal
from carbon.domain.recommendations import Kind
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.evaluation.answers import Cell, tally
from carbon.evaluation.fairness import judge
from carbon.evaluation.gates import Outcome, judge_harm
from carbon.playbook.runner import Pace, Recorder
from carbon.playbook.techniques import ENTRIES, entry_of
from carbon.services.recommendations import recommendations
from carbon.settings import Settings

#: Standard deviation of one block's figure; the playbook's lie between 1 and 5 %.
_NOISE: Final = 0.03
_EFFECT: Final = 0.05
_GROUP_LIMIT: Final = 0.02


def measure(options: Options) -> list[Figure]:
    runs = 200 if options.quick else 1_000
    return [
        *_errors(runs),
        *_harm(20 if options.quick else 100),
        *_recommended(5 if options.quick else 20),
        *_generated_year(30 if options.quick else 365),
        *_playbook(options),
    ]


# Simulated


def _errors(runs: int) -> Iterator[Figure]:
    pairs = pairs_needed(_EFFECT, _NOISE)
    told = f"{runs} simulated, {pairs} blocks an arm, noise {_NOISE:.0%} with memory and drift"
    for name, ratio in (("a 5 % saving", 1 - _EFFECT), ("a 5 % rise", 1 + _EFFECT)):
        wanted = Verdict.SAVES if ratio < 1 else Verdict.COSTS
        found = [verdict_of(one) for one in _simulated(runs, pairs, ratio)]
        yield at_least(f"{name} found", found.count(wanted) / runs * 100, "%", 90.0, told)
    equal = list(_simulated(runs, pairs, 1.0))
    false = sum(verdict_of(one) is not Verdict.INCONCLUSIVE for one in equal)
    yield at_most("A/A with a verdict", false / runs * 100, "%", 5.0, told)
    covered = sum(one.low <= 0 <= one.high for one in equal)
    yield at_least("A/A whose 95 % interval holds 0", covered / runs * 100, "%", 93.0, told)
    planted = [verdict_of(one) for one in _simulated(100, 8, 0.7)]
    yield at_least("a planted 30 % saving found, 8 blocks", planted.count(Verdict.SAVES), "%", 100)


def _simulated(runs: int, pairs: int, ratio: float) -> Iterator[Delta]:
    """A/B/A/B on a machine that warms up, whose noise persists from block to block."""
    rng = random.Random(f"{pairs} {ratio}")
    for _ in range(runs):
        drift, carried = rng.gauss(0, 0.004), 0.0
        arms: tuple[list[Block], list[Block]] = ([], [])
        for place in range(2 * pairs):
            carried = 0.3 * carried + rng.gauss(0, _NOISE * (1 - 0.3**2) ** 0.5)
            drawn = 1e9 * (ratio if place % 2 else 1.0) * (1 + carried + drift * place)
            block = Block(place * 60_000, (place + 1) * 60_000, round(drawn), 0.0, 0.0, 1.0)
            arms[place % 2].append(block)
        yield delta(*arms, lambda block: block.energy_mj / block.count)


def _harm(seeds: int) -> Iterator[Figure]:
    """A treatment that loses a tenth of the answers of one group of five."""
    stopped = sum(_outcome(seed, 0.10) is not Outcome.PASSED for seed in range(seeds))
    yield at_least(
        "an unfair treatment stopped by its gate", stopped / seeds * 100, "%", 100.0,
        f"{seeds} seeds, one group of five loses 10 points, limit {_GROUP_LIMIT:.0%}",
    )  # fmt: skip
    passed = sum(_outcome(seed, 0.0) is Outcome.PASSED for seed in range(seeds))
    yield reported(
        "a harmless treatment let through", passed / seeds * 100, "%", "2 000 examples a group"
    )


def _outcome(seed: int, harm: float) -> Outcome:
    found = judge(_cells(seed, harm), seed=seed, resamples=500)
    return judge_harm("worst_group_loss", _GROUP_LIMIT, found.worst_group_loss).outcome


def _cells(seed: int, harm: float) -> list[Cell]:
    rng = random.Random(seed)
    return tally(row for group in "abcde" for row in _rows(rng, group, harm * (group == "e")))


def _rows(rng: random.Random, group: str, harm: float) -> Iterator[tuple[str, str, str, str]]:
    """Right 9 times in 10, and both arms alike but for the harm and a hundredth by chance."""
    for _ in range(2_000):
        label = rng.choice("01")
        wrong = "1" if label == "0" else "0"
        baseline = label if rng.random() < 0.9 else wrong
        flipped = rng.random() < 0.01
        treatment = rng.choice((label, wrong)) if flipped else baseline
        yield group, label, baseline, wrong if rng.random() < harm else treatment


def _recommended(seeds: int) -> Iterator[Figure]:
    named = ordered = 0
    for seed in range(seeds):
        planted = year(seed)
        wanted = list(planted.truth)
        found = [(one.kind, one.workload_id) for one in planted.found()]
        named += set(wanted) <= set(found)
        ordered += found[: len(wanted)] == wanted
    told = "a generated year; idle, oversized and deferrable planted, of sizes by seed"
    yield at_least("planted waste named", named, f"of {seeds}", seeds, told)
    yield at_least("top three by true saving, in order", ordered, f"of {seeds}", seeds, told)


_SEEN_AS: Final = {
    Habit.PARKED: Kind.IDLE_RESERVATION,
    Habit.OVERSIZED: Kind.LOW_UTILISATION,
    Habit.DEFERRABLE: Kind.COULD_HAVE_WAITED,
}


def _generated_year(days: int) -> Iterator[Figure]:
    """The same through the service, on the organisation that the other benchmarks use."""
    fleet = Fleet(gpus=64, workload_count=12)
    principal = Principal("bench", "bench", "bench", ADMIN_SCOPES)
    with tempfile.TemporaryDirectory() as folder:
        context = open_context(Settings(data_dir=Path(folder), feeds=False, zone="DE"))
        Year(context, fleet, days, 1).write()
        began = time.perf_counter()
        told = recommendations(context, principal).recommendations
        seconds = time.perf_counter() - began
        context.engine.dispose()
    wanted = [
        (_SEEN_AS[workload.habit], f"{workload.team}/{workload.name}")
        for workload in fleet.workloads[: len(PLANTED)]
    ]
    found = [(one.kind, one.workload) for one in told]
    planted = sum(one in found for one in wanted)
    yield at_least("planted in the generated year, named", planted, "of 3", 3)
    yield reported("recommendations, 64 GPUs over 28 days", seconds, "s")


# Real


def _playbook(options: Options) -> Iterator[Figure]:
    missing = [entry.technique for entry in ENTRIES if not entry.is_ready]
    if missing:
        why = "PyTorch (extra `playbook`) is absent"
        yield not_taken("playbook run all", "s", why, "<= 600")
        yield not_taken("unstructured pruning, runs without `saves`", "of 10", why, ">= 10")
        return
    with service(options.db_url, agent=True) as running:
        time.sleep(3)  # the agent's first figures
        with Client(running.url, running.key, timeout_s=120.0) as client:
            yield from _all_ten(client, running, options.quick)
            yield from _controls(client, running, 2 if options.quick else 10)


def _recorder(client: Client, running: Service, pace: Pace) -> Recorder:
    """The agent of the service under measurement measures the playbook's runs."""
    options = local_options(running.data_dir, running.url, running.key, "DE")
    return Recorder(client, options, pace)


def _all_ten(client: Client, running: Service, quick: bool) -> Iterator[Figure]:
    pace = Pace(block_s=0.3, blocks=3, quick=True) if quick else Pace()
    recorder = _recorder(client, running, pace)
    began = time.perf_counter()
    told: list[dict[str, Any]] = []
    for entry in ENTRIES:
        for comparison in entry.comparisons(1, quick):
            told += recorder.record(entry.technique, comparison)
    seconds = time.perf_counter() - began
    verdicts = Counter(one["verdict"] for one in told)
    methods = ", ".join(sorted({m for one in told for m in one["baseline"]["methods"]}))
    counted = ", ".join(f"{n} {verdict}" for verdict, n in sorted(verdicts.items()))
    yield at_most("playbook run all", seconds, "s", 600.0, f"{counted}; energy {methods}")
    with_verdict = len({one["technique"] for one in told})
    yield at_least("techniques with a verdict", with_verdict, "of 10", 10)


def _controls(client: Client, running: Service, times: int) -> Iterator[Figure]:
    """The same comparison again and again: the verdict must not depend on the day."""
    recorder = _recorder(client, running, Pace(block_s=0.6, blocks=7))
    pruning = entry_of(Technique.PRUNING).comparisons(1, True)[0]
    quantisation = entry_of(Technique.QUANTISATION).comparisons(1, True)[0]
    found: dict[str, list[dict[str, Any]]] = {}
    for name, technique, comparison in (
        ("pruning", Technique.PRUNING, pruning),
        ("int8", Technique.QUANTISATION, quantisation),
    ):
        found[name] = [one for _ in range(times) for one in recorder.record(technique, comparison)]
    not_saving = sum(one["verdict"] != "saves" for one in found["pruning"])
    yield at_least("unstructured pruning, runs without `saves`", not_saving, f"of {times}", times)
    verdict, same = Counter(one["verdict"] for one in found["int8"]).most_common(1)[0]
    method = ", ".join(found["int8"][0]["baseline"]["methods"])
    yield at_least("int8 at batch 64, runs of the same verdict", same, f"of {times}", times,
                   f"{verdict}; energy {method}")  # fmt: skip
