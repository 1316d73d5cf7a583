"""Errors pass from one process to another with all that they say."""

from __future__ import annotations

import pickle

import pytest

from carbon.errors import CarbonError, Conflicting, NotFound, StorageFull


@pytest.mark.parametrize(
    "error",
    [
        CarbonError("code", "detail"),
        NotFound("unknown_workload", "no workload", near=["a"]),
        Conflicting("already", "it is"),
        StorageFull("storage_full", "the disk is full", 30),
    ],
)
def test_an_error_survives_pickling(error: CarbonError) -> None:
    revived = pickle.loads(pickle.dumps(error))
    assert type(revived) is type(error)
    assert str(revived) == str(error)
    assert vars(revived) == vars(error)
