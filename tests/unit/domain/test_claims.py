"""Who drew, and which workload that was."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.claims import (
    IDLE,
    NO_WORKLOAD,
    UNATTRIBUTED,
    Claim,
    SubjectKind,
    SubjectRef,
    workload_of,
)

claims = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 50), st.integers(1, 50), st.integers(0, 3)),
    max_size=8,
).map(
    lambda drawn: [
        Claim(1, workload, start, start + span, recorded, claim=n)
        for n, (workload, start, span, recorded) in enumerate(drawn, start=1)
    ]
)


@given(claims, st.integers(0, 110))
def test_the_claim_recorded_last_among_those_that_cover_a_moment_holds(
    given_claims: list[Claim], at_ms: int
) -> None:
    held = NO_WORKLOAD
    for claim in sorted(given_claims, key=lambda c: (c.recorded_ms, c.claim)):
        if claim.start_ms <= at_ms < claim.end_ms:
            held = claim.workload
    assert workload_of(given_claims, at_ms) == held


@given(claims, st.integers(0, 110), st.randoms(use_true_random=False))
def test_the_order_of_reading_does_not_matter(
    given_claims: list[Claim], at_ms: int, rng: random.Random
) -> None:
    shuffled = rng.sample(given_claims, len(given_claims))
    assert workload_of(shuffled, at_ms) == workload_of(given_claims, at_ms)


def test_a_claim_holds_from_its_start_and_no_longer_at_its_end() -> None:
    claim = Claim(1, 7, 10, 20, 0)
    assert [workload_of([claim], at) for at in (9, 10, 19, 20)] == [0, 7, 7, 0]


def test_a_later_claim_supersedes_its_own_period_alone() -> None:
    first, later = Claim(1, 7, 0, 100, 0, 1), Claim(1, 8, 40, 60, 5, 2)
    assert [workload_of([later, first], at) for at in (39, 40, 59, 60)] == [7, 8, 8, 7]


keys = st.text(min_size=1, max_size=20)
kinds = st.sampled_from([kind for kind in SubjectKind if not kind.is_nobody])


@given(kinds, keys)
def test_a_subject_is_read_as_it_is_written(kind: SubjectKind, key: str) -> None:
    subject = SubjectRef(kind, key)
    assert SubjectRef.parse(str(subject)) == subject


def test_nobody_has_no_key() -> None:
    assert SubjectRef.parse("idle") == IDLE
    assert SubjectRef.parse("unattributed") == UNATTRIBUTED


@pytest.mark.parametrize("text", ["", ":", "idle:1", "slurm", "slurm:", "ghost:1", "Slurm:1"])
def test_what_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"subject|SubjectKind"):
        SubjectRef.parse(text)
