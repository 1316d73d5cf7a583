"""A document as PDF, printed by a Chromium of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from carbon.errors import CarbonError

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
_TIMEOUT_S: Final = 60.0


def pdf_of(html: bytes) -> bytes:
    """Raises CarbonError: `no_browser`, and `print_failed` with what the browser said."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise CarbonError(
            "no_browser", "no Chromium on this machine; export html and print it with any browser"
        )
    with tempfile.TemporaryDirectory() as folder:
        page, printed = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_bytes(html)
        said = _run([browser, *_arguments(folder, printed), page.as_uri()])
        if not printed.is_file():
            raise CarbonError("print_failed", f"{browser} printed nothing: {said}")
        return printed.read_bytes()


def _arguments(folder: str, printed: Path) -> list[str]:
    arguments = [
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--no-pdf-header-footer",
        f"--user-data-dir={folder}/profile",
        f"--print-to-pdf={printed}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # it refuses its sandbox to root
        arguments.append("--no-sandbox")
    return arguments


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CarbonError("print_failed", str(error)) from error
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit {done.returncode}"
