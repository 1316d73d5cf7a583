"""Where everything of this user's carbon lies, without reading all settings: that loads much, and
a program that is measured should not wait for it."""

from __future__ import annotations

import os
from pathlib import Path


def default_data_dir() -> Path:
    """As the system keeps data of programs of one user."""
    from platformdirs import user_data_path

    return user_data_path("carbon", appauthor=False)


def data_dir() -> Path:
    """CARBON_DATA_DIR, else the default; as `Settings.data_dir` has it."""
    stated = os.environ.get("CARBON_DATA_DIR")
    return Path(stated) if stated is not None else default_data_dir()
