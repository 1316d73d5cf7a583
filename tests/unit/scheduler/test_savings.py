"""What shifting saved: measured, against the same work at once, and never more than is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from job_house import HOUR, NOW, OWNER, STRANGER, House, fresh_engine, job
from ledger import ADMIN, Ledger

from carbon.clock import to_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, Signal, Vintage
from carbon.errors import NotFound
from carbon.services.grid.intensity import record_vintage
from carbon.services.jobs.pool_history import first_place_ms
from carbon.services.jobs.savings import saving
from carbon.services.rollup.rollup import roll_up
from carbon.wire.jobs import SavingAnswer

KWH = 3_600_000_000
MINUTE = 60_000


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Where energy is priced by what is published, as in any country."""
    return House.build(fresh_engine(), tmp_path, "DE")


@pytest.fixture
def ledger(house: House) -> Iterator[Ledger]:
    made = Ledger(house.context)
    yield made
    made.close()


def run_job(house: House, start_ms: int, minutes: int = 60, exit_code: int = 0, **body: Any) -> str:
    """A job submitted at NOW that ran from `start_ms` on."""
    made = house.jobs.submit(OWNER, job(deadline="24h", length_s=60.0 * minutes, **body))
    house.clock.advance((start_ms - NOW) / 1000)
    house.jobs.start(OWNER, made.id)
    house.tick(2)
    house.clock.advance(minutes * 60)
    house.executor.end(f"{made.id}-1", exit_code)
    house.tick()
    return made.id


def draw(
    ledger: Ledger,
    run: str,
    start_ms: int,
    energy_mj: int = KWH,
    minutes: int = 60,
    method: str = "counter",
    read_on: bool = True,
) -> None:
    """The run's energy, and that its device was read beyond the run's end."""
    end_ms = start_ms + minutes * MINUTE
    own = {"device": "GPU-1", "workload": "default/train", "run": run, "method": method}
    intervals: list[dict[str, Any]] = [
        {**own, "start_ms": start_ms, "end_ms": end_ms, "energy_mj": energy_mj}
    ]
    if read_on:
        intervals.append(
            {
                "device": "GPU-1",
                "subject": "idle",
                "start_ms": end_ms,
                "end_ms": end_ms + 1000,
                "energy_mj": 10,
                "method": method,
            }
        )
    answer = ledger.send(intervals, ADMIN)
    assert answer.rejected == []
    roll_up(ledger.context)


def saved(house: House, job_id: str) -> SavingAnswer:
    return saving(house.context, OWNER, job_id)


class TestWhatIsCredited:
    def test_measured_energy_at_two_known_intensities(self, house: House, ledger: Ledger) -> None:
        job_id = run_job(house, NOW + 2 * HOUR)
        ledger.intensity(NOW, [400, 300, 100, 200, 200, 200])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR)
        answer = saved(house, job_id)
        assert answer.energy_mj == KWH
        assert answer.actual_g == pytest.approx(100)
        assert answer.counterfactual_g == pytest.approx(400)
        assert (answer.saving_g, answer.credited_g) == pytest.approx((300, 300))
        assert answer.delay_s == 7200
        assert not answer.booked

    def test_the_profile_is_moved_as_it_was_and_not_as_a_mean(
        self, house: House, ledger: Ledger
    ) -> None:
        """Three quarters of the energy fall into the first hour, wherever that lies."""
        job_id = run_job(house, NOW + 2 * HOUR, minutes=120)
        ledger.intensity(NOW, [400, 200, 100, 300, 300, 300])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR, 3 * KWH, read_on=False)
        draw(ledger, f"{job_id}-1", NOW + 3 * HOUR, KWH)
        answer = saved(house, job_id)
        assert answer.actual_g == pytest.approx(3 * 100 + 300)
        assert answer.counterfactual_g == pytest.approx(3 * 400 + 200)

    def test_a_start_off_the_buckets_is_priced_where_it_would_have_lain(
        self, house: House, ledger: Ledger
    ) -> None:
        job_id = run_job(house, NOW + 2 * HOUR + 2 * MINUTE, minutes=90)
        ledger.intensity(NOW, [400, 100, 100, 100])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR + 2 * MINUTE, 3 * KWH, minutes=90)
        answer = saved(house, job_id)
        assert answer.actual_g == pytest.approx(300)
        assert answer.counterfactual_g == pytest.approx(2 * 400 + 100, rel=1e-3)

    def test_a_loss_is_shown_and_credited_as_a_loss(self, house: House, ledger: Ledger) -> None:
        job_id = run_job(house, NOW + 2 * HOUR)
        ledger.intensity(NOW, [100, 300, 400, 400, 400])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR)
        answer = saved(house, job_id)
        assert (answer.saving_g, answer.credited_g) == pytest.approx((-300, -300))

    def test_a_job_that_could_not_begin_at_once_is_compared_with_when_it_could(
        self, house: House, ledger: Ledger
    ) -> None:
        job_id = run_job(house, NOW + 2 * HOUR, earliest="1h")
        ledger.intensity(NOW, [400, 200, 100, 300, 300])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR)
        assert saved(house, job_id).counterfactual_g == pytest.approx(200)


