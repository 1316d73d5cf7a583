"""Every table, for the migrations and for checks: importing this fills `metadata`."""

from carbon.storage import energy, intensity, jobs, keys, names, rollups
from carbon.storage.schema import metadata

__all__ = ["energy", "intensity", "jobs", "keys", "metadata", "names", "rollups"]
