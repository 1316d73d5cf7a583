"""Builds the scripted library with the compiler at hand."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("scripted_nvml.c")
LIBRARY = "libnvidia-ml.so.1"


class NoCompiler(RuntimeError):
    pass


def compiler() -> list[str]:
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise NoCompiler("no cc, gcc or clang, and no ziglang package")


def build(folder: Path) -> Path:
    """The folder for LD_LIBRARY_PATH; built below `folder` once for each state of the source."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    target = folder / digest / LIBRARY
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f"{LIBRARY}.{os.getpid()}")
        options = ["-shared", "-fPIC", "-O1", f"-Wl,-soname,{LIBRARY}"]
        subprocess.run([*compiler(), *options, "-o", str(fresh), str(SOURCE)], check=True)
        fresh.replace(target)  # whole at once: several test workers may build
    return target.parent
