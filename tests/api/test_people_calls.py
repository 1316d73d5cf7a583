"""/v1/people: invited with a role, signed in by a link, removed."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, Service, count, refused

from carbon.clock import FakeClock
from carbon.domain.roles import Role, scopes_of
from carbon.domain.tenancy import TEAM_SCOPES


def invited(client: TestClient, **members: Any) -> dict[str, Any]:
    body = {"name": "Ada", "role": "viewer", **members}
    answer = client.post("/v1/people", json=body)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def signed_in(service: Service, invitation: dict[str, Any]) -> TestClient:
    """A browser that opened the link. HTTPS, since beyond loopback the cookie asks for it."""
    person = TestClient(service.app, client=("127.0.0.1", 50_000), follow_redirects=False)
    answer = person.get(invitation["sign_in"])
    assert answer.status_code == 303, answer.text
    return person


def team_admin(service: Service, team: str) -> TestClient:
    return service.client(team, scopes_of(Role.ADMIN, False) or ())


def test_a_viewer_reads_and_writes_nothing(service: Service) -> None:
    ada = signed_in(service, invited(service.admin, team="blue"))
    assert ada.get("/v1/workloads").status_code == 200
    job = {"name": "j", "executor": "local", "command": "true", "deadline": "6h"}
    refused(ada.post("/v1/jobs", json=job), 403, "scope_missing")
    budget = {"measure": "total_g", "amount": 1, "period": "year"}
    refused(ada.post("/v1/budgets", json=budget), 403, "scope_missing")
    refused(ada.get("/v1/people"), 403, "scope_missing")
    refused(ada.get("/v1/audit"), 403, "scope_missing")


def test_a_member_counts_and_a_lead_sets_budgets(service: Service) -> None:
    counts = {"units": [count(5)]}
    budget = {"measure": "total_g", "amount": 1, "period": "year"}
    member = signed_in(service, invited(service.admin, team="blue", role="member"))
    assert member.post("/v1/units", json=counts).status_code == 202
    refused(member.post("/v1/budgets", json=budget), 403, "scope_missing")
    lead = signed_in(service, invited(service.admin, team="blue", role="lead"))
    assert lead.post("/v1/budgets", json=budget).json()["team"] == "blue"


def test_a_team_s_admin_invites_to_its_team_and_gives_no_more_than_it_has(
    service: Service,
) -> None:
    blue = team_admin(service, "blue")
    made = invited(blue, role="admin")
    assert (made["person"]["team"], made["person"]["organisation"]) == ("blue", False)
    for wrong, code in (
        ({"team": "red"}, "team_forbidden"),
        ({"organisation": True}, "role_forbidden"),
        ({"role": "auditor", "organisation": True}, "role_forbidden"),
    ):
        answer = blue.post("/v1/people", json={"name": "Ada", "role": "viewer", **wrong})
        refused(answer, 403, code)


def test_others_people_are_not_told_of_and_not_changed(service: Service) -> None:
    of_red = invited(service.admin, team="red")["person"]["id"]
    over_blue = invited(service.admin, team="blue", organisation=True)["person"]["id"]
    blue = team_admin(service, "blue")
    own = invited(blue)["person"]["id"]
    listed = [person["id"] for person in blue.get("/v1/people").json()["people"]]
    assert own in listed
    assert of_red not in listed
    refused(blue.delete(f"/v1/people/{of_red}"), 404, "unknown_person")
    refused(blue.post(f"/v1/people/{of_red}/link"), 404, "unknown_person")
    refused(blue.delete(f"/v1/people/{over_blue}"), 403, "role_forbidden")
    refused(blue.post(f"/v1/people/{over_blue}/link"), 403, "role_forbidden")


def test_a_removed_person_is_signed_out_and_gets_no_link(service: Service) -> None:
    made = invited(service.admin)
    person = made["person"]["id"]
    ada = signed_in(service, made)
    assert service.admin.delete(f"/v1/people/{person}").status_code == 204
    refused(ada.get("/v1/workloads"), 401, "session_unknown")
    refused(service.admin.post(f"/v1/people/{person}/link"), 404, "unknown_person")
    [listed] = [p for p in service.admin.get("/v1/people").json()["people"] if p["id"] == person]
    assert listed["has_ended"]


def test_a_link_signs_in_once_and_another_may_be_sent(service: Service) -> None:
    made = invited(service.admin)
    signed_in(service, made)
    again = TestClient(service.app, client=("127.0.0.1", 50_000), follow_redirects=False)
    assert again.get(made["sign_in"]).status_code != 303
    another = service.admin.post(f"/v1/people/{made['person']['id']}/link").json()
    signed_in(service, another)


def test_an_auditor_reads_everything_for_a_time(service: Service, clock: FakeClock) -> None:
    made = invited(service.admin, role="auditor", organisation=True)
    ada = signed_in(service, made)
    assert ada.get("/v1/audit").status_code == 200
    clock.advance(30 * 24 * 3600 - 60)
    assert ada.get("/v1/audit").status_code in (200, 401)  # the session may be over by then
    clock.advance(HOUR / 1000)
    refused(ada.get("/v1/audit"), 401, "session_expired")
    refused(service.admin.post(f"/v1/people/{made['person']['id']}/link"), 404, "unknown_person")


def test_invitations_and_removals_are_in_the_audit_log_without_names(service: Service) -> None:
    person = invited(service.admin)["person"]["id"]
    service.admin.delete(f"/v1/people/{person}")
    entries = service.admin.get("/v1/audit").json()["entries"]
    told = [(e["action"], e["subject"]) for e in entries if e["action"].startswith("person.")]
    assert told == [("person.invited", person), ("person.removed", person)]
    assert "Ada" not in str(entries)


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"role": "king"}, 422, "invalid_body"),
        ({"role": "auditor"}, 422, "unknown_role"),
        ({"expires_in": "soon"}, 422, "invalid_duration"),
        ({"name": ""}, 422, "invalid_body"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    admin: TestClient, members: dict[str, Any], status: int, code: str
) -> None:
    answer = admin.post("/v1/people", json={"name": "Ada", "role": "viewer", **members})
    refused(answer, status, code)


def test_a_program_s_key_is_no_person(service: Service) -> None:
    _, agent = service.key("blue", TEAM_SCOPES)
    listed = [p["id"] for p in service.admin.get("/v1/people").json()["people"]]
    assert agent not in listed
    refused(service.admin.delete(f"/v1/people/{agent}"), 404, "unknown_person")
