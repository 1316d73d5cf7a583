"""`carbon bench web`: how long a start takes, how long the server works on each page of a generated
year, what a browser loads and draws, and what a live fleet costs."""

from __future__ import annotations

from carbon.bench.figure import Figure, Options
from carbon.bench.web.live import live_fleet
from carbon.bench.web.pages import pages
from carbon.bench.web.starts import starts

PARTS = ("start", "pages", "live")


def measure(options: Options) -> list[Figure]:
    """The full size takes about 10 minutes on 2 cores, nearly all of it to write the year;
    `--quick` under one. `--part start`, `--part pages` and `--part live` run one of the three."""
    figures: list[Figure] = []
    if options.takes("start"):
        figures += starts(options)
    if options.takes("pages"):
        figures += pages(options)
    if options.takes("live"):
        figures += live_fleet(options)
    return figures
