"""What a real browser loads and draws: by `playwright` of the dev extra and Debian's Chromium."""

from __future__ import annotations

import gzip
import re
import shutil
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from carbon.bench.figure import Figure, at_most, not_taken, reported
from carbon.bench.serving import Service
from carbon.bench.web.lighthouse import lighthouse

_STATIC = re.compile(r'(?:src|href)="(/static/[^"]+)"')
_IMPORTED = re.compile(r'from "\./([\w.]+)"')
_POINTS: Final = (5, 8_760)
#: Pages that Lighthouse looks at: the first, one of a chart and a long table, the live one.
_ASSESSED: Final = ("/", "/breakdown?last=30d", "/fleet")

#: When the first page's charts stand, from the start of the navigation.
_INTERACTIVE = "() => performance.now()"
_DRAWN = "#intensity-chart svg path"
_MANY = """
async ([series, points, module]) => {
  const { drawBand } = await import(module);
  const box = document.createElement('div');
  box.style.height = '300px';
  document.getElementById('figures').append(box);
  const start = Date.UTC(2026, 0, 1);
  const spec = {
    unit: 'g', step_h: 1, timezone: 'UTC', low: [], high: [], marks: [],
    times: Array.from({ length: points }, (_, at) => new Date(start + at * 3.6e6).toISOString()),
    series: Array.from({ length: series }, (_, n) => ({
      name: `${n}`, hue: `${n + 1}`,
      values: Array.from({ length: points }, (_, at) => 100 + 40 * Math.sin(at / 40 + n)),
    })),
  };
  const began = performance.now();
  drawBand(box, spec, {});
  await new Promise((done) => requestAnimationFrame(done));
  return performance.now() - began;
}
"""


def browsing(running: Service) -> list[Figure]:
    figures = [_first_load(running)]
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    figures += lighthouse(running, chromium, _ASSESSED)
    if chromium is None or find_spec("playwright") is None:
        why = "needs playwright and Debian's chromium"
        return [
            *figures,
            not_taken("first page, charts drawn", "ms", why, "<= 1000"),
            not_taken("chart of 5 x 8760 points", "ms", why, "<= 200"),
        ]
    return [*figures, *_drawn(running, chromium)]


def _first_load(running: Service) -> Figure:
    """The first page with all it asks for, as a browser gets it that knows nothing."""
    with running.client() as client:
        page = client.get("/")
        sizes = {"/": _compressed(page.text.encode())}
        waiting = _STATIC.findall(page.text)
        while waiting:
            path = waiting.pop()
            if path in sizes:
                continue
            content = client.get(path).content
            sizes[path] = _compressed(content)
            if path.endswith(".js"):
                folder = path.rpartition("/")[0]
                waiting += [f"{folder}/{name}" for name in _IMPORTED.findall(content.decode())]
    total_kb = sum(sizes.values()) / 1000
    return at_most("first load, compressed", total_kb, "kB", 400.0, f"{len(sizes)} files")


def _compressed(content: bytes) -> int:
    return len(gzip.compress(content, 6))


def _drawn(running: Service, chromium: str) -> list[Figure]:
    sync_api: Any = import_module("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(extra_http_headers={"Authorization": f"Bearer {running.key}"})
        page.goto(running.url)
        page.wait_for_selector(_DRAWN, state="attached")
        first_ms = []
        for _ in range(3):
            page.goto(running.url)
            page.wait_for_selector(_DRAWN, state="attached")
            first_ms.append(float(page.evaluate(_INTERACTIVE)))
        script = page.get_attribute("script[type=module]", "src")
        module = script.rpartition("/")[0] + "/timecharts.js"
        many_ms = [float(page.evaluate(_MANY, [*_POINTS, module])) for _ in range(3)]
        version = browser.version
        browser.close()
    note = f"headless Chromium {version}, best of 3, on the generated data"
    return [
        at_most("first page, charts drawn", min(first_ms), "ms", 1000.0, note),
        at_most("chart of 5 x 8760 points", min(many_ms), "ms", 200.0, note),
        reported("chart of 5 x 8760 points, slowest of 3", max(many_ms), "ms"),
    ]
