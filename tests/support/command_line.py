"""The command line as a process."""

from __future__ import annotations

import os
import subprocess
import sys

TXTOP = (sys.executable, "-m", "txtop")


def txtop(
    *arguments: str, timeout: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TXTOP, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )
