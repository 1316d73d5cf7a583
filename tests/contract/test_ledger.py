"""The ledger's rules (docs/architecture.md), on every store."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from ledger import NOON_MS, TEAM, Ledger, interval
from sqlalchemy import Engine

from carbon.domain.intensity import EmissionScope, Signal
from carbon.domain.units import BUCKET_MS, floor_to
from carbon.errors import InvalidInput, NotFound, Unavailable
from carbon.services.context import Context
from carbon.services.rollup import rollup
from carbon.services.rollup.rolled_buckets import rolled_buckets
from carbon.services.rollup.rollup import roll_up, stop_rolling
from carbon.storage.dirty import mark_dirty
from carbon.storage.energy import energy_interval, interval_conflict
from carbon.storage.engine import writing
from carbon.storage.rollups import bucket, quarter_hour, workload_day, workload_hour
from carbon.wire.decode import decode_energy

HOUR = 3_600_000
MINUTE = 60_000
T = NOON_MS - 6 * HOUR


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    made = Ledger(new_context(engine))
    yield made
    made.close()


def test_energy_is_kept_to_the_millijoule_and_priced_by_bucket(ledger: Ledger) -> None:
    ledger.intensity(T, [100.0, 400.0])
    ledger.send([interval(T + 30 * MINUTE, T + 90 * MINUTE, 7_200_000_001)])
    answer = ledger.sci(unit="device_hour")
    assert answer.energy_mj == 7_200_000_001
    assert answer.operational_g == pytest.approx(1 * 100 + 1 * 400, rel=1e-6)
    assert answer.measured_g == answer.operational_g
    assert answer.count == pytest.approx(1.0)
    assert answer.intensity[0].source == "meter"


def test_an_interval_is_cut_at_five_minute_marks_without_losing_a_millijoule(
    ledger: Ledger,
) -> None:
    ledger.send([interval(T + 1_234, T + 17 * MINUTE + 777, 1_000_003)])
    rows = ledger.rows(energy_interval)
    assert len(rows) == 4
    assert sum(row[4] for row in rows) == 1_000_003
    assert all((end - 1) // 300_000 == (end - span) // 300_000 for end, _, _, span, *_ in rows)


def test_the_same_batch_twice_changes_nothing(ledger: Ledger) -> None:
    rows = [interval(T, T + 10_000, 5_000), interval(T + 10_000, T + 20_000, 6_000)]
    first = ledger.send(rows)
    before = ledger.sci().energy_mj
    ledger.seq -= 1
    again = ledger.send(rows)
    other_key = ledger.send(rows)
    assert (first.accepted, first.duplicate) == (2, 0)
    assert (again.accepted, again.duplicate) == (0, 2)
    assert (other_key.accepted, other_key.duplicate) == (0, 2)
    assert ledger.sci().energy_mj == before == 11_000


def test_a_contradiction_is_kept_aside_and_the_first_stays(ledger: Ledger) -> None:
    ledger.send([interval(T, T + 10_000, 5_000)])
    answer = ledger.send([interval(T, T + 10_000, 9_000), interval(T + 10_000, T + 20_000, 1)])
    assert (answer.accepted, answer.duplicate, answer.conflict) == (1, 0, 1)
    assert ledger.sci().energy_mj == 5_001
    (conflict,) = ledger.rows(interval_conflict)
    assert {"value", 9_000} <= set(conflict)


def test_a_partial_overlap_of_equal_span_is_a_conflict(ledger: Ledger) -> None:
    ledger.send([interval(T, T + 10_000, 5_000)])
    answer = ledger.send([interval(T + 5_000, T + 15_000, 5_000)])
    assert answer.conflict == 1
    in_one = ledger.send([interval(T + 60_000, T + 70_000, 7), interval(T + 65_000, T + 75_000, 7)])
    assert (in_one.accepted, in_one.conflict) == (1, 1)
    assert ledger.sci().energy_mj == 5_007


def test_subjects_share_a_device_and_the_shorter_rows_count(ledger: Ledger) -> None:
    ledger.send(
        [
            interval(T, T + 10_000, 4_000),
            interval(T, T + 10_000, 6_000, workload="other"),
            interval(T, T + 60_000, 60_000),
        ]
    )
    assert ledger.sci().energy_mj == 4_000 + 50_000
    assert ledger.sci("other").energy_mj == 6_000


def test_two_meters_of_a_device_are_never_added(ledger: Ledger) -> None:
    day = [interval(T + i * 10_000, T + (i + 1) * 10_000, 1_000) for i in range(60)]
    ledger.send(day, source="agent")
    ledger.send([{**row, "energy_mj": 1_300, "method": "imported"} for row in day], source="dcgm")
    assert ledger.sci().energy_mj == 60_000


def test_a_bad_interval_does_not_sink_the_good_ones(ledger: Ledger) -> None:
    answer = ledger.send(
        [
            interval(T, T + 10_000, 5_000),
            interval(T, T, 5_000),
            interval(T, T + 10_000, -5, device="gpu-1"),
            interval(T, T + 10_000, True, device="gpu-1"),
            interval(T, T + 10_000, 5, method="guessed"),
            interval(NOON_MS, NOON_MS + 10 * MINUTE, 5),
            interval(T, T + 10_000, 5, workload="a/b/c"),
            {"device": "gpu-0"},
            interval(T + 10_000, T + 20_000, 7),
        ]
    )
    assert answer.accepted == 2
    assert [(r.index, r.code) for r in answer.rejected] == [
        (1, "end_before_start"),
        (2, "negative_energy"),
        (3, "invalid_field"),
        (4, "unknown_method"),
        (5, "from_the_future"),
        (6, "invalid_workload"),
        (7, "missing_field"),
    ]
    assert ledger.sci().energy_mj == 5_007


def test_a_nul_in_a_name_sinks_its_interval_alone(ledger: Ledger) -> None:
    """PostgreSQL stores none in a text; a store that does must not differ."""
    bad = [{"device": "a\0b"}, {"workload": "w\0"}, {"run": "\0"}, {"subject": "user:\0"}]
    rows = [{"method": "counter\0"}, *bad, {"device": "a\\u0000"}, {}]
    answer = ledger.send(
        [interval(T + n * 10_000, T + (n + 1) * 10_000, 10**n, **row) for n, row in enumerate(rows)]
    )
    assert answer.accepted == 2
    assert [(r.index, r.code) for r in answer.rejected] == [(n, "invalid_field") for n in range(5)]
    assert answer.created_devices == ["a\\u0000", "gpu-0"]
    assert ledger.sci().energy_mj == 1_100_000


def test_a_nul_in_a_count_sinks_that_alone(ledger: Ledger) -> None:
    good = {"workload": "w", "unit": "token", "source": "app", "start_ms": T, "end_ms": T + HOUR}
    bad = [{**good, name: "a\0"} for name in ("workload", "unit", "source", "family")]
    answer = ledger.count([{**row, "count": 5} for row in [*bad, good]])
    assert (answer.accepted, {r.code for r in answer.rejected}) == (1, {"invalid_field"})
    assert [r.index for r in answer.rejected] == [0, 1, 2, 3]


NUL_BESIDE: list[dict[str, Any]] = [
    {"source": "s\0"},
    {"boot_id": "\0"},
    {"host": "h\0"},
    {"zone": "DE\0"},
    {"devices": [{"device": "gpu-0", "kind": "gpu", "model": "H\0"}]},
    {"reservations": [{"device": "\0", "start_ms": T, "end_ms": T + HOUR, "share_ppm": 5}]},
]


@pytest.mark.parametrize("said", NUL_BESIDE, ids=lambda said: next(iter(said)))
def test_a_nul_beside_the_intervals_refuses_the_batch(said: dict[str, Any]) -> None:
    body = {"source": "s", "boot_id": "b", "seq": 1, "intervals": [interval(T, T + 10_000, 5)]}
    with pytest.raises(InvalidInput, match=r"U\+0000") as caught:
        decode_energy(msgspec.json.encode(body | said))
    assert caught.value.code == "invalid_body"


def test_order_and_repetition_change_no_roll_up(ledger: Ledger) -> None:
    """Every batch twice, in random order: the same totals as once, in order."""
    rng = random.Random(7)
    rows = [
        interval(T + i * 10_000, T + (i + 1) * 10_000, rng.randrange(9_999), device, workload=w)
        for i in range(120)
        for device, w in (("gpu-0", "w"), ("gpu-1", "v"))
    ]
    ledger.intensity(T, [123.4, 567.8])
    batches = [rows[i : i + 7] for i in range(0, len(rows), 7)] * 2
    rng.shuffle(batches)
    for batch in batches:
        ledger.send(batch)
    assert ledger.sci().energy_mj == sum(r["energy_mj"] for r in rows if r["workload"] == "w")
    for table in (bucket, quarter_hour, workload_hour, workload_day):
        assert sum(row[table.c.keys().index("energy_mj")] for row in ledger.rows(table)) == sum(
            r["energy_mj"] for r in rows
        )


def test_however_few_devices_are_computed_together_the_roll_up_is_the_same(ledger: Ledger) -> None:
    """As beside batches, where each waits for the interpreter."""
    rows = [
        interval(T + i * MINUTE, T + (i + 1) * MINUTE, 1_000 + i, f"gpu-{i % 7}") for i in range(40)
    ]
    ledger.send(rows)
    roll_up(ledger.context, at_once=lambda: 2)
    few = _energy_of_rollups(ledger)
    with writing(ledger.context.engine) as connection:
        buckets = {(floor_to(row["start_ms"], BUCKET_MS), n) for row in rows for n in range(1, 8)}
        mark_dirty(connection, buckets)
    assert _energy_of_rollups(ledger) == few
    assert sum(few[0].values()) == sum(row["energy_mj"] for row in rows)


def test_threads_that_roll_up_at_once_compute_no_bucket_twice(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As readers do who come while one long interval is being rolled up."""
    computed: list[int] = []

    def counted(*asked: Any) -> Any:
        computed.extend(asked[3].tolist())
        return rolled_buckets(*asked)

    monkeypatch.setattr(rollup, "rolled_buckets", counted)
    ledger.send([interval(T, T + 2 * HOUR, 7_000_001)])
    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(roll_up, ledger.context) for _ in range(3)]:
            done.result()
    assert sorted(computed) == [T + n * BUCKET_MS for n in range(24)]
    assert [sum(of.values()) for of in _energy_of_rollups(ledger)] == [7_000_001] * 4


