"""Jobs on Kubernetes, each a batch/v1 Job of one container, in the namespace of this service.

The Job's name follows from the attempt, so that creating it again is refused (409) and never a
second one. Cancelling suspends it and marks it: a Job that was deleted could be created anew. With
a `queue` it is created suspended and Kueue lets it begin.

Not proven on a live cluster: tried against an API server of our own that holds every object
against the published schemas and runs containers as processes.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from carbon.clock import Clock, SystemClock
from carbon.errors import CarbonError, InvalidInput
from carbon.executors.executor import AttemptSpec, ExecutorAway, Handle, Logs, Look, LookState
from carbon.executors.local import SHOWN_BYTES, capped

KUBERNETES: Final = "kubernetes"
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
_JOB_NAME_LABEL: Final = "batch.kubernetes.io/job-name"
_CANCELLED: Final = "carbon/cancelled-ms"
_STARTED: Final = "carbon/started-ms"
_TERMINATED: Final = 143
_TIMEOUT_S: Final = 10
_SPEC: Final = frozenset(
    {"image", "command", "queue", "requests", "limits", "service_account", "node_selector"}
)


class Api(Protocol):
    """What we use of the official client, as plain objects of JSON."""

    def create_job(self, namespace: str, manifest: dict[str, Any]) -> dict[str, Any]: ...
    def read_job(self, namespace: str, name: str) -> dict[str, Any] | None: ...
    def list_jobs(self, selector: str) -> list[dict[str, Any]]: ...
    def patch_job(self, namespace: str, name: str, patch: dict[str, Any]) -> None: ...
    def delete_job(self, namespace: str, name: str) -> None: ...
    def pods_of(self, namespace: str, job: str) -> list[dict[str, Any]]: ...
    def pod_log(self, namespace: str, pod: str, limit_bytes: int) -> str: ...


class AlreadyThere(CarbonError):
    """A Job of that name exists."""


class KubernetesExecutor:
    """Every attempt is a Job in `namespace`; `image` is that of jobs that name none."""

    name = KUBERNETES
    default_capacity = 100

    def __init__(
        self, api: Api, namespace: str, image: str | None = None, clock: Clock | None = None
    ) -> None:
        self._api, self._namespace, self._image = api, namespace, image
        self._clock = clock or SystemClock()

    def check(self, spec: Mapping[str, Any], team: str) -> None:
        """Raises InvalidInput(`invalid_spec`) for a spec of which no Job can be made."""
        if unknown := sorted(spec.keys() - _SPEC):
            raise InvalidInput(
                "invalid_spec", f"spec takes {', '.join(sorted(_SPEC))}; not {unknown}"
            )
        command = spec.get("command")
        if not isinstance(command, list) or not command or not all(map(_is_text, command)):
            raise InvalidInput("invalid_spec", "spec.command is a list of texts")
        for name in ("image", "queue", "service_account"):
            if name in spec and not (_is_text(spec[name]) and spec[name]):
                raise InvalidInput("invalid_spec", f"spec.{name} is a text")
        for name in ("requests", "limits", "node_selector"):
            told = spec.get(name, {})
            if not isinstance(told, dict) or not all(_is_text(v) for v in told.values()):
                raise InvalidInput("invalid_spec", f"spec.{name} holds texts by name")
        self._image_of(spec)

    def start(self, attempt: AttemptSpec) -> str:
        name = job_name(attempt.attempt_id)
        with contextlib.suppress(AlreadyThere):
            self._api.create_job(self._namespace, self._manifest(name, attempt))
        return name

    def look(self, handle: Handle) -> Look:
        name = job_name(handle.attempt_id)
        job = self._api.read_job(self._namespace, name)
        if job is None:
            return Look(LookState.ABSENT)
        return look_at(job, self._api.pods_of(self._namespace, name))

    def cancel(self, handle: Handle) -> None:
        name = job_name(handle.attempt_id)
        job = self._api.read_job(self._namespace, name)
        if job is None and not self._take_name(name):
            job = self._api.read_job(self._namespace, name)  # created meanwhile
        if job is None:
            return
        look = look_at(job, self._api.pods_of(self._namespace, name))
        if look.state is LookState.ENDED:
            return
        marks = {_CANCELLED: str(self._clock.now_ms())}
        if look.start_ms is not None:
            marks[_STARTED] = str(look.start_ms)
        patch = {"metadata": {"annotations": marks}, "spec": {"suspend": True}}
        self._api.patch_job(self._namespace, name, patch)

    def logs(self, handle: Handle) -> Logs:
        """Kubernetes keeps both streams as one."""
        pods = self._api.pods_of(self._namespace, job_name(handle.attempt_id))
        texts = [
            self._api.pod_log(self._namespace, pod["metadata"]["name"], 64 * SHOWN_BYTES)
            for pod in pods
            if _container(pod)
        ]
        return Logs(capped("".join(texts)), "")

    def _take_name(self, name: str) -> bool:
        """Makes a Job that never begins, so that none of that name can. False where one is."""
        spec = AttemptSpec(name, ("true",), spec={"image": self._image or "scratch"})
        manifest = self._manifest(name, spec)
        manifest["metadata"]["annotations"] = {_CANCELLED: str(self._clock.now_ms())}
        manifest["spec"]["suspend"] = True
        try:
            self._api.create_job(self._namespace, manifest)
        except AlreadyThere:
            return False
        return True

    def _image_of(self, spec: Mapping[str, Any]) -> str:
        image = spec.get("image", self._image)
        if image is None:
            raise InvalidInput(
                "invalid_spec", "name an image: spec.image or CARBON_KUBERNETES_IMAGE"
            )
        return str(image)

    def _manifest(self, name: str, attempt: AttemptSpec) -> dict[str, Any]:
        told = attempt.spec or {}
        labels = {"app.kubernetes.io/managed-by": "carbon"}
        if "queue" in told:
            labels[QUEUE_LABEL] = told["queue"]
        container: dict[str, Any] = {
            "name": "main",
            "image": self._image_of(told),
            "command": list(told.get("command") or attempt.command),
            "env": [{"name": key, "value": value} for key, value in attempt.env.items()],
            "resources": {k: dict(told[k]) for k in ("requests", "limits") if k in told},
        }
        if attempt.cwd is not None:
            container["workingDir"] = attempt.cwd
        pod: dict[str, Any] = {"restartPolicy": "Never", "containers": [container]}
        if "service_account" in told:
            pod["serviceAccountName"] = told["service_account"]
        if "node_selector" in told:
            pod["nodeSelector"] = dict(told["node_selector"])
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "suspend": "queue" in told,  # then Kueue decides when it begins
                "backoffLimit": 0,
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }


def job_name(attempt_id: str) -> str:
    """What DNS allows: no underscore."""
    return attempt_id.replace("_", "-").lower()


def look_at(job: Mapping[str, Any], pods: list[dict[str, Any]]) -> Look:
    """What a Job and its pods say together."""
    annotations = job["metadata"].get("annotations") or {}
    status, container = job.get("status") or {}, next(filter(None, map(_container, pods)), {})
    ran = container.get("running") or container.get("terminated") or {}
    start_ms = _ms(ran.get("startedAt"))
    ended = container.get("terminated")
    conditions = {c["type"]: c for c in status.get("conditions") or [] if c.get("status") == "True"}
    over = conditions.get("Complete") or conditions.get("Failed")
    if over:
        usual = 0 if "Complete" in conditions else 1
        exit_code = ended["exitCode"] if ended else usual
        end_ms = _ms(ended.get("finishedAt") if ended else over.get("lastTransitionTime"))
        began_ms = start_ms if start_ms is not None else _ms(status.get("startTime"))
        return Look(LookState.ENDED, began_ms, end_ms, exit_code, over.get("reason") or "")
    if _CANCELLED in annotations:
        if status.get("active"):
            return Look(LookState.RUNNING, start_ms)
        return _cancelled(annotations, ended)
    if ended:  # its Job is about to say so
        return Look(LookState.RUNNING, start_ms)
    return Look(LookState.PENDING) if start_ms is None else Look(LookState.RUNNING, start_ms)


def subjects_of(pods: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """What agents call the pods that they see draw."""
    uids = {pod["metadata"].get("uid") for pod in pods}
    return tuple(sorted(f"pod:{uid}" for uid in uids if uid))


def _cancelled(annotations: Mapping[str, str], ended: Mapping[str, Any] | None) -> Look:
    """Pods of a suspended Job are deleted: what it was is kept with the mark."""
    end_ms = int(annotations[_CANCELLED])
    if _STARTED not in annotations:
        return Look(LookState.ENDED, None, end_ms, None, "cancelled before the start")
    exit_code = ended["exitCode"] if ended else _TERMINATED
    return Look(LookState.ENDED, int(annotations[_STARTED]), end_ms, exit_code, "cancelled")


def _container(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The state of its only container; empty while it waits for one."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    state: dict[str, Any] = statuses[0].get("state") or {}
    return {} if "waiting" in state else state


def _ms(moment: object) -> int | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime.fromisoformat(str(moment))
    return round(moment.timestamp() * 1000)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


class ClientApi:
    """The official client: in a pod by its service account, else by the kubeconfig."""

    def __init__(self, configuration: Any = None) -> None:
        try:
            from kubernetes import client, config
        except ImportError:
            raise CarbonError(
                "kubernetes_missing", "install the client: pip install 'carbon-ledger[kubernetes]'"
            ) from None
        if configuration is None:
            configuration = client.Configuration()
            try:
                config.load_incluster_config(configuration)
            except config.ConfigException:
                config.load_kube_config(client_configuration=configuration)
        self._client = client.ApiClient(configuration)
        self._batch, self._core = client.BatchV1Api(self._client), client.CoreV1Api(self._client)

    def create_job(self, namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
        return self._plain(self._ask(self._batch.create_namespaced_job, namespace, manifest))

    def read_job(self, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return self._plain(self._ask(self._batch.read_namespaced_job, name, namespace))
        except LookupError:
            return None

    def list_jobs(self, selector: str) -> list[dict[str, Any]]:
        found = self._ask(self._batch.list_job_for_all_namespaces, label_selector=selector)
        items: list[dict[str, Any]] = self._plain(found)["items"]
        return items

    def patch_job(self, namespace: str, name: str, patch: dict[str, Any]) -> None:
        self._ask(self._batch.patch_namespaced_job, name, namespace, patch)

    def delete_job(self, namespace: str, name: str) -> None:
        try:
            self._ask(
                self._batch.delete_namespaced_job, name, namespace, propagation_policy="Background"
            )
        except LookupError:
            return

    def pods_of(self, namespace: str, job: str) -> list[dict[str, Any]]:
        selector = f"{_JOB_NAME_LABEL}={job}"
        found = self._ask(self._core.list_namespaced_pod, namespace, label_selector=selector)
        items: list[dict[str, Any]] = self._plain(found)["items"]
        return items

    def pod_log(self, namespace: str, pod: str, limit_bytes: int) -> str:
        try:
            text = self._ask(
                self._core.read_namespaced_pod_log,
                pod,
                namespace,
                limit_bytes=limit_bytes,
                _preload_content=False,
            )
        except LookupError:
            return ""
        return bytes(text.data).decode(errors="replace")

    def _plain(self, found: Any) -> dict[str, Any]:
        plain: dict[str, Any] = self._client.sanitize_for_serialization(found)
        return plain

    def _ask(self, call: Any, *arguments: Any, **named: Any) -> Any:
        """Raises LookupError for 404, AlreadyThere for 409, ExecutorAway for the rest."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return call(*arguments, _request_timeout=_TIMEOUT_S, **named)
        except ApiException as error:
            if error.status == 404:
                raise LookupError(error.reason) from None
            if error.status == 409:
                raise AlreadyThere("already_there", "a Job of that name exists") from None
            words = shlex.quote(str(error.body or error.reason))[:300]
            raise ExecutorAway("executor_away", f"kubernetes: {error.status} {words}") from error
        except (HTTPError, OSError, ValueError) as error:  # the last: no such object to it
            raise ExecutorAway("executor_away", f"kubernetes: {error}") from error