class TestWhatIsNot:
    def test_modelled_energy_shows_a_saving_and_earns_none(
        self, house: House, ledger: Ledger
    ) -> None:
        job_id = run_job(house, NOW + 2 * HOUR)
        ledger.intensity(NOW, [400, 300, 100, 200, 200])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR, method="modelled")
        answer = saved(house, job_id)
        assert (answer.saving_g, answer.credited_g) == pytest.approx((300, 0))
        assert "energy_not_measured" in answer.flags

    @pytest.mark.parametrize("known_h", [2, 3])
    def test_an_intensity_that_is_not_actual_earns_none(
        self, house: House, ledger: Ledger, known_h: int
    ) -> None:
        """Either end may lack it: here the run's own time, or none of the two."""
        house.forecast(*[400, 300, 100, 200][known_h:], start_ms=NOW + known_h * HOUR)
        job_id = run_job(house, NOW + 2 * HOUR)
        ledger.intensity(NOW, [400, 300, 100, 200][:known_h])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR)
        answer = saved(house, job_id)
        assert answer.saving_g == pytest.approx(300)
        assert ("intensity_not_actual" in answer.flags) == (known_h == 2)
        assert answer.credited_g == pytest.approx(0 if known_h == 2 else 300)

    def test_no_energy_is_not_no_emission(self, house: House) -> None:
        job_id = run_job(house, NOW + 2 * HOUR)
        answer = saved(house, job_id)
        assert answer.energy_mj is None
        assert answer.saving_g is None
        assert answer.flags == ["no_energy"]

    def test_the_grams_of_failed_attempts_are_deducted(self, house: House, ledger: Ledger) -> None:
        made = house.jobs.submit(OWNER, job(deadline="24h", retries=1))
        house.clock.advance(7200)
        house.jobs.start(OWNER, made.id)
        for number, exit_code in ((1, 1), (2, 0)):
            house.tick(2)
            house.clock.advance(1800)
            house.executor.end(f"{made.id}-{number}", exit_code)
        house.tick()
        ledger.intensity(NOW, [400, 300, 100, 100, 100])
        draw(ledger, f"{made.id}-1", NOW + 2 * HOUR, minutes=30, read_on=False)
        draw(ledger, f"{made.id}-2", NOW + 2 * HOUR + 30 * MINUTE, minutes=30)
        answer = saved(house, made.id)
        assert answer.energy_mj == 2 * KWH
        assert answer.actual_g == pytest.approx(200)
        assert answer.counterfactual_g == pytest.approx(400)
        assert answer.credited_g == pytest.approx(200)
        assert "failed_attempts_deducted" in answer.flags

    def test_a_job_that_failed_earns_nothing(self, house: House, ledger: Ledger) -> None:
        job_id = run_job(house, NOW + 2 * HOUR, exit_code=1)
        ledger.intensity(NOW, [400, 300, 100, 200, 200])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR)
        answer = saved(house, job_id)
        assert answer.credited_g == 0
        assert "job_failed" in answer.flags

    def test_another_teams_saving_is_not_shown(self, house: House) -> None:
        job_id = run_job(house, NOW + HOUR)
        with pytest.raises(NotFound):
            saving(house.context, STRANGER, job_id)


