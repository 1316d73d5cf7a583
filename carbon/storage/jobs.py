"""Deferrable jobs: pools, jobs, their placements, attempts and savings."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from carbon.storage.schema import Amount, Id, Ms, metadata

pool = Table(
    "pool",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    #: Jobs that may run at once; unset takes the executor's default.
    Column("capacity", Integer, nullable=True),
    #: JSON: what its plans weigh beside carbon, and what each team weighs; see services.pools.
    Column("preference", Text, nullable=False, server_default="{}"),
    Column("weights", Text, nullable=False, server_default="{}"),
    Column("created_ms", Ms, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("workload_id", ForeignKey("workload.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("executor", Text, nullable=False),
    Column("pool_id", ForeignKey("pool.id"), nullable=False),
    Column("spec", Text, nullable=False),  # JSON: command, cwd, env, secrets
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("earliest_ms", Ms, nullable=False),
    Column("deadline_ms", Ms, nullable=False),
    Column("length_ms", Ms, nullable=True),
    Column("power_w", Float, nullable=True),
    Column("interruptible", Boolean, nullable=False, server_default=text("false")),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("retries_left", Integer, nullable=False, server_default="0"),
    Column("zones", Text, nullable=False),  # JSON list
    #: JSON: what the planner knows beyond one length, `storage.job_queries.Hints`; null if nothing.
    Column("hints", Text, nullable=True),
    #: The placement in force, and of it what is asked for at every tick and every submission: by
    #: when the job is due at the latest, and from when to when it holds its place of the pool.
    Column("placement_id", Id, nullable=True),
    Column("due_ms", Ms, nullable=False, server_default="0"),
    Column("holds_from_ms", Ms, nullable=True),
    Column("holds_until_ms", Ms, nullable=True),
    Column("start_ms", Ms, nullable=True),
    Column("end_ms", Ms, nullable=True),
    #: How long its attempt has stood still, and since when it does now.
    Column("paused_ms", Ms, nullable=False, server_default="0"),
    Column("paused_since_ms", Ms, nullable=True),
    Column("exit_code", Integer, nullable=True),
    Column("idempotency_key", Text, nullable=True),
    Column("body_hash", Text, nullable=False),
    Column("created_ms", Ms, nullable=False),
    Column("job_class", Text, nullable=False, server_default=""),
    UniqueConstraint("team_id", "idempotency_key"),
    Index(None, "state", "deadline_ms"),
    Index(None, "state", "due_ms"),
    Index(None, "pool_id", "state", "holds_from_ms", "holds_until_ms"),
    #: Pages of jobs, newest first: one state at a time, so that none is sorted.
    Index(None, "state", "created_ms", "id"),
    Index(None, "team_id", "state", "created_ms", "id"),
    Index(None, "team_id", "name", "created_ms"),
)

#: What was planned at once, with all that the planner was told: the same again gives the same.
plan = Table(
    "plan",
    metadata,
    Column("id", Id, primary_key=True),
    Column("pool_id", ForeignKey("pool.id"), nullable=False),
    Column("zone", Text, nullable=False),
    Column("decided_ms", Ms, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("method", Text, nullable=False),
    #: Relative intensity x time of the plan, and what no plan can go below; null where nothing
    #: could be planned.
    Column("cost", Float, nullable=True),
    Column("bound", Float, nullable=True),
    #: `services.plan_records`; null once it is too old to be asked for.
    Column("inputs", LargeBinary, nullable=True),
    Index(None, "pool_id", "decided_ms"),
    Index(None, "decided_ms"),
)

#: Every decision, with the vintage it saw; the job points to the one in force.
placement = Table(
    "placement",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("decided_ms", Ms, nullable=False),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("latest_start_ms", Ms, nullable=False),
    Column("zone", Text, nullable=False),
    Column("expected_g", Float, nullable=True),
    Column("start_now_g", Float, nullable=True),
    Column("reason", Text, nullable=False),
    #: JSON list of vintage ids the plan was made from.
    Column("vintages", Text, nullable=False),
    #: JSON list of [start_ms, end_ms] where the job pauses in between; null where it does not.
    Column("segments", Text, nullable=True),
    #: The plan that it is part of; null where nothing was planned, such as a start that was asked.
    Column("plan_id", ForeignKey("plan.id"), nullable=True),
    Index(None, "job_id"),
)

#: One handing-over to an executor. A row in state `handed_over` is the outbox.
attempt = Table(
    "attempt",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("external_id", Text, nullable=True),
    Column("handed_over_ms", Ms, nullable=False),
    Column("start_ms", Ms, nullable=True),
    Column("end_ms", Ms, nullable=True),
    Column("exit_code", Integer, nullable=True),
    Column("detail", Text, nullable=False, server_default=""),
    UniqueConstraint("job_id", "number"),
    Index(None, "state"),
)

#: What agents saw an attempt draw as, where that is not its run: tasks of a Slurm array, pods.
attempt_subject = Table(
    "attempt_subject",
    metadata,
    Column("attempt_id", ForeignKey("attempt.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    sqlite_with_rowid=False,
)

#: Booked once, after the run and once the intensity of both windows is settled.
saving = Table(
    "saving",
    metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("energy_mj", Amount, nullable=False),
    Column("actual_g", Float, nullable=False),
    Column("counterfactual_g", Float, nullable=False),
    #: What is credited: 0 where the energy is modelled or the intensity not settled.
    Column("credited_g", Float, nullable=False),
    Column("counterfactual_start_ms", Ms, nullable=False),
    #: The same two at the marginal intensity; null where the zone has none.
    Column("marginal_g", Float, nullable=True),
    Column("marginal_counterfactual_g", Float, nullable=True),
    Column("flags", Text, nullable=False),  # comma-separated
    Column("booked_ms", Ms, nullable=False),
)
