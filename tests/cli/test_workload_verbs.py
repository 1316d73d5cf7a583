"""`carbon workload` and `carbon components` against a running service."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from command_line import Ended
from job_house import fresh_engine
from service import Service, an_hour, batch, count
from sqlalchemy import Engine

import carbon.client
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.services.context import Context

Carbon = Callable[..., Ended]


@pytest.fixture
def service(
    new_context: Callable[[Engine], Context], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    engine = fresh_engine()
    with Service.of(new_context(engine)) as made:
        made.admin.post("/v1/energy", json=batch(an_hour()))
        made.admin.post("/v1/units", json={"units": [count(1_000)]})
        key, _ = made.key("default", ADMIN_SCOPES)
        real, transport = carbon.client.Client, made.admin._transport
        monkeypatch.setattr(
            carbon.client, "Client", lambda: real("http://testserver", key, transport=transport)
        )
        yield made
    engine.dispose()


@pytest.mark.usefixtures("service")
def test_persona_units_and_boundary_are_said_and_shown(carbon: Carbon) -> None:
    left_out = ("--exclude", "network=not metered=0.03", "--exclude", "backup=another team's")
    told = carbon("workload", "set", "w", "--persona", "provider", "--include", "gpu", *left_out)
    assert "network (not metered, 3.0%)" in told.out
    conversion = ("--from", "token", "--factor", "0.002", "--source", "own corpus")
    basis = ("--basis", "effective", "--definition", "A4")
    told = carbon("workload", "unit", "w", "page", *basis, *conversion)
    assert "effective; A4; one token is 0.002 of it, by own corpus" in told.out
    shown = carbon("workload", "show", "w", "--json").json
    assert shown["boundary"]["excluded"][0]["share"] == 0.03
    assert [one["name"] for one in shown["unit_meanings"]] == ["page"]
    assert "default/w" in carbon("workload", "list").out


@pytest.mark.usefixtures("service")
def test_what_cannot_be_meant_is_one_line(carbon: Carbon) -> None:
    assert "--from" in carbon("workload", "unit", "w", "page", "--factor", "2").failed(2)
    carbon("workload", "set", "w", "--exclude", "network").failed(2)
    carbon("workload", "set", "w", "--exclude", "network=why=some").failed(2)
    carbon("workload", "show", "nobody").failed(1)


@pytest.mark.usefixtures("service")
def test_a_component_is_stated_listed_and_retired(carbon: Carbon) -> None:
    figure = ("--g-per-unit", "0.0004", "--low", "0.0001", "--high", "0.002")
    model = ("--kind", "external_api", "--unit", "token", "--source", "a model card")
    added = carbon("components", "add", "w", "hosted model", *model, *figure)
    assert "0.0004 g per token" in added.out
    assert carbon("components", "list", "w", "--json").json["components"][0]["source"]
    carbon("components", "retire", "w", "another").failed(1)
    assert "has no component" in carbon("components", "retire", "w", "hosted model").out
    twice = ("--kwh-per-unit", "1")
    assert "kwh_per_unit or g_per_unit" in carbon(
        "components", "add", "w", "m", *model, *figure, *twice
    ).failed(2)


@pytest.mark.usefixtures("service")
def test_a_contract_is_recorded_once_and_listed(carbon: Carbon) -> None:
    window = ("--start", "2026-03-01T00:00:00Z", "--end", "2026-04-01T00:00:00Z")
    bought = ("--kind", "ppa", "--zone", "DE", "--g-per-kwh", "0", "--source", "registry")
    made = ("--energy-kwh", "5", "--carbon-free", "--id", "ctr_1")
    assert "no contract" in carbon("contracts", "list").out
    assert "ctr_1 recorded" in carbon("contracts", "add", *window, *bought, *made).out
    assert "5 kWh at 0 g/kWh  carbon-free" in carbon("contracts", "list").out
    carbon("contracts", "add", *window, *bought, *made).failed(1)
    carbon("contracts", "add", *window, *bought).failed(2)