class TestBooking:
    def test_a_settled_saving_is_booked_once_and_stays(self, house: House, ledger: Ledger) -> None:
        job_id = run_job(house, NOW + 2 * HOUR)
        ledger.intensity(NOW, [400, 300, 100, 200, 200])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR)
        house.pass_time(61)
        assert not saved(house, job_id).booked
        house.pass_time(600)
        first = saved(house, job_id)
        assert first.booked
        ledger.intensity(NOW, [40, 300, 100, 200, 200])
        roll_up(house.context)
        house.pass_time(600)
        assert saved(house, job_id) == first

    def test_energy_that_is_still_on_its_way_is_waited_for(
        self, house: House, ledger: Ledger
    ) -> None:
        job_id = run_job(house, NOW + 2 * HOUR)
        ledger.intensity(NOW, [400, 300, 100, 200, 200])
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR, KWH // 2, minutes=30, read_on=False)
        house.pass_time(3600)
        answer = saved(house, job_id)
        assert not answer.booked
        assert "energy_incomplete" in answer.flags
        assert answer.credited_g == 0
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR + 30 * MINUTE, KWH // 2, minutes=30)
        house.pass_time(61)
        assert saved(house, job_id).booked
        assert saved(house, job_id).credited_g == pytest.approx(300)

    def test_what_never_settles_is_booked_with_its_flags_in_the_end(
        self, house: House, ledger: Ledger
    ) -> None:
        house.forecast(400, 300, 100, 200)
        job_id = run_job(house, NOW + 2 * HOUR)
        draw(ledger, f"{job_id}-1", NOW + 2 * HOUR)
        house.pass_time(3600)
        assert not saved(house, job_id).booked
        house.pass_time(48 * 3600)
        answer = saved(house, job_id)
        assert answer.booked
        assert answer.credited_g == 0
        assert answer.saving_g == pytest.approx(300)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    hours=st.lists(st.integers(50, 800), min_size=6, max_size=6),
    start_min=st.integers(0, 180),
    minutes=st.integers(1, 120),
    energy_mj=st.integers(1, 10 * KWH),
)
def test_a_saving_lies_between_what_the_grids_extremes_allow(
    tmp_path_factory: pytest.TempPathFactory,
    hours: list[int],
    start_min: int,
    minutes: int,
    energy_mj: int,
) -> None:
    house = House.build(fresh_engine(), tmp_path_factory.mktemp("house"), "DE")
    ledger = Ledger(house.context)
    start_ms = NOW + start_min * MINUTE
    job_id = run_job(house, start_ms, minutes)
    house.clock.advance(6 * 3600)
    for hour, g in enumerate(hours):  # one by one: a leap of the level is not believed
        ledger.intensity(NOW + hour * HOUR, [g])
    draw(ledger, f"{job_id}-1", start_ms, energy_mj, minutes)
    answer = saved(house, job_id)
    kwh = energy_mj / KWH
    assert answer.actual_g is not None
    assert answer.counterfactual_g is not None
    for grams in (answer.actual_g, answer.counterfactual_g):
        assert min(hours) * kwh - 1e-6 <= grams <= max(hours) * kwh + 1e-6
    if start_min == 0:
        assert answer.saving_g == pytest.approx(0, abs=1e-6)
    ledger.close()


