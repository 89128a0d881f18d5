"""Make the runner of a txtop process start the fake worker instead of torch, when on its path."""

import sys
from pathlib import Path

from txtop.runner import child_process

child_process.WORKER_COMMAND = (sys.executable, str(Path(__file__).parents[1] / "fake_worker.py"))
