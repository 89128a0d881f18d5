"""Each kind of process killed once at a drawn moment; `make kills` makes 200 runs with torch."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from support import kills
from support.paths import SHIM

# The others are ended by the same lines; `make kills` ends all in turn.
_QUICK = ("worker", "runner", "screen")


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    "role",
    [pytest.param(r, marks=() if r in _QUICK else pytest.mark.slow) for r in kills.ROLES],
)
def test_a_kill_costs_at_most_a_second_and_resume_finishes(tmp_path: Path, role: str) -> None:
    seed = int(os.environ.get("TXTOP_SEED", "0")) or random.SystemRandom().randrange(10**6)
    after_s = random.Random(seed).uniform(0, 2)
    env = {"PYTHONPATH": str(SHIM)}
    fate = kills.kill_one(role, after_s, tmp_path, "ok", 300, env)
    assert fate.killed and not fate.wrong, f"TXTOP_SEED={seed}: {fate}"
