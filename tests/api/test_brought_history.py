"""History of Slurm, of a bill and of the grid, into a real service."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from ledger import NOON_MS
from service import HOUR, Service
from sqlalchemy import select

from carbon.client import Client
from carbon.client.bringing import Bringer, Brought
from carbon.client.intensity_history import backfill
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.errors import InvalidInput
from carbon.grid.feed import FeedUnreachable
from carbon.grid.neso import Neso
from carbon.imports.focus import read_focus
from carbon.imports.harvest import Harvest
from carbon.imports.sacct import read_sacct, to_batches
from carbon.services.rollup.rollup import roll_up
from carbon.storage.engine import reading
from carbon.storage.job_history import histories
from carbon.storage.names import team

DAY = 24 * HOUR


@pytest.fixture
def client(service: Service) -> Client:
    key, _ = service.key("default", ADMIN_SCOPES)
    return Client("http://testserver", key, transport=service.stranger._transport)


def stamp(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def jobs_of(*jobs: tuple[str, int, int, str, int]) -> list[str]:
    """(id, first hour, last hour, energy in J, cpus), from a day before noon on."""
    head = "JobID|JobName|User|Account|Submit|Start|End|AllocCPUS|NodeList|ConsumedEnergyRaw"
    lines = [head]
    for job, first, last, joules, cpus in jobs:
        start, end = (stamp(NOON_MS - DAY + hour * HOUR) for hour in (first, last))
        lines.append(f"{job}|train|ana|ml|{start}|{start}|{end}|{cpus}|gpu01|{joules}")
    return lines


def bring_jobs(client: Client, lines: Sequence[str]) -> Brought:
    harvest, brought = Harvest(), Brought()
    jobs = read_sacct(lines, ZoneInfo("UTC"), harvest)
    bringer = Bringer(client, "sacct", brought)
    bringer.energy_of_all(to_batches(jobs, harvest), harvest)
    bringer.tell(harvest)
    return brought


def test_jobs_are_runs_with_energy_and_embodied_of_what_they_held(
    service: Service, client: Client
) -> None:
    lines = jobs_of(("1", 0, 1, "360000", 8), ("2", 2, 4, "", 8))
    brought = bring_jobs(client, lines)
    assert (brought.accepted, brought.rejected) == (1, 0)
    asked = {"unit": "run", "start": stamp(NOON_MS - DAY) + "Z", "end": stamp(NOON_MS) + "Z"}
    answer = service.admin.get("/v1/workloads/ml/auto-train/sci", params=asked).json()
    assert (answer["energy_mj"], answer["methods"]) == (360_000_000, {"imported": 1.0})
    assert answer["count"] + answer["count_set_aside"] == 2
    assert answer["embodied_g"] > 0
    told = service.admin.get("/v1/quality").json()["troubles"]
    assert {(line["source"], line["code"]) for line in told} == {("sacct", "energy_missing")}


def test_jobs_brought_twice_are_known(service: Service, client: Client) -> None:
    lines = jobs_of(("1", 0, 1, "360000", 8))
    bring_jobs(client, lines)
    again = bring_jobs(client, lines)
    assert (again.accepted, again.duplicate) == (0, 1)


def test_the_lengths_of_jobs_are_known_before_carbon_ran_one(
    service: Service, client: Client
) -> None:
    bring_jobs(client, jobs_of(("1", 0, 1, "", 8), ("2", 2, 4, "", 8)))
    with reading(service.context.engine) as connection:
        team_id = connection.execute(select(team.c.id).where(team.c.name == "ml")).scalar_one()
        kind = ("train", "slurm-release/slurm-release")
        assert histories(connection, team_id, [kind])[kind].lengths_ms == [2 * HOUR, HOUR]
        assert histories(connection, team_id, [("other", "")]) == {}


def test_a_shared_nodes_energy_is_in_no_total(service: Service, client: Client) -> None:
    bring_jobs(client, jobs_of(("1", 0, 2, "360000", 8), ("2", 1, 3, "360000", 8)))
    answer = service.admin.get("/v1/workloads/ml/auto-train/sci", params={"unit": "run"}).json()
    assert answer["energy_mj"] in (None, 0)
    told = service.admin.get("/v1/quality").json()["troubles"]
    assert {line["code"] for line in told} == {"shared_node_energy"}


def test_a_bill_is_estimated_energy_with_its_regions_zone(service: Service, client: Client) -> None:
    row = {
        "ChargePeriodStart": stamp(NOON_MS - DAY) + "Z",
        "ChargePeriodEnd": stamp(NOON_MS - DAY + HOUR) + "Z",
        "ChargeCategory": "Usage",
        "ConsumedQuantity": "1",
        "ConsumedUnit": "Hours",
        "ProviderName": "AWS",
        "RegionId": "eu-west-3",
        "ResourceId": "i-1",
        "x_InstanceType": "m5.large",
        "SubAccountName": "search",
        "ServiceName": "EC2",
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerow(row)
    for duplicate in (0, 1):
        harvest, brought = Harvest(), Brought()
        batches = read_focus(text.getvalue().splitlines(), harvest)
        Bringer(client, "focus", brought).energy_of_all(batches, harvest)
        assert brought.duplicate == duplicate
    answer = service.admin.get("/v1/workloads/search/EC2/sci").json()
    assert (answer["zones"], answer["methods"]) == (["FR"], {"estimated": 1.0})
    assert answer["measured_g"] == 0


class PublishedFeed:
    """Half-hours of GB, as much as it is asked for; `away` after so many questions."""

    name, licence, period_ms, horizon_ms = "neso", Neso.licence, 30 * 60_000, 0
    signal, scope = Signal.AVERAGE, EmissionScope.DIRECT

    def __init__(self, away_after: int = 99) -> None:
        self.asked = 0
        self._away_after = away_after

    def zones(self) -> Sequence[str]:
        return ("GB",)

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        self.asked += 1
        if self.asked > self._away_after:
            raise FeedUnreachable(self.name, "away")
        points = tuple(
            IntensityPoint(at, at + self.period_ms, 200.0, PointKind.ACTUAL)
            for at in range(start_ms, end_ms, self.period_ms)
        )
        return [Vintage(zone, self.name, self.signal, self.scope, NOON_MS, points, "NESO")]


def test_the_past_of_the_grid_is_stored_and_what_is_known_is_not_asked_for_again(
    service: Service, client: Client
) -> None:
    since = NOON_MS - 40 * DAY
    first = PublishedFeed(away_after=2)
    begun = backfill(client, [first], "GB", since, NOON_MS)
    assert begun.failed
    again = PublishedFeed()
    done = backfill(client, [again], "GB", since, NOON_MS)
    assert (done.failed, again.asked) == ([], first.asked - 2)
    third = PublishedFeed()
    assert backfill(client, [third], "GB", since, NOON_MS).accepted == 0
    assert third.asked == 0


def test_a_zone_without_a_feed_is_one_line(client: Client) -> None:
    with pytest.raises(InvalidInput) as caught:
        backfill(client, [PublishedFeed()], "ZZ", NOON_MS - DAY, NOON_MS)
    assert caught.value.code == "no_feed"


def test_jobs_that_were_brought_are_shadowed_with_their_measured_energy(
    service: Service, client: Client
) -> None:
    bring_jobs(client, jobs_of(("1", 0, 1, "360000", 8), ("2", 2, 4, "", 8)))
    roll_up(service.context)
    asked = {"start": stamp(NOON_MS - 2 * DAY) + "Z", "end": stamp(NOON_MS) + "Z", "zone": "DE"}
    told = service.admin.get("/v1/shadow", params=asked).json()
    assert (told["jobs"], [t["team"] for t in told["teams"]]) == (2, ["ml"])
    assert {"power_assumed", "queue_time_unknown"} <= set(told["flags"])
    # 360 kJ of the one, 2 h at an assumed 100 W of the other.
    only_one = {**asked, "end": stamp(NOON_MS - DAY + HOUR) + "Z"}
    one = service.admin.get("/v1/shadow", params=only_one).json()
    assert one["jobs"] == 1
    assert "power_assumed" not in one["flags"]
    assert told["as_they_came_g"] == pytest.approx(one["as_they_came_g"] * 3)
    page = service.admin.get("/web/shadow.json", params={"last": "7d"})
    assert page.json()["jobs"] == 2
