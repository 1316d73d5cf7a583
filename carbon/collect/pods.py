"""Names and labels of the node's pods, from a file that somebody keeps up to date."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
from msgspec import Struct, field

log = logging.getLogger(__name__)


class PodMeta(msgspec.Struct, frozen=True):
    uid: str
    name: str
    namespace: str = "default"
    labels: dict[str, str] = {}


class _Pod(msgspec.Struct, frozen=True):
    metadata: PodMeta


class _PodList(msgspec.Struct, frozen=True):
    items: list[_Pod]


class PodFile(Struct):
    """A PodList as the kubelet's /pods and `kubectl get pods -o json` print it."""

    path: Path
    _pods: dict[str, PodMeta] = field(default_factory=dict)
    _read_ns: int = 0

    def get(self, uid: str) -> PodMeta | None:
        return self._pods.get(uid)

    def has_changed(self) -> bool:
        """Reads the file where it was written anew; one that cannot be read changes nothing."""
        try:
            written_ns = self.path.stat().st_mtime_ns
            if written_ns == self._read_ns:
                return False
            told = msgspec.json.decode(self.path.read_bytes(), type=_PodList)
        except (OSError, msgspec.DecodeError) as error:
            log.debug("pods in %s: %s", self.path, error)
            return False
        self._read_ns = written_ns
        self._pods = {pod.metadata.uid: pod.metadata for pod in told.items}
        return True
