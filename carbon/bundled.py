"""Where the files that travel beside the code lie: in the wheel, else in the checkout."""

from __future__ import annotations

from pathlib import Path


def bundled(name: str) -> Path:
    """The folder `migrations` or `dashboards`."""
    package = Path(__file__).resolve().parent
    in_wheel = package / "_bundled" / name
    return in_wheel if in_wheel.is_dir() else package.parent / name
