"""Findings of a large fleet are made once an hour, by a process of their own, for whoever asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger import ADMIN
from sqlalchemy import Engine
from stores import migrate

from carbon.bench.generated.fleet import Fleet
from carbon.bench.generated.year import Year
from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_HOUR, floor_to
from carbon.services.context import Context
from carbon.services.proofs.kept_findings import KeptFindings
from carbon.services.proofs.recommendations import recommendations
from carbon.storage.engine import create_engine, reading, writing
from carbon.storage.kept_findings import Kept, keep, newest_kept


@pytest.fixture
def year(tmp_path: Path, new_context: Callable[[Engine], Context]) -> Year:
    store = migrate(create_engine(f"sqlite:///{tmp_path / 'carbon.db'}"))
    made = Year(new_context(store), Fleet(gpus=8, workload_count=4, teams=2), 4, 0)
    made.write()
    return made


def last_hour(context: Context) -> int:
    return floor_to(context.clock.now_ms(), MS_PER_HOUR)


def test_what_is_kept_is_what_would_be_found(year: Year) -> None:
    context = year.context
    asked = recommendations(context, ADMIN)
    assert asked.recommendations
    KeptFindings(context).make(last_hour(context))
    assert recommendations(context, ADMIN) == asked
    team = Principal("k", "k", year.fleet.team_names[0], ADMIN.scopes - {"admin"})
    own = recommendations(context, team).recommendations
    assert {one.workload.split("/")[0] for one in own} <= {team.team} or team.sees_all_teams


def test_the_kept_window_is_told_and_an_old_one_is_not_used(year: Year) -> None:
    context, hour = year.context, MS_PER_HOUR
    end_ms = last_hour(context)
    fresh = recommendations(context, ADMIN)
    with writing(context.engine) as connection:
        keep(connection, Kept(end_ms - 29 * hour, end_ms - hour, "[]"))
    late = recommendations(context, ADMIN)
    assert late.recommendations == []
    assert late.end < fresh.end
    with writing(context.engine) as connection:
        keep(connection, Kept(end_ms - 99 * hour, end_ms - 4 * hour, "[]"))
    assert recommendations(context, ADMIN) == fresh


def test_they_are_made_in_the_background_where_there_are_many_devices(
    year: Year, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = year.context
    findings = KeptFindings(context)
    findings.make_if_due()
    assert kept(context) is None
    monkeypatch.setattr("carbon.services.proofs.kept_findings._MANY_DEVICES", 8)
    findings.make_if_due()
    until = time.monotonic() + 60
    while kept(context) is None and time.monotonic() < until:
        findings.make_if_due()  # one at a time, and none again while it is kept
        time.sleep(0.05)
    findings.stop()
    made = kept(context)
    assert made is not None
    assert made.body.startswith("[{")


def kept(context: Context) -> Kept | None:
    with reading(context.engine) as connection:
        return newest_kept(connection, 0, last_hour(context))
