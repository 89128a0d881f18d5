"""One model over several devices as it is asked for: by tensors, or layer by layer.

It is apart from the cell because command line, arms and plan files read its text.
"""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from txtop.errors import UsageError

MAX_RANKS = 64
_TENSORS = "tp="
_PATTERN = rf"^(none|auto|pp|{_TENSORS}([2-9]|[1-5]\d|6[0-4]))$(?!\n)"

Parallel = Annotated[str, Meta(pattern=_PATTERN)]
"""`none`; `tp=N`, each matrix cut over N processes, the ranks, of which each has a device; `pp`,
layers dealt evenly to all GPUs, in one process; or `auto`, layers where they fit, also on the host.
"""


def parse_parallel(where: str, text: str) -> str:
    """Return the way that `text` names. Raises `UsageError`, which begins with `where`."""
    if re.match(_PATTERN, text):
        return text
    raise UsageError(
        f"{where} cannot be {text[:40]!a}",
        f"none, tp=2 (to {MAX_RANKS} ranks), pp or auto (layers over GPUs)",
    )


def label_parallel(parallel: str) -> str:
    """Return `tp=2` and the like, for a model that is not spread `one device`."""
    return "one device" if parallel == "none" else parallel


def count_ranks(parallel: str) -> int:
    """Return the processes that hold parts of the model; 1 unless its tensors are cut."""
    return int(parallel.removeprefix(_TENSORS)) if parallel.startswith(_TENSORS) else 1
