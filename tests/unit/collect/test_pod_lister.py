"""The list of a node's pods: whole at once, and kept where the cluster does not answer."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from carbon.collect.pod_lister import list_once
from carbon.collect.pods import PodFile

PODS = b'{"items": [{"metadata": {"uid": "u", "name": "web-1", "namespace": "prod"}}]}'


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("secret\n")
    return tmp_path


def client(status: int, asked: list[httpx2.Request]) -> httpx2.Client:
    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(status, content=PODS)

    return httpx2.Client(base_url="https://api", transport=httpx2.MockTransport(answer))


def test_the_pods_of_this_node_are_what_the_agent_reads(account: Path, tmp_path: Path) -> None:
    asked: list[httpx2.Request] = []
    into = tmp_path / "pods.json"
    assert list_once(client(200, asked), account, "node-7", into)
    assert asked[0].url.params["fieldSelector"] == "spec.nodeName=node-7"
    assert asked[0].headers["Authorization"] == "Bearer secret"
    pods = PodFile(into)
    assert pods.has_changed()
    assert not pods.has_changed()
    pod = pods.get("u")
    assert pod is not None
    assert (pod.name, pod.namespace) == ("web-1", "prod")


def test_a_refusal_leaves_the_list_as_it_was(account: Path, tmp_path: Path) -> None:
    into = tmp_path / "pods.json"
    list_once(client(200, []), account, "n", into)
    assert not list_once(client(403, []), account, "n", into)
    assert into.read_bytes() == PODS


def test_without_an_account_nothing_is_asked(tmp_path: Path) -> None:
    asked: list[httpx2.Request] = []
    assert not list_once(client(200, asked), tmp_path / "none", "n", tmp_path / "pods.json")
    assert not asked
