"""How many worked cases come out as they should."""

from __future__ import annotations

import math
from pathlib import Path

from carbon.bench.figure import Figure, at_least, not_taken
from carbon.bench.sci.golden import BY_ID, INCONSISTENT, compared, read_cases
from carbon.bench.sci.golden.stated import Case

ABSENT = "golden/sci_cases.json is not beside the data folder"
#: The tightest printed tolerances are asked of the source's own digits.
_DIGITS = 1e-12
#: Of `expected`, which is exact.
EXACT = 1e-9


def figures(data: Path | None) -> list[Figure]:
    cases = read_cases(data)
    if not cases:
        return [not_taken("golden cases, expected to 1e-9", "cases", ABSENT, ">= 65")]
    known = [case for id_, case in cases.items() if id_ in BY_ID]
    exact = sum(agrees(case, "expected", EXACT) for case in known)
    sound = [case for case in known if case["id"] not in INCONSISTENT]
    printed = sum(
        agrees(case, "published", max(case["published_tolerance"] or 0.0, _DIGITS))
        for case in sound
    )
    wrong = [case for case in known if case["id"] in INCONSISTENT]
    caught = sum(not agrees(case, "published", 1e-3) for case in wrong)
    return [
        at_least("golden cases, expected to 1e-9", exact, "cases", len(cases)),
        at_least("consistent sources within their tolerance", printed, "cases", len(sound)),
        at_least("inconsistent sources caught", caught, "cases", len(wrong)),
    ]


def agrees(case: Case, stated: str, tolerance: float) -> bool:
    return all(
        math.isclose(ours, theirs, rel_tol=tolerance) for _, ours, theirs in compared(case, stated)
    )