def _energy_of_rollups(ledger: Ledger) -> list[dict[object, int]]:
    """By the key of each row."""
    tables = (bucket, quarter_hour, workload_hour, workload_day)
    return [
        {
            row[: len(table.primary_key.columns)]: row[table.c.keys().index("energy_mj")]
            for row in ledger.rows(table)
        }
        for table in tables
    ]


def test_a_process_that_ends_leaves_the_backlog_to_the_next(ledger: Ledger) -> None:
    ledger.send([interval(T, T + HOUR, 3_600)])
    engine = ledger.context.engine
    rests: list[float] = []

    def stop(took_s: float) -> None:
        rests.append(took_s)
        stop_rolling(engine)

    with pytest.raises(Unavailable) as caught:
        roll_up(ledger.context, pause=stop)
    assert (caught.value.code, len(rests)) == ("stopping", 1)
    with pytest.raises(Unavailable):
        ledger.sci()
    rollup._stopped.discard(engine)  # as in the next process
    assert ledger.sci().energy_mj == 3_600
    assert sum(row[bucket.c.keys().index("energy_mj")] for row in ledger.rows(bucket)) == 3_600


def test_counts_outside_powered_time_are_set_aside(ledger: Ledger) -> None:
    ledger.send([interval(T, T + 10 * MINUTE, 3_600_000)])
    unit = {"workload": "w", "unit": "token", "source": "app"}
    sent = [
        {**unit, "start_ms": T, "end_ms": T + 10 * MINUTE, "count": 1_000},
        {**unit, "start_ms": T + HOUR, "end_ms": T + HOUR + MINUTE, "count": 77},
    ]
    assert ledger.count(sent).accepted == 2
    assert ledger.count(sent).duplicate == 2
    assert ledger.count([{**sent[0], "count": 1_001}]).conflict == 1
    answer = ledger.sci(start_ms=T, end_ms=T + 2 * HOUR)
    assert (answer.unit, answer.count, answer.count_set_aside) == ("token", 1_000, 77)
    assert answer.sci_g_per_unit == pytest.approx(answer.total_g / 1_000)
    assert answer.low < answer.sci_g_per_unit < answer.high


