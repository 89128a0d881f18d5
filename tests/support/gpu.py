"""The GPU of this machine, if torch can use one."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from glob import glob

from txtop.worker.device import NVIDIA_FILES


@cache
def has_gpu() -> bool:
    """Return True if torch sees a GPU; without a driver's files torch is not asked."""
    if not any(glob(pattern) for pattern in NVIDIA_FILES):
        return False
    check = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", check]).returncode == 0
