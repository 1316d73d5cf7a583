"""CodeCarbon's deltas on every store: many in one transaction, each counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest
from ledger import NOON_MS, TEAM, Ledger
from sqlalchemy import Engine, select

from carbon.clock import to_rfc3339
from carbon.services.context import Context
from carbon.services.trackers.trackers import TrackerIngest
from carbon.storage.engine import reading
from carbon.storage.names import run
from carbon.storage.trackers import tracker_emission
from carbon.wire.codecarbon import EmissionBody, RunBody, TotalsBody

JOULE = 1 / 3_600_000  # kWh
S = 1_000


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    made = Ledger(new_context(engine))
    yield made
    made.close()


def opened(ingest: TrackerIngest, number: int = 0) -> str:
    body = RunBody(
        timestamp=to_rfc3339(NOON_MS),
        experiment_id=f"e{number}",
        os="Linux",
        cpu_count=number + 1,
        cpu_model="EPYC",
        tracking_mode="machine",
    )
    return ingest.open_run(TEAM, body, "10.0.0.1").result(timeout=30)


def told(run_id: str, at_s: int, joules: float = 100.0) -> EmissionBody:
    kwh = joules * JOULE
    at = to_rfc3339(NOON_MS + at_s * S)
    return EmissionBody(at, run_id, 15.0, emissions_sum=1e-5, cpu_energy=kwh, energy_consumed=kwh)


def post(ingest: TrackerIngest, bodies: Sequence[EmissionBody]) -> list[str]:
    """All of them before any is answered."""

    async def together() -> list[str]:
        return await asyncio.gather(
            *(ingest.post(TEAM, msgspec.json.encode(body), body) for body in bodies)
        )

    return asyncio.run(together())


def energy_mj(ledger: Ledger, number: int = 0) -> int:
    return ledger.sci(f"experiment-e{number}", TEAM, unit="run").energy_mj or 0


def spans(ledger: Ledger) -> list[tuple[int, int]]:
    with reading(ledger.context.engine) as connection:
        rows = connection.execute(select(run.c.start_ms, run.c.end_ms).order_by(run.c.id))
        return [((lo - NOON_MS) // S, (hi - NOON_MS) // S) for lo, hi in rows]


def test_deltas_of_many_runs_are_one_transaction_and_each_counts(ledger: Ledger) -> None:
    ingest = TrackerIngest(ledger.context, ledger.writer)
    runs = [opened(ingest, number) for number in range(12)]
    bodies = [told(run_id, at_s) for at_s in (-15, 0) for run_id in runs]
    assert len(set(post(ingest, bodies))) == 24
    assert {energy_mj(ledger, number) for number in range(12)} == {200_000}
    assert set(spans(ledger)) == {(-30, 0)}


def test_a_delta_that_comes_twice_counts_once(ledger: Ledger) -> None:
    """Also within one transaction, and to a process that has just begun."""
    ingest = TrackerIngest(ledger.context, ledger.writer)
    run_id = opened(ingest)
    first = post(ingest, [told(run_id, 0), told(run_id, 0)])
    again = post(TrackerIngest(ledger.context, ledger.writer), [told(run_id, 0)])
    assert {*first, *again} == {first[0]}
    assert energy_mj(ledger) == 100_000


def test_a_run_grows_in_whatever_order_its_deltas_come(ledger: Ledger) -> None:
    ingest = TrackerIngest(ledger.context, ledger.writer)
    run_id = opened(ingest)
    for at_s in (-60, 0, -120):
        post(ingest, [told(run_id, at_s)])
    assert spans(ledger) == [(-135, 0)]
    assert energy_mj(ledger) == 300_000


def test_what_a_tracker_sends_is_kept_to_the_letter(ledger: Ledger) -> None:
    """Texts travel together to the database; no character in them parts one from the next."""
    ingest = TrackerIngest(ledger.context, ledger.writer)
    run_id = opened(ingest)
    strange = 'a"b\\c,{}\x7f|%s\u2028né'

    async def together() -> list[bytes]:
        raws = [
            msgspec.json.encode({**msgspec.to_builtins(told(run_id, at_s)), "note": strange})
            for at_s in (-15, 0)
        ]
        await asyncio.gather(*(ingest.post(TEAM, raw, _decoded(raw)) for raw in raws))
        return raws

    raws = asyncio.run(together())
    with reading(ledger.context.engine) as connection:
        kept = connection.scalars(
            select(tracker_emission.c.body).order_by(tracker_emission.c.end_ms)
        )
        assert list(kept) == [raw.decode() for raw in raws]


def _decoded(raw: bytes) -> EmissionBody:
    return msgspec.json.decode(raw, type=EmissionBody)


def test_totals_add_what_deltas_have_not_told(ledger: Ledger) -> None:
    ingest = TrackerIngest(ledger.context, ledger.writer)
    kwh = 300 * JOULE
    body = TotalsBody(
        timestamp=to_rfc3339(NOON_MS),
        project_name="p",
        run_id="11111111-2222-3333-4444-555555555555",
        duration=60.0,
        emissions=1e-5,
        cpu_energy=kwh,
        energy_consumed=kwh,
        os="Linux",
        cpu_model="EPYC",
    )
    for _ in range(2):
        ingest.post_totals(TEAM, msgspec.json.encode(body), body, "10.0.0.1").result(timeout=30)
    assert ledger.sci("p", TEAM, unit="run").energy_mj == 300_000
