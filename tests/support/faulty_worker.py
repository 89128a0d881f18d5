"""The real worker with little memory, in which a model called `hangs` or `aborts` does so."""

from __future__ import annotations

import os
import resource
import runpy
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from txtop.worker.tasks.text_generation import TextGenerationTask

ROOM_BYTES = 1 << 30
LET_PASS = 3
"""The profiled pass and two measured iterations."""

calls: Counter[str] = Counter()

measured = TextGenerationTask.iterate


def iterate(self: TextGenerationTask, inputs: Any, check: bool, *rest: Any) -> Any:
    name = "" if check else Path(inputs.cell.model).name
    calls[name] += 1
    if name == "hangs" and calls[name] > LET_PASS:
        time.sleep(600)
    if name == "aborts":
        os.abort()
    return measured(self, inputs, check, *rest)


TextGenerationTask.iterate = iterate  # type: ignore[method-assign]
torch.empty(1)
used_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used_bytes + ROOM_BYTES, used_bytes + ROOM_BYTES))
runpy.run_module("txtop.worker", run_name="__main__")
