"""Whose a process is: its registered run, its run's or workload's variable, its user."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.collect.processes import Process
from carbon.collect.subjects import (
    EMBEDDED_RULES,
    UNATTRIBUTED,
    Subject,
    SubjectBook,
)
from carbon.domain.claims import SubjectRef


def process(
    pid: int, parent: int = 1, user: str = "ana", environment: Mapping[str, str] | None = None
) -> Process:
    return Process(pid, parent, float(pid), user, 0.0, 0.0, 0, environment or {})


def name(book: SubjectBook, *processes: Process) -> dict[int, Subject]:
    return book.name_all({p.pid: p for p in processes})


RUN_A = {"CARBON_RUN": "a", "CARBON_WORKLOAD": "w"}


def test_a_run_comes_before_a_workload_before_a_user() -> None:
    named = name(
        SubjectBook(),
        process(1),
        process(2, environment={"CARBON_WORKLOAD": "train"}),
        process(3, environment=RUN_A),
    )
    assert named[1] == Subject("user:ana")
    assert named[2] == Subject("user:ana/train", workload="train")
    assert named[3] == Subject("run:a", workload="w", run="a")


def test_two_users_of_one_workload_name_stay_apart() -> None:
    environment = {"CARBON_WORKLOAD": "train"}
    named = name(
        SubjectBook(),
        process(1, user="ana", environment=environment),
        process(2, user="bob", environment=environment),
    )
    assert named[1] != named[2]


def test_a_process_without_user_is_unattributed() -> None:
    assert name(SubjectBook(), process(1, user=""))[1] == UNATTRIBUTED


@pytest.mark.parametrize("value", ["", " ", "a/b/c", "sci", "x" * 300, "a\nb", "/", "a/"])
def test_a_workload_that_no_server_would_take_is_no_workload(value: str) -> None:
    assert name(SubjectBook(), process(1, environment={"CARBON_WORKLOAD": value}))[1] == Subject(
        "user:ana"
    )


@pytest.mark.parametrize("value", ["", "a b", "x" * 101, "a/b"])
def test_a_run_that_cannot_be_one_is_none(value: str) -> None:
    assert name(SubjectBook(), process(1, environment={"CARBON_RUN": value}))[1].run is None


def test_a_registered_process_and_its_descendants_draw_for_its_run() -> None:
    book = SubjectBook()
    run = Subject.of_run("b", "w")
    book.register([run], {10: run})
    named = name(book, process(10), process(11, parent=10), process(12, parent=11), process(13))
    assert named[10] == named[11] == named[12] == run
    assert named[13] == Subject("user:ana")


def test_the_nearest_statement_holds() -> None:
    """A command under `carbon run` inside a tracked program, and a tracked program inside a
    command under `carbon run`."""
    book = SubjectBook()
    tracked = Subject.of_run("b", "w")
    book.register([tracked], {10: tracked, 30: tracked})
    run_b = {"CARBON_RUN": "x", "CARBON_WORKLOAD": "v"}
    named = name(
        book,
        process(10),
        process(11, parent=10, environment=RUN_A),
        process(12, parent=11, environment=RUN_A),
        process(29, environment=run_b),
        process(30, parent=29, environment=run_b),
        process(31, parent=30, environment=run_b),
    )
    assert named[11].run == named[12].run == "a"
    assert named[29].run == "x"
    assert named[30] == named[31] == tracked


def test_a_run_has_one_subject_whatever_workloads_its_processes_name() -> None:
    book = SubjectBook()
    other = {"CARBON_RUN": "a", "CARBON_WORKLOAD": "other"}
    named = name(book, process(1, environment=RUN_A), process(2, environment=other))
    assert named[1] == named[2] == Subject.of_run("a", "w")
    registered = Subject.of_run("a", "registered")
    book.register([registered], {})
    assert name(book, process(2, environment=other))[2] == registered


def test_parents_in_a_ring_end_the_walk() -> None:
    book = SubjectBook()
    book.register([], {99: Subject.of_run("a", None)})
    named = name(book, process(1, parent=2), process(2, parent=1))
    assert set(named.values()) == {Subject("user:ana")}


def test_a_program_that_samples_for_itself_names_no_other_users() -> None:
    named = name(
        SubjectBook(EMBEDDED_RULES),
        process(1),
        process(2, environment={"CARBON_WORKLOAD": "train"}),
        process(3, environment=RUN_A),
    )
    assert named[1] == UNATTRIBUTED
    assert (named[2].stated, named[2].workload) == (None, "train")
    assert named[3].run == "a"


def test_what_is_stated_is_a_subject_of_the_ledger() -> None:
    named = name(
        SubjectBook(), process(1), process(2, environment={"CARBON_WORKLOAD": "team/train"})
    )
    for subject in named.values():
        assert str(SubjectRef.parse(subject.stated or "")) == subject.stated
    assert Subject.of_run("a", "w").stated is None


environments = st.sampled_from(
    [{}, RUN_A, {"CARBON_RUN": "b"}, {"CARBON_WORKLOAD": "train"}, {"CARBON_WORKLOAD": "serve"}]
)
looks = st.lists(
    st.dictionaries(st.integers(2, 6), st.tuples(environments, st.booleans()), max_size=5),
    min_size=1,
    max_size=6,
)


@given(looks)
def test_what_is_remembered_of_a_process_says_what_looking_anew_would(
    given_looks: list[dict[int, tuple[dict[str, str], bool]]],
) -> None:
    """Those that did nothing since are named from memory, in whatever mix with others."""
    remembering, known = SubjectBook(), dict[int, Process]()
    for look in given_looks:
        table = {}
        for pid, (environment, is_same) in look.items():
            before = known.get(pid)
            keeps = is_same and before is not None
            table[pid] = before if keeps and before else process(pid, environment=environment)
        known = table
        named = remembering.name_all(table)
        assert {pid: s.name for pid, s in named.items()} == {
            pid: s.name for pid, s in SubjectBook().name_all(table).items()
        }
