"""What may be submitted, what is answered, and who sees it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_house import ADMIN, HOUR, NOW, OWNER, STRANGER, House, job

from carbon.clock import to_rfc3339
from carbon.errors import Conflicting, Forbidden, InvalidInput, NotFound
from carbon.services.jobs.pools import list_pools, set_pool
from carbon.wire.decode import decode
from carbon.wire.durations import parse_duration_ms, resolve_moment_ms
from carbon.wire.jobs import JobBatch, JobBody, JobChange, PoolBody


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"deadline": "2026-04-30T23:59:59Z"}, "deadline_past"),
            ({"deadline": "2h", "earliest": "3h"}, "deadline_before_earliest"),
            ({"deadline": "59m"}, "length_exceeds_window"),
            ({"deadline": "2h", "earliest": "90m"}, "length_exceeds_window"),
            ({"deadline": "soon"}, "invalid_moment"),
            ({"deadline": "2026-05-01T06:00:00"}, "invalid_moment"),
            ({"zones": ["XX"]}, "unknown_zone"),
            ({"zones": ["DE", "FR"]}, "too_many_zones"),
            ({"executor": "slurm"}, "unknown_executor"),
            ({"pool": "nowhere"}, "unknown_pool"),
            ({"command": None}, "command_missing"),
            ({"command": [""]}, "command_missing"),
            ({"command": ["a\0b"]}, "invalid_text"),
            ({"spec": {"image": "x"}}, "spec_unsupported"),
            ({"secrets": ["TOKEN"]}, "secrets_unsupported"),
            ({"env": {"A-B": "1"}}, "invalid_env"),
            ({"env": {"A=B": "1"}}, "invalid_env"),
            ({"env": {"CARBON_RUN": "mine"}}, "invalid_env"),
            ({"env": {"A": "1\0"}}, "invalid_text"),
            ({"workload": "other/w"}, "foreign_team"),
            ({"workload": "a/b/c"}, "invalid_workload"),
        ],
    )
    def test_what_cannot_be_run_as_asked(
        self, house: House, fields: dict[str, Any], code: str
    ) -> None:
        with pytest.raises(InvalidInput) as refused:
            house.jobs.submit(OWNER, job(**fields))
        assert refused.value.code == code
        assert house.jobs.page(OWNER, [], 10, None).jobs == []

    @pytest.mark.parametrize(
        "body",
        [
            b'{"name":"x","executor":"local","deadline":"6h","command":["a"],"colour":1}',
            b'{"name":"x","executor":"local","deadline":"6h","command":[]}',
            b'{"name":"x","executor":"local","deadline":"6h","command":["a"],"length_s":0}',
            b'{"name":"x","executor":"local","deadline":"6h","command":["a"],"power_w":-1}',
            b'{"name":"x","executor":"local","deadline":"6h","command":["a"],"retries":101}',
            b'{"name":"x","executor":"local","command":["a"]}',
            b'{"name":"x","executor":"local","deadline":"6h","command":["a"],"env":{"A":1}}',
        ],
    )
    def test_bodies_that_say_something_else(self, body: bytes) -> None:
        with pytest.raises(InvalidInput):
            decode(body, JobBody)

    def test_local_jobs_are_for_the_team_whose_account_it_is(self, house: House) -> None:
        with pytest.raises(Forbidden) as refused:
            house.jobs.submit(STRANGER, job())
        assert refused.value.code == "executor_not_allowed"


class TestDeadlines:
    def test_durations_are_resolved_by_the_server(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job(deadline="6h", earliest="30m"))
        assert made.deadline == to_rfc3339(NOW + 6 * HOUR)
        assert made.earliest == to_rfc3339(NOW + HOUR // 2)

    def test_a_job_does_not_start_before_its_earliest(self, house: House) -> None:
        house.forecast(10, 400, 100, 300, 400, 400)
        made = house.jobs.submit(OWNER, job(earliest="1h"))
        assert made.placement is not None
        assert made.placement.start == to_rfc3339(NOW + 2 * HOUR)

    def test_a_later_deadline_places_a_waiting_job_anew(self, house: House) -> None:
        house.forecast(400, 300, 200, 100, 50, 40, 30, 20)
        made = house.jobs.submit(OWNER, job(deadline="3h"))
        later = house.jobs.change(OWNER, made.id, JobChange("8h"))
        assert later.deadline == to_rfc3339(NOW + 8 * HOUR)
        assert later.placement is not None
        assert made.placement is not None
        assert later.placement.start > made.placement.start

    def test_a_deadline_that_cannot_be_kept_is_refused(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job())
        with pytest.raises(InvalidInput):
            house.jobs.change(OWNER, made.id, JobChange("10m"))
        assert house.jobs.get(OWNER, made.id).deadline == made.deadline

    def test_the_deadline_of_a_running_job_stays(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job())
        house.tick()
        with pytest.raises(Conflicting):
            house.jobs.change(OWNER, made.id, JobChange("9h"))

    @given(st.integers(0, 30), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
    def test_durations_add_their_parts(self, d: int, h: int, m: int, s: int) -> None:
        expected = (((d * 24 + h) * 60 + m) * 60 + s) * 1000
        assert parse_duration_ms(f"{d}d{h}h{m}m{s}s") == expected

    @pytest.mark.parametrize("text", ["", "6", "h", "-1h", "1x", "1h-2m", "9999d", "1e3s", "nan"])
    def test_what_is_no_duration_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            parse_duration_ms(text)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("90s", 90_000), ("1.5h", 5_400_000), (" 10M ", 600_000), ("250ms", 250)],
    )
    def test_durations_as_people_write_them(self, text: str, expected: int) -> None:
        assert parse_duration_ms(text) == expected

    def test_an_offset_is_read_as_such(self) -> None:
        assert resolve_moment_ms("2026-05-01T02:00:00+02:00", 0) == NOW


class TestSubmittedTwice:
    def test_the_same_key_and_body_get_the_same_job(self, house: House) -> None:
        first = house.jobs.submit(OWNER, job(), "k")
        again = house.jobs.submit(OWNER, job(), "k")
        assert again == first
        assert len(house.jobs.page(OWNER, [], 10, None).jobs) == 1

    def test_also_when_the_deadline_has_passed_meanwhile(self, house: House) -> None:
        body = job(deadline=to_rfc3339(NOW + 2 * HOUR))
        first = house.jobs.submit(OWNER, body, "k")
        house.clock.advance(3 * 3600)
        assert house.jobs.submit(OWNER, body, "k").id == first.id

    def test_the_same_key_with_another_body_is_a_conflict(self, house: House) -> None:
        house.jobs.submit(OWNER, job(), "k")
        with pytest.raises(Conflicting) as refused:
            house.jobs.submit(OWNER, job(priority=1), "k")
        assert refused.value.code == "idempotency_key_reused"

    def test_without_a_key_twice_is_two_jobs(self, house: House) -> None:
        assert house.jobs.submit(OWNER, job()).id != house.jobs.submit(OWNER, job()).id

    def test_a_batch_sent_twice_is_once_and_one_bad_job_sinks_none(self, house: House) -> None:
        batch = JobBatch([job(name="a"), job(name="b", zones=["XX"]), job(name="c")])
        first = house.jobs.submit_batch(OWNER, batch, "k")
        again = house.jobs.submit_batch(OWNER, batch, "k")
        assert [j.name for j in first.jobs] == ["a", "c"]
        assert [(r.index, r.code) for r in first.rejected] == [(1, "unknown_zone")]
        assert again == first


class TestWhatIsShown:
    def test_the_expected_gram_of_the_window_and_of_starting_at_once(self, house: House) -> None:
        house.forecast(400, 300, 100, 300, 400, 400)
        made = house.jobs.submit(OWNER, job(power_w=1000.0))
        assert made.placement is not None
        assert made.placement.expected_g == pytest.approx(100.0)
        assert made.placement.start_now_g == pytest.approx(400.0)
        assert made.flags == []

    def test_a_power_that_nobody_stated_is_flagged(self, house: House) -> None:
        assert house.jobs.submit(OWNER, job()).flags == ["power_assumed"]

    def test_why_it_waits_and_until_when_at_most(self, house: House) -> None:
        house.forecast(400, 300, 100, 300, 400, 400)
        made = house.jobs.submit(OWNER, job())
        assert made.why == (
            "Waits until 2026-05-01T02:00:00Z (then the forecast is cleanest) and goes by "
            "2026-05-01T04:59:00Z whatever any forecast says."
        )

    def test_how_it_ended(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job(deadline="2h"))
        house.tick(2)
        house.clock.advance(3 * 3600)
        house.executor.end(f"{made.id}-1", 2)
        house.tick()
        assert house.jobs.get(OWNER, made.id).why == (
            "Failed at 2026-05-01T03:00:00Z, 3600 s after its deadline with exit code 2."
        )

    def test_a_length_is_learned_from_jobs_of_the_same_name(self, house: House) -> None:
        first = house.jobs.submit(OWNER, job(length_s=None))
        assert first.reason == "length_unknown"
        assert first.length_s is None
        house.tick()
        house.clock.advance(600)
        house.executor.end(f"{first.id}-1")
        house.tick()
        second = house.jobs.submit(OWNER, job(length_s=None))
        assert second.length_s == 600
        assert "length_learned" in second.flags
        assert house.jobs.submit(OWNER, job(name="new", length_s=None)).length_s is None

    def test_logs_are_those_of_the_last_attempt(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job(retries=1))
        assert house.jobs.logs(OWNER, made.id).attempt is None
        house.tick()
        house.executor.end(f"{made.id}-1", 1)
        house.tick(2)
        assert house.jobs.logs(OWNER, made.id).stdout == f"output of {made.id}-2"

    def test_pages_show_every_job_once_newest_first(self, house: House) -> None:
        made = []
        for i in range(7):
            made.append(house.jobs.submit(OWNER, job(name=f"j{i}")).id)
            house.clock.advance(i % 2)
        seen: list[str] = []
        after = None
        while True:
            page = house.jobs.page(OWNER, [], 3, after)
            seen += [j.id for j in page.jobs]
            if (after := page.next) is None:
                break
        assert sorted(seen) == sorted(made)
        created = [house.jobs.get(OWNER, j).created for j in seen]
        assert created == sorted(created, reverse=True)

    def test_pages_of_several_states_come_in_one_order(self, house: House) -> None:
        made = []
        for index in range(9):
            made.append(house.jobs.submit(OWNER, job(name=f"j{index}")).id)
            if index % 3:  # two of three at the very same moment
                house.clock.advance(1)
            if index % 2:
                house.jobs.cancel(OWNER, made[-1])
        whole = [j.id for j in house.jobs.page(OWNER, [], 50, None).jobs]
        assert sorted(whole) == sorted(made)
        for states in ([], ["waiting", "cancelled"], ["waiting"], ["cancelled"]):
            seen: list[str] = []
            after = None
            while True:
                page = house.jobs.page(OWNER, states, 2, after)
                seen += [j.id for j in page.jobs]
                if (after := page.next) is None:
                    break
            chosen = {j.id for j in house.jobs.page(OWNER, states, 50, None).jobs}
            assert seen == [job_id for job_id in whole if job_id in chosen]

    def test_pages_can_be_of_some_states(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job())
        house.jobs.cancel(OWNER, house.jobs.submit(OWNER, job()).id)
        assert [j.id for j in house.jobs.page(OWNER, ["waiting"], 10, None).jobs] == [made.id]
        for state, after in (("asleep", None), ("waiting", "nonsense")):
            with pytest.raises(InvalidInput):
                house.jobs.page(OWNER, [state], 10, after)


class TestTeams:
    def test_another_teams_job_does_not_exist(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job())
        for look in (
            house.jobs.get,
            house.jobs.logs,
            house.jobs.result,
            house.jobs.cancel,
            house.jobs.start,
        ):
            with pytest.raises(NotFound):
                look(STRANGER, made.id)
        assert house.jobs.page(STRANGER, [], 10, None).jobs == []
        assert house.jobs.get(ADMIN, made.id).id == made.id

    def test_a_key_of_one_team_is_free_for_another(self, house: House) -> None:
        mine = house.jobs.submit(OWNER, job(), "k")
        theirs = house.jobs.submit(ADMIN, job(workload="other/w"), "k")
        assert mine.id != theirs.id


class TestPools:
    def test_only_those_who_see_all_teams_set_capacities(self, house: House) -> None:
        with pytest.raises(Forbidden):
            set_pool(house.context, OWNER, PoolBody("gpus", 2))
        set_pool(house.context, ADMIN, PoolBody("gpus", 2))
        assert set_pool(house.context, ADMIN, PoolBody("gpus", 4)).capacity == 4

    def test_pools_tell_who_runs_and_who_waits(self, house: House) -> None:
        house.jobs.submit(OWNER, job(name="a"))
        house.jobs.submit(OWNER, job(name="b"))
        house.tick()
        [pool] = list_pools(house.context).pools
        assert (pool.name, pool.capacity, pool.running, pool.waiting) == ("local", None, 1, 1)

    def test_a_pool_without_room_cannot_be_made(self) -> None:
        with pytest.raises(InvalidInput):
            decode(b'{"name":"gpus","capacity":0}', PoolBody)
