"""The playbook on this machine: all ten, and two comparisons again and again as controls."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from carbon.bench.figure import Figure, Options, at_least, at_most, not_taken
from carbon.bench.serving import service
from carbon.client.http import Client
from carbon.client.options import local_options
from carbon.domain.experiments.techniques import Technique
from carbon.playbook.comparison import Comparison
from carbon.playbook.runner import Pace, Recorder
from carbon.playbook.techniques import ENTRIES, entry_of

_NOT_READY: Final = "PyTorch (extra `playbook`) is absent"
#: The agent's first figures.
_SETTLE_S: Final = 3.0


def all_ten(options: Options) -> Iterator[Figure]:
    if not _is_ready():
        yield not_taken("playbook run all", "s", _NOT_READY, "<= 600")
        return
    pace = Pace(block_s=0.3, blocks=3, quick=True) if options.quick else Pace()
    with _recorder(options, pace) as recorder:
        began = time.perf_counter()
        told: list[dict[str, Any]] = []
        for entry in ENTRIES:
            for comparison in entry.comparisons(1, options.quick):
                if isinstance(comparison, Comparison):
                    told += recorder.record(entry.technique, comparison)
        seconds = time.perf_counter() - began
    verdicts = Counter(one["verdict"] for one in told)
    methods = ", ".join(sorted({m for one in told for m in one["baseline"]["methods"]}))
    counted = ", ".join(f"{n} {verdict}" for verdict, n in sorted(verdicts.items()))
    yield at_most("playbook run all", seconds, "s", 600.0, f"{counted}; energy {methods}")
    with_verdict = len({one["technique"] for one in told})
    yield at_least("techniques with a verdict", with_verdict, "of 10", 10)


def controls(options: Options) -> Iterator[Figure]:
    """The same comparison again and again: the verdict must not depend on the day."""
    times = 2 if options.quick else 10
    if not _is_ready():
        yield not_taken("unstructured pruning, runs without `saves`", "of 10", _NOT_READY, ">= 10")
        yield not_taken("int8 at batch 64, runs of the same verdict", "of 10", _NOT_READY, ">= 10")
        return
    with _recorder(options, Pace(block_s=0.5, blocks=7)) as recorder:
        pruned = _again(recorder, Technique.PRUNING, times)
        not_saving = sum(one["verdict"] != "saves" for one in pruned)
        yield at_least(
            "unstructured pruning, runs without `saves`", not_saving, f"of {times}", times
        )
        int8 = _again(recorder, Technique.QUANTISATION, times)
        verdict, same = Counter(one["verdict"] for one in int8).most_common(1)[0]
        method = ", ".join(int8[0]["baseline"]["methods"])
        yield at_least(
            "int8 at batch 64, runs of the same verdict", same, f"of {times}", times,
            f"{verdict}; energy {method}",
        )  # fmt: skip


def _again(recorder: Recorder, technique: Technique, times: int) -> list[dict[str, Any]]:
    """Of networks that are trained once: only their blocks are run anew."""
    comparison = entry_of(technique).comparisons(1, True)[0]
    assert isinstance(comparison, Comparison)
    return list(recorder.record(technique, comparison, times))


def _is_ready() -> bool:
    return all(entry.is_ready for entry in ENTRIES)


@contextmanager
def _recorder(options: Options, pace: Pace) -> Iterator[Recorder]:
    """The agent of the service under measurement measures the playbook's runs."""
    with service(options.db_url, agent=True) as running:
        time.sleep(_SETTLE_S)
        told = local_options(running.data_dir, running.url, running.key, "DE")
        with Client(running.url, running.key, timeout_s=120.0) as client:
            yield Recorder(client, told, pace, lambda line: print(line, file=sys.stderr))
