"""Slurm's accounts: what `sacct --parsable2` lists, as runs, who held which node, and energy.

Understood: the output of `sacct --allusers --allocations --parsable2 --format=JobID,JobName,User,
Account,State,Submit,Start,End,AllocCPUS,NodeList,ConsumedEnergyRaw` with its heading, in any order
of columns; times as Slurm writes them, in a zone that is stated. ConsumedEnergyRaw is read of the
node and not of the job: it says something of a job that had its nodes to itself, and nothing else.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from carbon.domain.tenancy import automatic_name
from carbon.errors import InvalidInput
from carbon.imports.harvest import Harvest
from carbon.wire.energy import DeviceInfo, EnergyBatch, EnergyInterval, ReservationInfo

_NEEDED: Final = ("JobID", "Account", "Start", "End", "NodeList")
_NAMELESS: Final = frozenset({"", "Unknown", "None", "None assigned", "N/A"})
_UNNAMEABLE: Final = re.compile(r"[^\w.:@+-]+")
#: What Slurm's counters leave where nothing was read.
_BLANKS: Final = frozenset({0, 2**32 - 2, 2**32 - 1, 2**64 - 2, 2**64 - 1})
#: No node draws more, on average.
_MOST_W: Final = 20_000
_MOST_MS: Final = 31 * 86_400_000


@dataclass(frozen=True, slots=True)
class SlurmJob:
    id: str
    name: str
    user: str
    account: str
    submit_ms: int
    start_ms: int
    end_ms: int
    cpus: int
    nodes: tuple[str, ...]
    #: J; None where nothing was read.
    energy_j: int | None

    @property
    def workload(self) -> str:
        """Account and name, each number as 0, so that one program's jobs are one workload."""
        team = _UNNAMEABLE.sub("-", self.account)[:90].strip("-") or "unknown"
        return f"{team}/{automatic_name(self.name) or 'auto-job'}"

    @property
    def run(self) -> str:
        return f"slurm-{self.id}"


def read_sacct(lines: Iterable[str], timezone: ZoneInfo, harvest: Harvest) -> list[SlurmJob]:
    """The jobs that have ended. Steps and jobs still to run are passed over; a line that cannot
    be read is told to `harvest`.

    Raises InvalidInput(`column_missing`).
    """
    rows = csv.DictReader(lines, delimiter="|", quoting=csv.QUOTE_NONE)
    heading = rows.fieldnames or []
    for name in _NEEDED:
        if name not in heading:
            raise InvalidInput(
                "column_missing",
                f"no column {name!r}: use sacct --parsable2 with its heading and "
                f"--format={','.join(_NEEDED)},…",
            )
    jobs = []
    for line, row in enumerate(rows, 2):
        try:
            if None in row.values():
                raise ValueError("fewer columns than the heading has")
            job = _job(row, timezone)
        except ValueError as error:
            harvest.tell("line_unreadable", f"line {line}", str(error), 0)
            continue
        if job is not None:
            jobs.append(job)
    return jobs


def _job(row: Mapping[str, str], timezone: ZoneInfo) -> SlurmJob | None:
    ended, nodes = row["End"] not in _NAMELESS, row["NodeList"] not in _NAMELESS
    if "." in row["JobID"] or not ended or not nodes or row["Start"] in _NAMELESS:
        return None
    start_ms, end_ms = (_moment(row[name], timezone) for name in ("Start", "End"))
    if end_ms <= start_ms:
        return None  # cancelled before it began
    submit = row.get("Submit") or ""
    energy = row.get("ConsumedEnergyRaw") or ""
    joules = 0 if energy in _NAMELESS else int(energy) if energy.isdigit() else int(float(energy))
    return SlurmJob(
        row["JobID"],
        row.get("JobName") or "",
        row.get("User") or "",
        row["Account"],
        _moment(submit, timezone) if submit not in _NAMELESS else start_ms,
        start_ms,
        end_ms,
        int(row.get("AllocCPUS") or 1),
        tuple(nodes_of(row["NodeList"])),
        None if joules in _BLANKS else joules,
    )


def _moment(text: str, timezone: ZoneInfo) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=timezone)).timestamp() * 1000)


def nodes_of(text: str) -> Iterator[str]:
    """`gpu[01-03,7],login` as its names. Raises ValueError."""
    for part in re.findall(r"[^,\[]+(?:\[[^\]]*\][^,\[]*)*", text):
        head, bracket, rest = part.partition("[")
        if not bracket:
            yield part.strip()
            continue
        inside, closed, tail = rest.partition("]")
        if not closed:
            raise ValueError(f"{text!r} is no list of nodes")
        for piece in inside.split(","):
            low, dash, high = piece.partition("-")
            for number in range(int(low), int(high if dash else low) + 1):
                yield from nodes_of(f"{head}{number:0{len(low)}d}{tail}")