def test_several_units_must_be_told_apart(ledger: Ledger) -> None:
    ledger.send([interval(T, T + MINUTE, 1)])
    for unit in ("token", "request"):
        ledger.count(
            [
                {
                    "workload": "w",
                    "unit": unit,
                    "source": "app",
                    "start_ms": T,
                    "end_ms": T + MINUTE,
                    "count": 5,
                }
            ]
        )
    with pytest.raises(InvalidInput) as caught:
        ledger.sci()
    assert caught.value.code == "unit_required"
    assert ledger.sci(unit="token").count == 5


def test_no_units_is_null_with_a_reason_and_never_zero(ledger: Ledger) -> None:
    ledger.send([interval(T, T + MINUTE, 1_000)])
    answer = ledger.sci(unit="run")
    assert (answer.sci_g_per_unit, answer.reason, answer.low) == (None, "no_units", None)
    assert answer.total_g > 0


def test_windows_inside_buckets_sum_to_the_whole(ledger: Ledger) -> None:
    ledger.intensity(T, [100.0, 400.0])
    rows = [interval(T + i * 10_000, T + (i + 1) * 10_000, 997 + i) for i in range(200)]
    ledger.send(rows)
    marks = [T, T + 12_345, T + 299_999, T + 17 * MINUTE + 5, T + 200 * 10_000]
    parts = [ledger.sci(start_ms=a, end_ms=b, unit="run") for a, b in pairwise(marks)]
    assert sum(p.energy_mj for p in parts) == sum(r["energy_mj"] for r in rows)


