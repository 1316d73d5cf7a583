"""A log of bounded size: the beginning as it comes, the end once there is an end."""

from __future__ import annotations

from pathlib import Path


class CappedLog:
    """Keeps the first `head_bytes` and the last `tail_bytes` of what is written.

    The beginning lies on the disk at once; the end is held in memory until `close`. A disk
    that takes no more costs the log and never the job.
    """

    def __init__(self, path: Path, head_bytes: int, tail_bytes: int) -> None:
        self._file = path.open("ab", buffering=0)
        self._room = head_bytes
        self._tail_bytes = tail_bytes
        self._tail = bytearray()
        self._left_out = 0

    def write(self, chunk: bytes) -> None:
        head, rest = chunk[: self._room], chunk[self._room :]
        self._room -= len(head)
        self._put(head)
        self._tail += rest
        # Trimmed in big steps: trimming at each write would move the tail each time.
        if len(self._tail) > 2 * self._tail_bytes + 65_536:
            self._trim()

    def close(self) -> None:
        self._trim()
        if self._left_out:
            self._put(f"\n[{self._left_out} bytes left out]\n".encode())
        self._put(bytes(self._tail))
        self._file.close()

    def _trim(self) -> None:
        surplus = max(0, len(self._tail) - self._tail_bytes)
        self._left_out += surplus
        del self._tail[:surplus]

    def _put(self, chunk: bytes) -> None:
        try:
            while chunk:
                chunk = chunk[self._file.write(chunk) :]
        except OSError:
            self._left_out += len(chunk)
