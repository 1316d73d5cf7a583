"""`carbon bench imports`: other tools' energy against the truth, way by way, and history's pace."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from carbon.bench.figure import Figure, Options, at_most
from carbon.bench.imports.history import history_figures
from carbon.bench.imports.ways import by_history, by_otlp, by_remote_write, by_scrape
from carbon.bench.imports.week import Gpu, scripted_week
from carbon.bench.serving import Service, service
from carbon.clock import SystemClock, to_rfc3339
from carbon.domain.units import MS_PER_DAY, floor_to
from carbon.storage.energy import energy_interval
from carbon.storage.engine import create_engine, reading

#: Other tools' energy against its truth; a long history of many GPUs, of `--rows` points of 30 s.
PARTS = ("ways", "history")


def measure(options: Options) -> list[Figure]:
    ways = _ways(options) if options.takes("ways") else []
    return [*ways, *(history_figures(options) if options.takes("history") else [])]


def _ways(options: Options) -> list[Figure]:
    hours = 6 if options.quick else 168
    week = scripted_week(SystemClock().now_ms(), hours, 2 if options.quick else 4)
    told = f"{hours} h of {len(week)} GPUs, scrapes missing, a driver loaded anew"
    figures, ledgers = [], {}
    for name, way in (
        ("remote write", by_remote_write),
        ("OTLP", by_otlp),
        ("history", by_history),
    ):
        ledgers[name] = _energies(week, way)
        figures.append(_error(name, week, ledgers[name], told))
    figures.append(_error("scrape", week, _scraped(week), told))
    apart = sum(
        abs(a - b) for a, b in zip(*(ledgers[n] for n in ("remote write", "history")), strict=True)
    )
    figures.append(at_most("remote write and history apart", apart, "mJ", 0, "every GPU's energy"))
    figures.append(at_most("rows that an interruption changes", _changed(week), "rows", 0))
    return figures


def _error(name: str, week: list[Gpu], energies: list[int], told: str) -> Figure:
    truth = [gpu.truth_mj for gpu in week]
    worst = max(abs(a - b) / b for a, b in zip(energies, truth, strict=True))
    return at_most(f"energy by {name}, worst GPU off by", worst * 100, "%", 0.1, told)


def _energies(week: list[Gpu], way: Callable[[Service, list[Gpu]], None]) -> list[int]:
    with service() as running:
        way(running, week)
        return _asked(running, week)


def _scraped(week: list[Gpu]) -> list[int]:
    with tempfile.TemporaryDirectory() as folder:
        by_scrape(Path(folder), week)
        with service(data_dir=Path(folder)) as running:
            return _asked(running, week)


def _asked(running: Service, week: list[Gpu]) -> list[int]:
    """Of devices, whoever drew it: a bridged silence is nobody's."""
    energy: dict[str, int] = defaultdict(int)
    query = {
        "group_by": "device",
        "start": to_rfc3339(floor_to(week[0].readings[0][0], MS_PER_DAY)),
        "end": to_rfc3339(floor_to(week[0].readings[-1][0], MS_PER_DAY) + MS_PER_DAY),
    }
    with running.client() as http:
        answer = http.get("/v1/sci", params=query).raise_for_status().json()
    for group in answer["groups"]:
        energy[group["group"]["device"]] += sum(step["energy_mj"] for step in group["points"])
    return [energy[gpu.uuid] for gpu in week]


def _changed(week: list[Gpu]) -> int:
    """Rows of the ledger that an import interrupted and begun anew has and one in one go has not,
    or the other way round."""
    sets = []
    for stops_at in (None, 4):
        with service() as running:
            by_history(running, week, stops_at)
            sets.append(_rows(running))
    return ((sets[0] - sets[1]) + (sets[1] - sets[0])).total()


#: All but the ids, which go by the order of arrival.
_COLUMNS = ("end_ms", "span_ms", "energy_mj", "method")


def _rows(running: Service) -> Counter[tuple[int, ...]]:
    engine = create_engine(f"sqlite:///{running.data_dir / 'carbon.db'}")
    try:
        with reading(engine) as connection:
            rows = connection.execute(select(energy_interval)).mappings()
            return Counter(tuple(row[name] for name in _COLUMNS) for row in rows)
    finally:
        engine.dispose()
