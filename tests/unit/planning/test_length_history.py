"""Lengths are learned as distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.planning.length_history import LengthHistory, size_group

CELL_MS = 100
lengths = st.lists(st.integers(1, 3000), max_size=60)


def learned(some: list[int], group: int = 0, first_cell: int = 0) -> LengthHistory:
    history = LengthHistory(CELL_MS, cells=20, first_cell=first_cell)
    history.learn(np.array(some, dtype=np.int64), np.full(len(some), group))
    return history


@given(lengths, st.integers(0, 5))
def test_the_chance_to_be_alive_falls_from_one_to_nothing(some, first_cell):
    alive = learned(some, first_cell=first_cell).alive(np.array([0, 3]))
    assert alive.shape == (2, 21)
    assert (alive[:, : first_cell + 1] == 1).all()
    assert (np.diff(alive, axis=1) <= 0).all()
    assert (alive[:, -1] == 0).all()


@given(lengths)
def test_the_order_of_jobs_does_not_matter(some):
    one = learned(some).alive(np.array([0]))
    assert (learned(some[::-1]).alive(np.array([0])) == one).all()


def test_with_no_jobs_one_as_old_as_t_lives_to_2t_with_an_even_chance():
    alive = learned([]).alive(np.array([0]))[0]
    assert alive[8] == 0 or alive[16] / alive[8] == pytest.approx(0.5, abs=0.1)
    later = learned([], first_cell=4).alive(np.array([0]))[0]
    assert later[16] / later[8] == pytest.approx(0.5, abs=0.05)


def test_many_jobs_are_believed_over_the_rule():
    rng = np.random.default_rng(1)
    some = rng.integers(1, 2001, 20_000)
    alive = learned(some.tolist()).alive(np.array([0]))[0]
    actual = [(some > cell * CELL_MS).mean() for cell in range(21)]
    assert np.abs(alive - actual).max() < 0.005


def test_a_size_group_learns_apart_and_leans_on_its_class_while_young():
    history = learned([150] * 2000, group=0)
    young = history.alive(np.array([5]))[0]
    assert young[2] < 0.05
    history.learn(np.full(2000, 1150), np.full(2000, 5))
    assert history.alive(np.array([5]))[0, 11] > 0.9
    assert history.alive(np.array([0]))[0, 2] < 0.05


def test_sizes_are_grouped_by_powers_of_two():
    cpus = np.array([0.5, 1, 2, 3, 4, 5, 64, 65, 400])
    assert size_group(cpus).tolist() == [0, 0, 1, 2, 2, 3, 6, 7, 7]


def test_a_sharp_guess_is_believed_and_a_vague_one_is_not():
    history = learned(np.random.default_rng(2).integers(1, 2001, 500).tolist())
    group, guess = np.array([0]), np.array([1250])
    sharp = history.alive_given(group, guess, log_sd=0.01)[0]
    assert sharp[12] == pytest.approx(1.0, abs=1e-6)
    assert sharp[13] == pytest.approx(0.0, abs=1e-6)
    vague = history.alive_given(group, guess, log_sd=100.0)[0]
    assert np.abs(vague - history.alive(group)[0]).max() < 1e-3


@given(lengths, st.integers(1, 10_000), st.floats(0.05, 3))
def test_with_a_guess_the_chances_are_still_chances(some, guess, log_sd):
    history = learned(some, first_cell=3)
    alive = history.alive_given(np.array([0]), np.array([guess]), log_sd)
    assert alive[:, :4] == pytest.approx(1.0)
    assert (np.diff(alive, axis=1) <= 1e-12).all()
    assert (alive[:, -1] == 0).all()
