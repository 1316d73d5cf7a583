"""An API server of batch/v1 Jobs that holds every object against the published schemas, with a
node that runs each Job's container as a process of this machine.

What a real one does and this does not: admission, quotas, images, several pods of a Job.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate

#: Of the schemas that `kubernetes-validate` brings.
VERSION = "1.33"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Refused(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


@dataclass
class Pod:
    """One container, as one process in a group of its own."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]
    started: str
    ended: str | None = None


@dataclass
class Cluster:
    folder: Path
    #: Whether a node is there that runs pods.
    runs_pods: bool = True
    jobs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    #: Commands begun, by Job: never twice for one that is not suspended between.
    begun: list[str] = field(default_factory=list)
    #: Answers with this status instead of acting.
    broken: int | None = None
    #: Acts, and breaks off in place of an answer.
    loses_answers: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def create(self, namespace: str, job: dict[str, Any]) -> dict[str, Any]:
        validated(job)
        key = (namespace, job["metadata"]["name"])
        if key in self.jobs:
            raise Refused(409, "AlreadyExists", f'jobs.batch "{key[1]}" already exists')
        stored = deepcopy(job)
        stored["metadata"] |= {
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now(),
        }
        stored["spec"].setdefault("suspend", False)
        stored["status"] = {}
        self.jobs[key] = stored
        self._settle(key)
        return stored

    def patch(self, namespace: str, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        job = self.get(namespace, name)
        changed = merged(job, patch)
        if changed["spec"]["template"] != job["spec"]["template"]:
            raise Refused(422, "Invalid", "spec.template: field is immutable")
        validated({k: v for k, v in changed.items() if k != "status"})
        self.jobs[namespace, name] = changed
        self._settle((namespace, name))
        return changed

    def get(self, namespace: str, name: str) -> dict[str, Any]:
        if (namespace, name) not in self.jobs:
            raise Refused(404, "NotFound", f'jobs.batch "{name}" not found')
        self._settle((namespace, name))
        return self.jobs[namespace, name]

    def delete(self, namespace: str, name: str) -> dict[str, Any]:
        job = self.get(namespace, name)
        self._end_pod(name)
        del self.jobs[namespace, name]
        return job

    def listed(self, selector: str) -> list[dict[str, Any]]:
        label, _, value = selector.partition("=")
        for key in list(self.jobs):
            self._settle(key)
        return [
            job
            for job in self.jobs.values()
            if (job["metadata"].get("labels") or {}).get(label) == value
        ]

    def pods_of(self, selector: str) -> list[dict[str, Any]]:
        name = selector.partition("=")[2]
        pod = self.pods.get(name)
        return [self._pod_object(pod)] if pod else []

    def end(self) -> None:
        for name in list(self.pods):
            self._end_pod(name, signal.SIGKILL)

    def _settle(self, key: tuple[str, str]) -> None:
        """What the Job controller and the node would have done by now."""
        job, name = self.jobs[key], key[1]
        status, pod = job["status"], self.pods.get(name)
        if any(c["type"] in ("Complete", "Failed") for c in status.get("conditions", [])):
            return
        if job["spec"]["suspend"]:
            if pod is not None:
                self._end_pod(name)
            job["status"] = {}
        elif pod is None and self.runs_pods:
            self._begin_pod(name, job)
            status |= {"active": 1, "startTime": now()}
        elif pod is not None and pod.process.poll() is not None:
            pod.ended = pod.ended or now()
            status.pop("active", None)
            good = pod.process.returncode == 0
            kind = "Complete" if good else "Failed"
            condition = {"type": kind, "status": "True", "lastTransitionTime": pod.ended}
            if not good:
                condition["reason"] = "BackoffLimitExceeded"
            else:
                status["completionTime"] = pod.ended
            status["conditions"] = [condition]

    def _begin_pod(self, name: str, job: dict[str, Any]) -> None:
        container = job["spec"]["template"]["spec"]["containers"][0]
        env = {entry["name"]: entry["value"] for entry in container.get("env", [])}
        log = self.folder / f"{name}.log"
        self.begun.append(name)
        with log.open("ab") as output:
            try:
                process = subprocess.Popen(
                    container["command"],
                    cwd=container.get("workingDir", "/"),
                    env={"PATH": os.environ["PATH"], **env},
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", 'echo "$1" >&2; exit 127', "sh", str(error)],
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        self.pods[name] = Pod(f"{name}-x1", log, process, now())

    def _end_pod(self, name: str, number: int = signal.SIGTERM) -> None:
        """TERM, and KILL after a grace; its pod object goes as a suspended Job's does."""
        pod = self.pods.pop(name, None)
        if pod is None:
            return
        for step in (number, signal.SIGKILL):
            try:
                os.killpg(pod.process.pid, step)
                pod.process.wait(0.5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue

    def _pod_object(self, pod: Pod) -> dict[str, Any]:
        code = pod.process.poll()
        if code is None:
            state: dict[str, Any] = {"running": {"startedAt": pod.started}}
        else:
            pod.ended = pod.ended or now()
            exit_code = 128 - code if code < 0 else code
            state = {
                "terminated": {
                    "exitCode": exit_code,
                    "startedAt": pod.started,
                    "finishedAt": pod.ended,
                }
            }
        status = {
            "name": "main", "image": "x", "imageID": "", "ready": code is None,
            "restartCount": 0, "state": state,
        }  # fmt: skip
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod.name},
            "status": {"containerStatuses": [status]},
        }


def validated(manifest: dict[str, Any]) -> None:
    try:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise Refused(422, "Invalid", error.message) from None


def merged(whole: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    made = deepcopy(whole)
    for key, value in patch.items():
        if isinstance(value, dict):
            made[key] = merged(made.get(key) or {}, value)
        elif value is None:
            made.pop(key, None)
        else:
            made[key] = value
    return made


def _act(cluster: Cluster, method: str, path: list[str], query: dict[str, str], body: Any) -> Any:
    selector = query.get("labelSelector", "")
    match method, path:
        case "GET", ["apis", "batch", "v1", "jobs"]:
            return _list("JobList", "batch/v1", cluster.listed(selector))
        case "POST", ["apis", "batch", "v1", "namespaces", namespace, "jobs"]:
            return cluster.create(namespace, body)
        case "GET", ["apis", "batch", "v1", "namespaces", namespace, "jobs", name]:
            return cluster.get(namespace, name)
        case "PATCH", ["apis", "batch", "v1", "namespaces", namespace, "jobs", name]:
            return cluster.patch(namespace, name, body)
        case "DELETE", ["apis", "batch", "v1", "namespaces", namespace, "jobs", name]:
            cluster.delete(namespace, name)
            return {"apiVersion": "v1", "kind": "Status", "status": "Success"}
        case "GET", ["api", "v1", "namespaces", _, "pods"]:
            return _list("PodList", "v1", cluster.pods_of(selector))
        case "GET", ["api", "v1", "namespaces", _, "pods", pod, "log"]:
            return cluster.pods[pod.removesuffix("-x1")].log.read_bytes()
    raise Refused(404, "NotFound", f"no {method} /{'/'.join(path)}")


def _list(kind: str, version: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {}, "items": items}


@contextmanager
def api_server(folder: Path) -> Iterator[tuple[str, Cluster]]:
    """Its address, and what stands behind it."""
    cluster = Cluster(folder)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            try:
                if cluster.broken is not None:
                    raise Refused(cluster.broken, "Broken", "as the test said")
                path = address.path.strip("/").split("/")
                with cluster.lock:
                    told, status = _act(cluster, self.command, path, query, body), 200
                    made = told if isinstance(told, bytes) else json.dumps(told).encode()
            except Refused as refused:
                status = refused.status
                made = json.dumps(
                    {"kind": "Status", "reason": refused.reason, "message": str(refused)}
                ).encode()
            if cluster.loses_answers:
                self.connection.close()
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(made)))
            self.end_headers()
            self.wfile.write(made)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", cluster
    finally:
        server.shutdown()
        server.server_close()
        cluster.end()