class TestPausesPoolsAndMargin:
    def test_what_is_drawn_between_two_parts_is_deducted(
        self, house: House, ledger: Ledger
    ) -> None:
        house.forecast(400, 100, 400, 100, 400, 400)
        made = house.jobs.submit(OWNER, job(deadline="6h", length_s=7200.0, interruptible=True))
        while house.clock.now_ms() < NOW + 4 * HOUR:
            house.pass_time(900)
        house.executor.end(f"{made.id}-1")
        house.tick()
        for hour, energy_mj in ((1, KWH), (2, KWH // 4), (3, KWH)):
            draw(ledger, f"{made.id}-1", NOW + hour * HOUR, energy_mj, read_on=hour == 3)
        roll_up(house.context)
        told = saving(house.context, OWNER, made.id)
        # 100 + a quarter of 400 + 100, against two hours at once: 400 and 100.
        assert told.actual_g == pytest.approx(300)
        assert told.counterfactual_g == pytest.approx(500)
        assert "pauses_deducted" in told.flags

    def test_in_a_pool_the_others_would_have_been_served_first(
        self, house: House, ledger: Ledger
    ) -> None:
        house.forecast(400, 300, 200, 100, 400, 400)
        first = house.jobs.submit(OWNER, job(deadline="20h", length_s=3600.0))
        house.clock.advance(0.001)
        second = house.jobs.submit(OWNER, job(name="b", deadline="20h", length_s=3600.0))
        for made in (first, second):
            house.jobs.start(OWNER, made.id)
            house.tick(2)
            house.pass_time(3600)
            house.executor.end(f"{made.id}-1")
            house.tick()
        draw(ledger, f"{second.id}-1", NOW + HOUR + 1)
        roll_up(house.context)
        told = saving(house.context, OWNER, second.id)
        # One place: it could not have begun before the first had ended, and waited for nothing.
        assert told.counterfactual_start == to_rfc3339(NOW + HOUR)
        assert told.saving_g == pytest.approx(0, abs=0.01)

    def test_the_marginal_saving_stands_beside_the_average_one(
        self, house: House, ledger: Ledger
    ) -> None:
        house.forecast(400, 300, 100, 300)
        run = run_job(house, NOW + 2 * HOUR)
        draw(ledger, f"{run}-1", NOW + 2 * HOUR)
        roll_up(house.context)
        told = saving(house.context, OWNER, run)
        assert (told.marginal_g, told.marginal_counterfactual_g) == (None, None)
        points = tuple(
            IntensityPoint(NOW + i * HOUR, NOW + (i + 1) * HOUR, g)
            for i, g in enumerate((500.0, 500.0, 700.0))
        )
        at_ms = house.clock.now_ms()
        told_by = ("DE", "test", Signal.MARGINAL, EmissionScope.DIRECT, at_ms, points)
        record_vintage(house.context, Vintage(*told_by))
        told = saving(house.context, OWNER, run)
        assert told.marginal_g == pytest.approx(700)
        assert told.marginal_counterfactual_g == pytest.approx(500)
        assert told.saving_g == pytest.approx(300)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12).map(sorted),
    st.integers(1, 4),
    st.integers(0, 60),
)
def test_in_turn_nobody_has_a_place_while_all_are_held(
    before: list[tuple[int, int]], capacity: int, at: int
) -> None:
    before = [each for each in before if each[0] <= at]
    held: list[tuple[int, int]] = []
    for could, ran in before:
        begin = could
        while sum(lo <= begin < hi for lo, hi in held) >= capacity:
            begin += 1
        held.append((begin, begin + ran))
    expected = at
    while sum(lo <= expected < hi for lo, hi in held) >= capacity:
        expected += 1
    assert first_place_ms(before, capacity, at) <= expected
    if all(ran for _, ran in before):
        assert first_place_ms(before, capacity, at) == max(expected, at)