def test_a_run_has_its_own_score(ledger: Ledger) -> None:
    ledger.send(
        [
            interval(T, T + 10_000, 5_000, run="r1"),
            interval(T + 10_000, T + 20_000, 7_000, run="r2"),
            interval(T, T + 10_000, 1_000, workload=None, subject="idle"),
        ]
    )
    assert ledger.sci(run="r1").energy_mj == 5_000
    assert ledger.sci().energy_mj == 12_000
    assert ledger.sci(unit="run").count == 2
    with pytest.raises(NotFound):
        ledger.sci(run="r3")


def test_a_later_vintage_re_rates_what_it_prices(ledger: Ledger) -> None:
    ledger.send([interval(T, T + HOUR, 3_600_000_000)])
    yearly = ledger.sci(unit="run")
    assert yearly.intensity[0].kind == "yearly"
    ledger.intensity(T, [200.0])
    assert ledger.sci(unit="run").operational_g == pytest.approx(200.0)
    ledger.intensity(T, [300.0], published_ms=NOON_MS + 1)
    assert ledger.sci(unit="run").operational_g == pytest.approx(300.0)


def test_scopes_and_signals_are_never_mixed(ledger: Ledger) -> None:
    ledger.send([interval(T, T + HOUR, 3_600_000_000)])
    ledger.intensity(T, [200.0])
    ledger.intensity(T, [150.0], scope=EmissionScope.DIRECT)
    assert ledger.sci(unit="run").operational_g == pytest.approx(200.0)
    direct = ledger.sci(unit="run", scope=EmissionScope.DIRECT)
    assert direct.operational_g == pytest.approx(150.0)
    with pytest.raises(InvalidInput) as caught:
        ledger.sci(unit="run", signal=Signal.MARGINAL)
    assert caught.value.code == "missing_intensity"


def test_reserved_time_carries_the_embodied_carbon(ledger: Ledger) -> None:
    ledger.send(
        [interval(T, T + 10 * MINUTE, 1_000)],
        devices=[{"device": "gpu-0", "kind": "gpu", "model": "NVIDIA H100 80GB HBM3"}],
    )
    alone = ledger.sci(unit="run").embodied_g
    assert alone == pytest.approx(164_000 * 600 / (4 * 365 * 86_400), rel=1e-6)
    ledger.send(
        [interval(T + 10 * MINUTE, T + 20 * MINUTE, 1_000)],
        reservations=[
            {
                "device": "gpu-0",
                "workload": "w",
                "start_ms": T,
                "end_ms": T + 20 * MINUTE,
                "share_ppm": 500_000,
            }
        ],
    )
    assert ledger.sci(unit="run").embodied_g == pytest.approx(alone, rel=1e-6)


def test_an_unknown_zone_is_refused_with_near_ones(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput) as caught:
        ledger.send([interval(T, T + MINUTE, 1)], zone="ATLANTIS")
    assert caught.value.code == "unknown_zone"
    ledger.intensity(T, [50.0], zone="ATLANTIS")
    ledger.send([interval(T, T + MINUTE, 1)], zone="ATLANTIS")
    assert ledger.sci(unit="run").zones == ["ATLANTIS"]


