"""Whose energy it is: the order of what is believed, and what the site's rules say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.collect.naming import Naming, SiteRules, automatic, read_rules
from carbon.collect.place import NOWHERE, Place
from carbon.collect.processes import Process
from carbon.collect.subjects import UNATTRIBUTED, Subject, SubjectBook
from carbon.domain.claims import SubjectRef
from carbon.domain.tenancy import parse_workload
from carbon.errors import InvalidInput

UID = "3f2a8c1e-0b4d-4c6f-9a7e-112233445566"
FULL = Place("42", "train-17", UID, "ollama.service", "python train_llama.py --secret=hunter2")


def process(place: Place = NOWHERE, user: str = "ana", **environment: str) -> Process:
    return Process(5, 1, 5.0, user, 0.0, 0.0, 0, environment, place)


def rules(tmp_path: Path, text: str) -> SiteRules:
    (tmp_path / "rules.toml").write_text(text)
    return read_rules(tmp_path / "rules.toml")


def name(naming: Naming, of: Process) -> Subject:
    return SubjectBook(naming.rules, naming.has_changed).name_all({of.pid: of})[of.pid]


def pod_file(tmp_path: Path, **labels: str) -> Path:
    metadata = {"uid": UID, "name": "web-7d9f-x2", "namespace": "prod", "labels": labels}
    path = tmp_path / "pods.json"
    path.write_text(json.dumps({"kind": "PodList", "items": [{"metadata": metadata, "spec": {}}]}))
    return path


SITE = """
[teams.users]
ana = "search"
[teams.namespaces]
prod = "web"
[[rule]]
command = 'train_(?P<model>\\w+)\\.py'
workload = "search/train-{model}"
"""


def test_the_order_of_what_is_believed(tmp_path: Path) -> None:
    naming = Naming(rules(tmp_path, SITE))
    run = {"CARBON_RUN": "r1", "CARBON_WORKLOAD": "w"}
    assert name(naming, process(FULL, **run)) == Subject.of_run("r1", "w")
    assert name(naming, process(FULL, CARBON_WORKLOAD="w")) == Subject("user:ana/w", "w")
    assert name(naming, process(FULL)) == Subject("slurm:42", "search/auto-train-0")
    no_job = Place(None, "", UID, FULL.unit, FULL.command)
    assert name(naming, process(no_job)) == Subject(f"pod:{UID}")
    no_pod = Place(None, "", None, FULL.unit, FULL.command)
    workload = "search/train-llama"
    assert name(naming, process(no_pod)) == Subject(f"user:ana/{workload}", workload)
    assert name(naming, process(Place(unit=FULL.unit))) == Subject("unit:ollama.service")
    assert name(naming, process()) == Subject("user:ana")
    assert name(naming, process(user="")) == UNATTRIBUTED


def test_a_job_of_a_user_without_team_has_no_workload_yet() -> None:
    assert name(Naming(), process(FULL)) == Subject("slurm:42")


def test_jobs_that_differ_in_a_number_are_one_workload() -> None:
    names = {automatic("t", text) for text in ("train-1", "train-22", "train-333")}
    assert names == {"t/auto-train-0"}


@given(st.text(max_size=300))
def test_whatever_a_job_is_called_its_workload_is_one_or_none(text: str) -> None:
    workload = automatic("team", text)
    assert workload is None or parse_workload(workload, "own").team == "team"


def test_a_pods_label_names_its_workload(tmp_path: Path) -> None:
    path = pod_file(tmp_path, **{"carbon/workload": "shop", "app": "other"})
    naming = Naming(rules(tmp_path, SITE + f'[pods]\nfile = "{path}"'))
    naming.has_changed()
    assert name(naming, process(Place(pod_uid=UID))) == Subject(f"pod:{UID}", "web/shop")


def test_a_pod_without_label_goes_by_its_app_or_its_name(tmp_path: Path) -> None:
    site = rules(tmp_path, SITE + f'[pods]\nfile = "{tmp_path / "pods.json"}"')
    pod_file(tmp_path, app="web")
    assert name(Naming(site), process(Place(pod_uid=UID))).workload == "web/auto-web"
    pod_file(tmp_path)
    assert name(Naming(site), process(Place(pod_uid=UID))).workload == "web/auto-web-0d0f-x0"


def test_a_pod_that_becomes_known_later_gets_its_name_then(tmp_path: Path) -> None:
    site = rules(tmp_path, SITE + f'[pods]\nfile = "{tmp_path / "pods.json"}"')
    naming = Naming(site)
    book = SubjectBook(naming.rules, naming.has_changed)
    seen = process(Place(pod_uid=UID))
    assert book.name_all({5: seen})[5].workload is None
    pod_file(tmp_path, app="web")
    assert book.name_all({5: seen})[5] == Subject(f"pod:{UID}", "web/auto-web")


def test_a_pod_file_that_breaks_changes_nothing(tmp_path: Path) -> None:
    path = pod_file(tmp_path, app="web")
    naming = Naming(rules(tmp_path, SITE + f'[pods]\nfile = "{path}"'))
    assert name(naming, process(Place(pod_uid=UID))).workload == "web/auto-web"
    path.write_text("{ half a")
    assert name(naming, process(Place(pod_uid=UID))).workload == "web/auto-web"


def test_a_rule_may_ask_for_user_and_unit(tmp_path: Path) -> None:
    site = rules(
        tmp_path,
        """
        [[rule]]
        unit = "ollama.service"
        workload = "llm/ollama"
        [[rule]]
        user = "bob"
        workload = "bobs/all"
        """,
    )
    naming = Naming(site)
    assert not naming.reads_commands
    assert name(naming, process(Place(unit="ollama.service"))).workload == "llm/ollama"
    assert name(naming, process(user="bob")).workload == "bobs/all"
    assert name(naming, process(user="eve")).workload is None


def test_no_part_of_a_command_line_is_named_but_what_the_rule_takes(tmp_path: Path) -> None:
    naming = Naming(rules(tmp_path, SITE))
    assert naming.reads_commands
    subject = name(naming, process(Place(command=FULL.command)))
    assert "hunter2" not in str(subject)


def test_a_part_that_makes_no_name_leaves_the_user(tmp_path: Path) -> None:
    site = rules(tmp_path, "[[rule]]\ncommand = 'x(?P<a>.*)'\nworkload = '{a}'")
    assert name(Naming(site), process(Place(command="x///"))) == Subject("user:ana")


def test_pseudonyms_are_stable_and_differ_by_site(tmp_path: Path) -> None:
    site = rules(tmp_path, "pseudonymise_users = true")
    first, again, other = Naming(site, b"1"), Naming(site, b"1"), Naming(site, b"2")
    assert name(first, process()) == name(again, process()) != name(other, process())
    assert "ana" not in name(first, process()).name
    assert "ana" not in name(first, process(CARBON_WORKLOAD="w")).name
    assert name(first, process()) != name(first, process(user="bob"))


def test_teams_are_told_by_true_names_also_under_pseudonyms(tmp_path: Path) -> None:
    site = rules(tmp_path, "pseudonymise_users = true\n" + SITE)
    assert name(Naming(site), process(FULL)).workload == "search/auto-train-0"


@pytest.mark.parametrize(
    "text",
    [
        "[[rule]]\nworkload = 'a/b/c'",
        "[[rule]]\ncommand = '('\nworkload = 'a'",
        "[[rule]]\nworklod = 'a'",
        "[[rule]]",
        "not toml",
    ],
)
def test_a_file_with_an_error_says_where_it_is(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"rules\.toml") as error:
        rules(tmp_path, text)
    assert error.value.code == "bad_rules"


def test_no_file_states_nothing(tmp_path: Path) -> None:
    assert read_rules(tmp_path / "none.toml") == SiteRules()


def test_every_subject_is_one_of_the_ledgers() -> None:
    for seen in (process(FULL), process(Place(pod_uid=UID)), process(Place(unit="a.service"))):
        stated = name(Naming(), seen).stated or ""
        assert str(SubjectRef.parse(stated)) == stated
