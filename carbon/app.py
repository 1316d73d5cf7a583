"""The one place that puts API, pages and background work together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from fastapi import Depends, FastAPI

from carbon import __version__
from carbon.api.compat import carbon_aware_sdk, codecarbon, otlp, remote_write
from carbon.api.parameters import only_known_parameters
from carbon.api.problems import handle_errors
from carbon.api.routes import (
    audit,
    budgets,
    components,
    corrections,
    energy,
    experiments,
    factors,
    health,
    hosts,
    intensity,
    inventory,
    jobs,
    joining,
    people,
    periods,
    pools,
    prices,
    quality,
    recommendations,
    reports,
    scheduler,
    sci,
    series,
    shadow,
    team_data,
    workloads,
    zones,
)
from carbon.api.straight import Application
from carbon.clock import Clock, SystemClock
from carbon.scheduler.scheduler import Scheduler
from carbon.services.background.polling import Polling
from carbon.services.background.upkeep import Upkeep, prepare_days
from carbon.services.background.upkeep_beside import UpkeepBeside
from carbon.services.context import Context
from carbon.services.ingest.importing import Importing
from carbon.services.ingest.ingest import Ingest
from carbon.services.ingest.scraping import Scraping
from carbon.services.ingest.units import UnitIngest
from carbon.services.ingest.writer import Writer
from carbon.services.jobs.lanes import Lanes
from carbon.services.jobs.rehearsal import Rehearsal
from carbon.services.reports.notices import Notifying
from carbon.services.trackers.host_addresses import HostAddresses
from carbon.services.trackers.trackers import TrackerIngest
from carbon.settings import Settings, make_private_dir
from carbon.storage.engine import create_engine, is_in_memory
from carbon.storage.migrations import upgrade
from carbon.web import mount

_ROUTERS = (
    corrections,
    energy,
    experiments,
    sci,
    series,
    team_data,
    workloads,
    recommendations,
    reports,
    periods,
    factors,
    inventory,
    components,
    audit,
    budgets,
    intensity,
    zones,
    prices,
    jobs,
    pools,
    shadow,
    scheduler,
    hosts,
    joining,
    people,
    health,
    quality,
    carbon_aware_sdk,
    otlp,
    remote_write,
)


class Worker(Protocol):
    """Background work with a thread of its own."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def open_context(settings: Settings, clock: Clock | None = None) -> Context:
    """The data folder, the database brought to the newest schema, and the clock."""
    make_private_dir(settings.data_dir)
    context = Context(create_engine(settings.database_url), settings, clock or SystemClock())
    upgrade(context.engine)
    prepare_days(context)
    return context


def create_app(context: Context, background: bool = True) -> FastAPI:
    """The application; without `background` nothing polls, rolls up or schedules by itself."""
    writer = Writer(context)
    polling = Polling(context)
    ingest, units = Ingest(context, writer), UnitIngest(context, writer)
    importing = Importing(context, writer, ingest, units)
    workers: list[Worker] = [writer]
    if background:
        scraping = Scraping(context, importing)
        workers += [
            _upkeep(context, writer),
            polling,
            Scheduler(context, lanes=Lanes(patience_s=0.2)),
            Rehearsal(context),
            scraping,
            Notifying(context),
        ]
    app = Application(
        [*energy.straight, sci.straight, *codecarbon.straight],
        [intensity.asked],
        title="carbon",
        version=__version__,
        summary="Carbon and energy accounting for computing.",
        docs_url=None,  # ours (carbon.web) asks nothing of other servers
        redoc_url=None,
        lifespan=_running(workers, context.engine.dispose),
    )
    app.state.context = context
    app.state.writer = writer
    app.state.ingest = ingest
    app.state.unit_ingest = units
    app.state.importing = importing
    app.state.trackers = TrackerIngest(context, writer)
    app.state.host_addresses = HostAddresses(writer)
    app.state.polling = polling
    handle_errors(app)
    for module in _ROUTERS:
        app.include_router(module.router, dependencies=[Depends(only_known_parameters)])
    for prefix in ("", "/api"):
        app.include_router(codecarbon.router, prefix=prefix)
    mount(app)
    return app


def _upkeep(context: Context, writer: Writer) -> Worker:
    """Beside this process, but for a database that no other can open."""
    if is_in_memory(context.engine):
        return Upkeep(context, writer.was_busy)
    return UpkeepBeside(context, writer.was_busy)


#: What servers answer at the socket (`api.short_posts`).
SHORT_POSTS = (*energy.short, *codecarbon.short)


def _running(
    workers: Sequence[Worker], at_end: Callable[[], None]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            for worker in reversed(workers):
                worker.stop()
            at_end()

    return lifespan
