"""A workload: `burn.py SECONDS [EXIT_CODE]`. It says which process holds the scripted GPUs, waits,
and ends; SIGTERM ends it with 7 and a word."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType


def hold_gpus() -> None:
    pids = Path(os.environ["BURN_PIDS"])
    fresh = pids.with_suffix(".new")
    fresh.write_text(f"burn {os.getpid()}\n")
    fresh.replace(pids)


def asked(_number: int, _frame: FrameType | None) -> None:
    print("asked to end", flush=True)
    sys.exit(7)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, asked)
    hold_gpus()
    print("burning", flush=True)
    time.sleep(float(sys.argv[1]))
    print("burnt", file=sys.stderr, flush=True)
    sys.exit(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
