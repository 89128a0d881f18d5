"""The command line as a process."""

from __future__ import annotations

import os
import subprocess
import sys

from support.paths import ROOT
from support.warm_workers import build_warm_program

TXTOP = (sys.executable, "-m", "txtop")
COLD = {"LANG", "LC_ALL", "PYTHONIOENCODING", "PYTHONPATH"}
"""An interpreter reads these as it starts."""


def txtop(
    *arguments: str, timeout: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command line, in a process forked from one that has imported txtop if that can be."""
    command = TXTOP
    if not COLD & environment.keys():
        command = build_warm_program(ROOT / "txtop" / "__main__.py")
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )
