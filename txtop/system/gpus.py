"""The NVIDIA GPUs of this machine by name, and what is known of a GPU by its name.

It needs neither torch nor NVML, so a plan can be judged before anything is loaded. The table is
data: `gpu_capabilities.toml`, beside this file.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

PROC = Path("/proc/driver/nvidia/gpus")
_FILE = Path(__file__).with_name("gpu_capabilities.toml")
_MODEL = re.compile(r"^Model:\s*(.+?)\s*$", re.MULTILINE)

Capability = tuple[int, int]


def list_gpu_names(folder: Path | None = None) -> list[str]:
    """Return the names of the GPUs that the NVIDIA driver lists in /proc, by PCI address."""
    names = []
    try:
        for path in sorted((folder or PROC).glob("*/information")):
            names += _MODEL.findall(path.read_text(encoding="utf-8", errors="replace"))[:1]
    except OSError:
        return []
    return names


def find_capability(name: str) -> Capability | None:
    """Return the compute capability (major, minor) of a GPU by its name, None if unknown."""
    key = " ".join(name.casefold().split()).removeprefix("nvidia ")
    return next((capability for pattern, capability in _read_table() if pattern.match(key)), None)


@cache
def _read_table() -> list[tuple[re.Pattern[str], Capability]]:
    rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))["gpu"]
    return [
        # A name ends where its pattern does: `l4` is not the beginning of `l40`.
        (re.compile(rf"(?:{'|'.join(row['names'])})(?![a-z0-9])"), tuple(row["capability"]))
        for row in rows
    ]
