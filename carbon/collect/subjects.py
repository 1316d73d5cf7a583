"""Who a process belongs to: an ordered list of rules, the first that knows an answer decides.

A run's own registration (by process) comes before the environment; what stands between that
and the user is in `collect.naming`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from msgspec import Struct, field

from carbon.collect.processes import Process, user_name
from carbon.domain.tenancy import parse_workload
from carbon.errors import InvalidInput

_RUN_ID = re.compile(r"[\w.:@+-]{1,100}")


class Subject(NamedTuple):
    """Who was seen drawing, and the workload that this is known to be."""

    #: `run:ID`, `user:NAME`, `user:NAME/WORKLOAD`, `name:WORKLOAD`, `idle`, `unattributed`.
    name: str
    workload: str | None = None
    run: str | None = None

    @classmethod
    def of_run(cls, run: str, workload: str | None) -> Subject:
        return cls(f"run:{run}", workload, run)

    @property
    def stated(self) -> str | None:
        """As an interval states it; None where its run or its workload says it all."""
        return None if self.run or self.name.startswith("name:") else self.name


IDLE = Subject("idle")
UNATTRIBUTED = Subject("unattributed")

Rule = Callable[[Process], Subject | None]


def run_rule(process: Process) -> Subject | None:
    """CARBON_RUN, set by `carbon run` on its child and inherited from there."""
    run = process.environment.get("CARBON_RUN", "")
    if not _RUN_ID.fullmatch(run):
        return None
    return Subject.of_run(run, stated_workload(process))


def workload_rule(process: Process) -> Subject | None:
    """CARBON_WORKLOAD names a workload; its user stays in the subject, so that two users of one
    name are told apart."""
    workload = stated_workload(process)
    return Subject(f"user:{process.user}/{workload}", workload) if workload else None


def named_workload_rule(process: Process) -> Subject | None:
    """The workload alone: what may be said with a team's own key, which vouches for the team."""
    workload = stated_workload(process)
    return Subject(f"name:{workload}", workload) if workload else None


def user_rule(process: Process) -> Subject | None:
    return Subject(f"user:{process.user}") if process.user else None


_NEVER: tuple[Process | None, Subject | None] = (None, None)


@cache
def _trusted_users() -> frozenset[str]:
    return frozenset({"root", user_name(os.getuid())})


def stated_workload(process: Process) -> str | None:
    """CARBON_WORKLOAD, where it is a name that the server takes: else the user stays.

    Only the agent's own user and root may state a team with it: anybody else would charge
    whom they like. Their teams come from the site's rules.
    """
    workload = process.environment.get("CARBON_WORKLOAD", "")
    if "/" in workload and process.user not in _trusted_users():
        return None
    try:
        return valid_workload(workload) if workload else None
    except InvalidInput:
        return None


def valid_workload(text: str) -> str:
    """The text, if it names a workload. Raises InvalidInput `invalid_workload`."""
    parse_workload(text, own_team="own")
    return text


#: Of an agent of the host, which sees everybody.
AGENT_RULES: Sequence[Rule] = (run_rule, workload_rule, user_rule)
#: Of somebody's program or run that samples for itself: the other users are not its business.
EMBEDDED_RULES: Sequence[Rule] = (run_rule, named_workload_rule)


class SubjectBook(Struct):
    """Names the subject of each process of one look at the process table."""

    rules: Sequence[Rule] = AGENT_RULES
    #: Whether the rules may now say something else of a process that is the same.
    has_changed: Callable[[], bool] = lambda: False
    _by_pid: Mapping[int, Subject] = field(default_factory=dict)
    _registered: Sequence[Subject] = ()
    #: A run has one subject, whatever workloads its processes name: the registered one, else
    #: the first seen.
    _by_run: dict[str, Subject] = field(default_factory=dict)
    #: What the rules said of each process when it was last seen: it says the same as long as it
    #: is the same, and one object for each subject is quicker to tell from others.
    _ruled: dict[int, tuple[Process, Subject | None]] = field(default_factory=dict)
    _same: dict[Subject, Subject] = field(default_factory=dict)

    def register(self, runs: Sequence[Subject], by_pid: Mapping[int, Subject]) -> None:
        """All runs that are known, and those of them that named a process."""
        self._registered, self._by_pid = runs, by_pid

    def name_all(self, processes: Mapping[int, Process]) -> dict[int, Subject]:
        if self.has_changed():
            self._ruled.clear()
        self._by_run.update({s.run: s for s in self._registered if s.run})
        named: dict[int, Subject] = {}
        rest = processes.values() if self._by_pid else self._name_known(processes, named)
        for process in rest:
            self._name(process, processes, named)
        self._by_run = {s.run: s for s in named.values() if s.run}
        if rest or len(self._ruled) > len(processes):
            self._ruled = {pid: ruled for pid, ruled in self._ruled.items() if pid in processes}
            self._same = {subject: subject for subject in named.values()}
        return named

    def _name_known(
        self, processes: Mapping[int, Process], named: dict[int, Subject]
    ) -> Collection[Process]:
        """Names those that did nothing since, where no run named a process; returns the rest."""
        rest = []
        for pid, process in processes.items():
            before, subject = self._ruled.get(pid, _NEVER)
            if before is not process:
                rest.append(process)
            elif subject is None:
                named[pid] = UNATTRIBUTED
            else:
                named[pid] = (
                    self._by_run.setdefault(subject.run, subject) if subject.run else subject
                )
        return rest

    def _name(
        self, process: Process, processes: Mapping[int, Process], named: dict[int, Subject]
    ) -> Subject:
        known = named.get(process.pid)
        if known is not None:
            return known
        named[process.pid] = UNATTRIBUTED  # ends the walk in a table whose parents form a ring
        subject = self._by_pid.get(process.pid) or self._inherited(process, processes, named)
        named[process.pid] = subject = subject or self._by_rules(process)
        return subject

    def _inherited(
        self, process: Process, processes: Mapping[int, Process], named: dict[int, Subject]
    ) -> Subject | None:
        """A registered parent's subject, unless this process was started under another CARBON_RUN
        or CARBON_WORKLOAD than its parent: the nearest statement holds."""
        parent = processes.get(process.parent_pid)
        if not self._by_pid or parent is None or process.environment != parent.environment:
            return None
        subject = self._name(parent, processes, named)
        return subject if subject.run else None

    def _by_rules(self, process: Process) -> Subject:
        subject = self._ruling(process)
        if subject is None:
            return UNATTRIBUTED
        return self._by_run.setdefault(subject.run, subject) if subject.run else subject

    def _ruling(self, process: Process) -> Subject | None:
        before, subject = self._ruled.get(process.pid, _NEVER)
        if before is None or not _says_the_same(process, before):
            told = (rule(process) for rule in self.rules)
            subject = next((found for found in told if found is not None), None)
            subject = self._same.setdefault(subject, subject) if subject else None
        self._ruled[process.pid] = process, subject
        return subject


def _says_the_same(process: Process, before: Process) -> bool:
    return process is before or (
        process.started == before.started
        and process.user == before.user
        and process.environment == before.environment
        and process.place == before.place
    )
