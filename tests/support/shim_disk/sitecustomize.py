"""Give a txtop process, when on its path, the fake worker and a disk that confirms nothing."""

import os
import sys
from pathlib import Path

from txtop.runner import child_process

child_process.WORKER_COMMAND = (sys.executable, str(Path(__file__).parents[1] / "fake_worker.py"))


def _fails(_fd: int) -> None:
    raise OSError(5, "Input/output error")


os.fsync = _fails