def test_a_team_sees_and_writes_only_its_own(ledger: Ledger) -> None:
    ledger.send([interval(T, T + MINUTE, 1)])
    with pytest.raises(NotFound):
        ledger.sci("default/w", TEAM)
    answer = ledger.send([interval(T, T + MINUTE, 1, workload="default/w")], TEAM, source="t")
    assert [r.code for r in answer.rejected] == ["foreign_team"]
    ledger.send([interval(T, T + MINUTE, 3, device="laptop")], TEAM, source="t")
    assert ledger.sci("w", TEAM).energy_mj == 3
    assert ledger.sci("blue/w").energy_mj == 3
    assert ledger.sci("default/w").energy_mj == 1


def test_an_unknown_workload_is_told_with_near_names(ledger: Ledger) -> None:
    ledger.send([interval(T, T + MINUTE, 1, workload="chatbot")])
    with pytest.raises(NotFound) as caught:
        ledger.sci("chatbto")
    assert caught.value.extra["near"] == ["chatbot"]


def test_the_same_ledger_gives_the_same_hash(ledger: Ledger) -> None:
    ledger.send([interval(T, T + MINUTE, 1)])
    one, two = ledger.sci(), ledger.sci()
    assert one == two
    ledger.send([interval(T + MINUTE, T + 2 * MINUTE, 1)])
    assert ledger.sci().input_hash != one.input_hash


def test_a_device_belongs_to_who_metered_it_first(ledger: Ledger) -> None:
    """No other team may meter, place, describe or reserve it."""
    h100 = [{"device": "gpu-0", "kind": "gpu", "model": "NVIDIA H100 80GB HBM3"}]
    ledger.send([interval(T, T + 5 * MINUTE, 900_000)], zone="DE", devices=h100)
    before = ledger.sci(unit="run")
    theirs = interval(T, T + 5 * MINUTE, 1, workload="mine")
    tiny = [{"device": "gpu-0", "kind": "dram", "model": "x"}]
    answer = ledger.send([theirs], TEAM, source="t", zone="NO", devices=tiny)
    assert [r.code for r in answer.rejected] == ["foreign_device"]
    held = {"device": "gpu-0", "start_ms": T, "end_ms": T + 5 * MINUTE, "share_ppm": 1_000_000}
    with pytest.raises(InvalidInput) as caught:
        ledger.send([], TEAM, source="t", reservations=[held])
    assert caught.value.code == "foreign_device"
    assert ledger.sci(unit="run") == before


def test_a_device_cannot_be_reserved_more_than_once(ledger: Ledger) -> None:
    def reserve(workload: str, share_ppm: int) -> None:
        held = {"device": "gpu-0", "start_ms": T, "end_ms": T + MINUTE, "share_ppm": share_ppm}
        ledger.send([], reservations=[{**held, "workload": workload}])

    reserve("a", 600_000)
    reserve("b", 400_000)
    with pytest.raises(InvalidInput) as caught:
        reserve("c", 1)
    assert caught.value.code == "overreserved"


def test_embodied_sums_over_windows_when_a_reservation_ends_inside_a_bucket(
    ledger: Ledger,
) -> None:
    rows = [
        interval(T + i * 10_000, T + (i + 1) * 10_000, mj, workload=w)
        for i in range(30)
        for w, mj in (("a", 3_000), ("b", 1_000))
    ]
    held = {"device": "gpu-0", "start_ms": T, "end_ms": T + 64_321, "share_ppm": 1_000_000}
    ledger.send(rows, reservations=[{**held, "workload": "a"}])
    marks = [T, T + 30_000, T + 60_000, T + 64_321, T + 120_000, T + 5 * MINUTE]
    for workload in ("a", "b"):
        whole = ledger.sci(workload, start_ms=marks[0], end_ms=marks[-1], unit="run").embodied_g
        parts = [
            ledger.sci(workload, start_ms=lo, end_ms=hi, unit="run").embodied_g
            for lo, hi in pairwise(marks)
        ]
        assert sum(parts) == pytest.approx(whole, rel=1e-3)


def test_two_runs_on_one_device_share_its_hours(ledger: Ledger) -> None:
    ledger.send(
        [
            interval(T, T + 30 * MINUTE, 1_000, run="r1"),
            interval(T, T + 30 * MINUTE, 3_000, run="r2"),
        ]
    )
    assert ledger.sci(unit="device_hour").count == pytest.approx(0.5)
