"""Every table, for the migrations and for checks: importing this fills `metadata`."""

from carbon.storage import (
    budgets,
    energy,
    experiments,
    factors,
    imports,
    intensity,
    jobs,
    join_tokens,
    keys,
    names,
    reports,
    repricing,
    rollups,
    scheduler_pauses,
    sealed_days,
    settled,
    trackers,
)
from carbon.storage.schema import metadata

__all__ = [
    "budgets",
    "energy",
    "experiments",
    "factors",
    "imports",
    "intensity",
    "jobs",
    "join_tokens",
    "keys",
    "metadata",
    "names",
    "reports",
    "repricing",
    "rollups",
    "scheduler_pauses",
    "sealed_days",
    "settled",
    "trackers",
]
