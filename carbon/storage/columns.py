"""Exact sums over columns of whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]


def summed(keys: Sequence[Ints], values: Sequence[Ints], where: Any = slice(None)) -> Ints:
    """Of each distinct key its columns, then the sum of each of the values, in order of key."""
    table = np.column_stack(keys)[where]
    if not len(table):
        return np.empty((0, len(keys) + len(values)), dtype=np.int64)
    order = np.lexsort(table.T[::-1])
    table = table[order]
    firsts = np.flatnonzero(np.append(True, (table[1:] != table[:-1]).any(axis=1)))
    sums = [np.add.reduceat(value[where][order], firsts) for value in values]
    return np.column_stack([table[firsts], *sums])