def exclusive_jobs(jobs: Sequence[SlurmJob]) -> set[str]:
    """Ids of those with whose nodes no other job of the list was at the same time."""
    by_node: dict[str, list[SlurmJob]] = defaultdict(list)
    for job in jobs:
        for node in job.nodes:
            by_node[node].append(job)
    shared: set[str] = set()
    for theirs in by_node.values():
        theirs.sort(key=lambda job: (job.start_ms, job.end_ms))
        last = None
        for job in theirs:
            if last is not None and job.start_ms < last.end_ms:
                shared |= {job.id, last.id}
            if last is None or job.end_ms > last.end_ms:
                last = job
    return {job.id for job in jobs} - shared


def to_batches(jobs: Sequence[SlurmJob], harvest: Harvest) -> Iterator[EnergyBatch]:
    """A batch for each node and some jobs of it: who held which share of the node, and the
    energy of those that had it to themselves, split evenly over several nodes."""
    exclusive = exclusive_jobs(jobs)
    energy = {job.id: _energy_mj(job, job.id in exclusive, harvest) for job in jobs}
    by_node: dict[str, list[SlurmJob]] = defaultdict(list)
    for job in jobs:
        for node in job.nodes:
            if job.end_ms - job.start_ms > _MOST_MS:
                harvest.tell("span_too_long", job.id, "it ran over 31 days", job.end_ms)
            else:
                by_node[node].append(job)
    for node, theirs in sorted(by_node.items()):
        theirs.sort(key=lambda job: (job.start_ms, job.id))
        size = _cpus_at_once(theirs)
        for first in range(0, len(theirs), 500):
            yield _batch(node, theirs[first : first + 500], size, exclusive, energy)


def _energy_mj(job: SlurmJob, is_exclusive: bool, harvest: Harvest) -> int | None:
    if job.energy_j is None:
        harvest.tell("energy_missing", job.account, "jobs without ConsumedEnergyRaw", job.end_ms)
        return None
    if not is_exclusive:
        detail = "ConsumedEnergyRaw of jobs that shared a node is the whole node's: left out"
        harvest.tell("shared_node_energy", job.account, detail, job.end_ms)
        return None
    if job.energy_j * 1000 > _MOST_W * (job.end_ms - job.start_ms) * len(job.nodes):
        detail = f"job {job.id}: {job.energy_j} J in {(job.end_ms - job.start_ms) / 1000:g} s"
        harvest.tell("implausible_power", job.account, detail, job.end_ms)
        return None
    return job.energy_j * 1000


def _batch(
    node: str,
    jobs: Sequence[SlurmJob],
    size: int,
    exclusive: set[str],
    energy: Mapping[str, int | None],
) -> EnergyBatch:
    device = f"{node}/slurm"
    reservations, intervals = [], []
    for job in jobs:
        share = 1_000_000 if job.id in exclusive else job.cpus * 1_000_000 // size
        span = (job.start_ms, job.end_ms)
        reservations.append(ReservationInfo(device, *span, share, job.workload, job.run))
        whole = energy[job.id]
        if whole is not None:
            n, parts = job.nodes.index(node), len(job.nodes)
            part = whole * (n + 1) // parts - whole * n // parts
            intervals.append(EnergyInterval(device, *span, part, "imported", job.workload, job.run))
    seq = jobs[0].start_ms
    return EnergyBatch(
        "sacct",
        f"{node}/{jobs[0].id}",
        seq,
        intervals,
        host=node,
        is_import=True,
        devices=[DeviceInfo(device, "server", is_sum=True)],
        reservations=reservations,
    )


def _cpus_at_once(jobs: Sequence[SlurmJob]) -> int:
    """The most that were ever held together: the node has at least so many."""
    turns = sorted(
        [(job.start_ms, 1, job.cpus) for job in jobs] + [(job.end_ms, 0, -job.cpus) for job in jobs]
    )
    held = most = 0
    for _, _, cpus in turns:
        held += cpus
        most = max(most, held)
    return max(most, 1)


def simulate_rows(jobs: Sequence[SlurmJob]) -> Iterator[tuple[float, float, int]]:
    """(arrival_time, length, cpus) in seconds from the first, as `carbon simulate` replays."""
    ordered = sorted(jobs, key=lambda job: (job.submit_ms, job.id))
    for job in ordered:
        arrived_s = (job.submit_ms - ordered[0].submit_ms) / 1000
        yield arrived_s, (job.end_ms - job.start_ms) / 1000, job.cpus
