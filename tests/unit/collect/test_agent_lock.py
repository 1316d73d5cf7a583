"""One sampler a host, and the same machine known again after a restart."""

from __future__ import annotations

import os
from pathlib import Path

from carbon.collect.boot import boot_id
from carbon.collect.lock import Role, SamplerLock, read_holder

SOCKET = Path("/run/agent.sock")


def test_one_holds_the_lock_at_a_time(tmp_path: Path) -> None:
    one, other = SamplerLock(tmp_path), SamplerLock(tmp_path)
    assert one.acquire(Role.AGENT, SOCKET)
    assert not other.acquire(Role.EMBEDDED, SOCKET)
    one.release()
    assert other.acquire(Role.EMBEDDED, SOCKET)
    other.release()


def test_the_holder_says_who_it_is(tmp_path: Path) -> None:
    lock = SamplerLock(tmp_path)
    lock.acquire(Role.EMBEDDED, SOCKET)
    holder = read_holder(tmp_path / "agent.pid")
    assert holder is not None
    assert (holder.pid, holder.role, holder.socket) == (os.getpid(), Role.EMBEDDED, SOCKET)
    lock.release()
    assert read_holder(tmp_path / "agent.pid") is None


def test_a_pid_file_of_somebody_else_is_no_holder(tmp_path: Path) -> None:
    (tmp_path / "agent.pid").write_text("12 monkeys")
    assert SamplerLock(tmp_path).holder() is None


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = SamplerLock(tmp_path)
    lock.acquire(Role.EMBEDDED, SOCKET)
    copy = SamplerLock(tmp_path)
    copy._fd = os.dup(lock._fd or 0)
    lock.release()
    assert not SamplerLock(tmp_path).acquire(Role.AGENT, SOCKET)
    copy.disown()
    assert SamplerLock(tmp_path).acquire(Role.AGENT, SOCKET)


def test_the_kernels_boot_id_is_taken(tmp_path: Path) -> None:
    kernel = tmp_path / "boot_id"
    kernel.write_text("abc-def\n")
    assert boot_id(tmp_path, kernel) == "abc-def"


def test_without_a_kernel_id_the_boot_is_known_again(tmp_path: Path) -> None:
    first = boot_id(tmp_path, tmp_path / "absent")
    assert first.startswith("made-")
    assert boot_id(tmp_path, tmp_path / "absent") == first
    (tmp_path / "boot").write_text("1000")
    assert boot_id(tmp_path, tmp_path / "absent") == first
    assert first != "made-1000"
