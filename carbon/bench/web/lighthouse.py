"""What Lighthouse says of three pages, where npm has brought it (`npm install -g lighthouse`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from carbon.bench.figure import Figure, at_least, not_taken
from carbon.bench.serving import Service

_CATEGORIES: Final = ("performance", "accessibility")
_TARGET: Final = 95.0
_TIMEOUT_S: Final = 180.0


def lighthouse(running: Service, chromium: str | None, paths: Sequence[str]) -> list[Figure]:
    """The least score of the pages, of each category."""
    program = shutil.which("lighthouse")
    if program is None or chromium is None:
        why = "needs npm's lighthouse on the PATH, and Debian's chromium"
        return _not_taken(why)
    try:
        scores = {path: _scores(_report(program, chromium, running, path)) for path in paths}
    except subprocess.CalledProcessError as error:
        told = error.stderr.decode(errors="replace").strip().splitlines()
        return _not_taken(f"lighthouse ended with {error.returncode}: {''.join(told[:1])}")
    except subprocess.TimeoutExpired:
        return _not_taken(f"lighthouse took over {_TIMEOUT_S:g} s for a page")
    found = []
    for category in _CATEGORIES:
        worst = min(scores, key=lambda path: scores[path][category])
        note = f"of {worst}, the least of {len(scores)} pages; desktop"
        found.append(at_least(_name(category), scores[worst][category], "of 100", _TARGET, note))
    return found


def _not_taken(why: str) -> list[Figure]:
    return [not_taken(_name(one), "of 100", why, f">= {_TARGET:g}") for one in _CATEGORIES]


def _name(category: str) -> str:
    return f"Lighthouse, {category}"


def _report(program: str, chromium: str, running: Service, path: str) -> dict[str, Any]:
    """Raises RuntimeError where it was led elsewhere, such as to sign in."""
    with tempfile.TemporaryDirectory(prefix="carbon-lighthouse-") as folder:
        told, headers = Path(folder) / "told.json", Path(folder) / "headers.json"
        # In a file: a command line can be read by everybody.
        headers.write_text(json.dumps({"Authorization": f"Bearer {running.key}"}), "utf-8")
        command = [program, running.url + path, "--quiet", "--preset=desktop", "--output=json"]
        command += [f"--output-path={told}", f"--only-categories={','.join(_CATEGORIES)}"]
        command += ["--chrome-flags=--headless=new --no-sandbox", f"--extra-headers={headers}"]
        environment = {**os.environ, "CHROME_PATH": chromium}
        subprocess.run(
            command, env=environment, check=True, timeout=_TIMEOUT_S, capture_output=True
        )
        report: dict[str, Any] = json.loads(told.read_text("utf-8"))
    if report["finalDisplayedUrl"] != running.url + path:
        raise RuntimeError(f"{path} led to {report['finalDisplayedUrl']}")
    return report


def _scores(report: dict[str, Any]) -> dict[str, float]:
    return {name: 100 * float(report["categories"][name]["score"] or 0.0) for name in _CATEGORIES}
