"""The executors of this deployment, by name."""

from __future__ import annotations

from collections.abc import Mapping

from carbon.clock import Clock
from carbon.errors import InvalidInput
from carbon.executors.executor import Executor
from carbon.executors.kubernetes import ClientApi, KubernetesExecutor
from carbon.executors.kubernetes_release import KubernetesReleaseExecutor
from carbon.executors.local import LocalExecutor
from carbon.executors.ray import RayExecutor
from carbon.executors.slurm import SlurmExecutor
from carbon.executors.slurm_release import SlurmReleaseExecutor
from carbon.executors.webhook import WebhookExecutor, read_targets
from carbon.settings import Settings

Executors = Mapping[str, Executor]


def build_executors(settings: Settings, clock: Clock) -> Executors:
    executors: list[Executor] = [LocalExecutor(settings.data_dir / "jobs", clock)]
    if settings.slurm_dir is not None:
        executors.append(SlurmExecutor(settings.slurm_dir, clock))
    if settings.slurm_release:
        executors.append(SlurmReleaseExecutor(clock))
    if settings.ray_address is not None:
        executors.append(RayExecutor(settings.ray_address))
    if settings.kubernetes_namespace is not None or settings.kubernetes_release:
        executors += _on_kubernetes(settings, clock)
    if settings.webhooks is not None:
        targets = read_targets(settings.webhooks)
        executors.append(WebhookExecutor(settings.data_dir / "webhooks", targets, clock))
    return {executor.name: executor for executor in executors}


def _on_kubernetes(settings: Settings, clock: Clock) -> list[Executor]:
    api = ClientApi()
    executors: list[Executor] = []
    if settings.kubernetes_namespace is not None:
        image = settings.kubernetes_image
        executors.append(KubernetesExecutor(api, settings.kubernetes_namespace, image, clock))
    if settings.kubernetes_release:
        executors.append(KubernetesReleaseExecutor(api, clock))
    return executors


def executor_named(executors: Executors, name: str) -> Executor:
    """Raises InvalidInput(`unknown_executor`) with the known names."""
    if name not in executors:
        known = sorted(executors)
        raise InvalidInput(
            "unknown_executor", f"no executor {name!r}; known: {', '.join(known)}", known=known
        )
    return executors[name]
