"""What operators watch, read from the ledger when asked: no counter is kept twice."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from carbon.domain.units import MJ_PER_J, MS_PER_HOUR, NG_PER_G, floor_to
from carbon.services.background.polling import zones_in_use
from carbon.services.context import Context
from carbon.services.fleet.live_power import live_power
from carbon.services.grid.intensity import rated_points
from carbon.services.rollup.roll_up_lag import lag_of
from carbon.storage.dirty import count_dirty
from carbon.storage.energy import ingest_batch
from carbon.storage.engine import reading
from carbon.storage.identities import workload_names
from carbon.storage.rollups import workload_hour


def registry_of(context: Context) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Ledger(context))
    return registry


class _Ledger(Collector):
    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        yield from self._ingest()
        yield from self._power()
        yield from self._workloads()
        yield from self._intensity()

    def _ingest(self) -> Iterator[Metric]:
        with reading(self._context.engine) as connection:
            sent = connection.scalar(select(func.sum(ingest_batch.c.intervals))) or 0
            dirty = count_dirty(connection)
        yield CounterMetricFamily(
            "carbon_ingest_intervals", "Energy intervals acknowledged", value=float(sent)
        )
        yield GaugeMetricFamily(
            "carbon_dirty_buckets", "5-minute buckets whose roll-up is behind", value=float(dirty)
        )
        lag_s = lag_of(self._context.engine, self._context.clock).seconds
        if lag_s is not None:
            yield GaugeMetricFamily(
                "carbon_roll_up_lag_seconds",
                "Time since a moment of which everything is rolled up, where this process does it",
                value=lag_s,
            )

    def _power(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "carbon_power_watts", "Mean power of a device in its last minute", labels=["device"]
        )
        with reading(self._context.engine) as connection:
            now = live_power(connection, self._context.clock.now_ms(), None)
        for device in now.devices:
            if device.power_w is not None:
                family.add_metric([device.device], device.power_w)
        yield family

    def _workloads(self) -> Iterator[Metric]:
        energy = CounterMetricFamily(
            "carbon_energy_joules", "IT energy of a workload", labels=["workload"]
        )
        carbon = CounterMetricFamily(
            "carbon_operational_grams", "Operational CO2e of a workload", labels=["workload"]
        )
        h = workload_hour.c
        sums = select(h.workload_id, func.sum(h.energy_mj), func.sum(h.operational_ng))
        with reading(self._context.engine) as connection:
            names = dict(workload_names(connection))
            for workload_id, mj, ng in connection.execute(sums.group_by(h.workload_id)):
                if workload_id in names:
                    energy.add_metric([str(names[workload_id])], float(mj) / MJ_PER_J)
                    carbon.add_metric([str(names[workload_id])], float(ng) / NG_PER_G)
        yield energy
        yield carbon

    def _intensity(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "carbon_intensity_g_per_kwh", "Grid intensity now", labels=["zone", "source"]
        )
        now_ms = self._context.clock.now_ms()
        for zone in zones_in_use(self._context):
            hour_ms = floor_to(now_ms, MS_PER_HOUR)
            for point in rated_points(self._context, zone, hour_ms, hour_ms + MS_PER_HOUR):
                if point.start_ms <= now_ms < point.end_ms:
                    family.add_metric([zone, point.source], point.g_per_kwh)
        yield family
