"""Nobody waits for a gain that is mere rounding."""

from __future__ import annotations

import numpy as np

from carbon.planning.ties import first_least


def test_the_first_of_costs_that_differ_by_rounding_is_taken():
    cost = np.array([[1.0 + 1e-13, 1.0, 1.0 - 1e-13], [2.0, 1.0, 1.0 - 1e-13]])
    assert first_least(cost, np.ones(2)).tolist() == [0, 1]


def test_a_real_gain_is_waited_for():
    cost = np.array([[1.0, 1.0 - 1e-6, np.inf]])
    assert first_least(cost, np.ones(1)).tolist() == [1]
