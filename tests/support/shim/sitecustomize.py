"""On the path of a txtop process, makes its runner start the fake worker instead of torch."""

import sys
from pathlib import Path

from txtop.runner import child_process

child_process.WORKER_COMMAND = (sys.executable, str(Path(__file__).parents[1] / "fake_worker.py"))
