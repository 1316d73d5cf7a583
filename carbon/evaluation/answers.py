"""Right and wrong answers of both arms, as counts: no answer itself is ever needed.

A cell counts the examples of one group and one true label by which arm was right. Both arms
answer the same frozen examples, so everything below is paired.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from carbon.errors import InvalidInput

#: Cuts of fewer people are not published.
SMALLEST_GROUP: Final = 5
COLUMNS: Final = ("group", "label", "baseline", "treatment")


@dataclass(frozen=True, slots=True)
class Cell:
    group: str
    label: str
    both_right: int
    baseline_only: int
    treatment_only: int
    both_wrong: int

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.both_right, self.baseline_only, self.treatment_only, self.both_wrong

    @property
    def total(self) -> int:
        return sum(self.counts)


def tally(rows: Iterable[tuple[str, str, str, str]]) -> list[Cell]:
    """Cells of (group, true label, baseline's answer, treatment's answer), in order of name."""
    counts: dict[tuple[str, str], Counter[tuple[bool, bool]]] = {}
    for group, label, baseline, treatment in rows:
        cell = counts.setdefault((group, label), Counter())
        cell[baseline == label, treatment == label] += 1
    return [
        Cell(
            group,
            label,
            cell[True, True],
            cell[True, False],
            cell[False, True],
            cell[False, False],
        )
        for (group, label), cell in sorted(counts.items())
    ]


def read_answers(file: TextIO) -> list[Cell]:
    """Of a CSV with the columns group, label, baseline, treatment.

    Raises InvalidInput(`invalid_answers`).
    """
    rows = csv.DictReader(file)
    if not set(COLUMNS) <= set(rows.fieldnames or ()):
        raise InvalidInput("invalid_answers", f"answers need the columns {', '.join(COLUMNS)}")
    cells = tally([(r["group"], r["label"], r["baseline"], r["treatment"]) for r in rows])
    if not cells:
        raise InvalidInput("invalid_answers", "the file has no answers")
    return cells


def withheld(cells: Sequence[Cell]) -> set[str]:
    """Groups too small to be shown or judged by themselves."""
    sizes: Counter[str] = Counter()
    for cell in cells:
        sizes[cell.group] += cell.total
    return {group for group, size in sizes.items() if size < SMALLEST_GROUP}
