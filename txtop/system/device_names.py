"""The names of devices that a cell can ask for."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from txtop.errors import UsageError

DEVICE_KINDS = ("auto", "cpu", "cuda", "xpu", "mps")
"""The names of torch for its devices, and `auto`; `cuda` is also ROCm's."""
_PATTERN = r"^(auto|cpu|mps|(cuda|xpu)(:\d{1,3})?|(GPU|MIG)-[0-9A-Za-z/-]{4,80})$(?!\n)"

Device = Annotated[str, Meta(pattern=_PATTERN)]
"""A kind; one of several of a kind by its index among those visible to torch (`cuda:1`); or an
NVIDIA GPU or a part of one (MIG) by its UUID or the beginning of it, as `nvidia-smi -L` prints it.
"""


def get_device_kind(device: str) -> str:
    """Return the kind of `device`: `cuda` of `cuda:1` and of a UUID."""
    return "cuda" if is_uuid(device) else device.partition(":")[0]


def is_uuid(device: str) -> bool:
    """Check that `device` names a GPU or a part of one by its UUID."""
    return device.startswith(("GPU-", "MIG-"))


def parse_device(where: str, text: str) -> str:
    """Return the device that `text` names. Raises `UsageError`, which begins with `where`."""
    for name in (text, text.casefold()):
        if re.match(_PATTERN, name):
            return name
    raise UsageError(
        f"{where} cannot be {text[:40]!a}",
        f"{', '.join(DEVICE_KINDS)}, cuda:1, or a UUID of `nvidia-smi -L`",
    )
