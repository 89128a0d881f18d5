"""Paths in a checkout, for tests and for the processes that they start."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
SESSIONS = ROOT / "sessions"
SUPPORT = TESTS / "support"
SHIM = SUPPORT / "shim"
"""On the path of a txtop process, makes its runner start the fake worker."""
SHIM_DISK = SUPPORT / "shim_disk"
"""The same, and a disk that confirms nothing."""
SHIM_WARM = SUPPORT / "shim_warm"
"""The same with a warm worker, whose command is in TXTOP_WARM_WORKER."""
SHIM_RAY = SUPPORT / "shim_ray"
"""On the path of a txtop process, makes it ask Ray by warm processes, as TXTOP_WARM_RAY says."""
# One cell a scenario, 40 requests at 4 a second each; what was told of processes is left out.
SERVING_RECORDING = TESTS / "recordings" / "serving.jsonl"
