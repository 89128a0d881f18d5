"""The names of devices that a cell can ask for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from txtop.errors import UsageError

DEVICE_KINDS = ("auto", "cpu", "cuda", "xpu", "mps")
"""The names of torch for its devices, and `auto`; `cuda` is also ROCm's."""
# Nodes whose cores alternate are lists of single numbers.
_CORES = r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?){0,511}"
_NAMES = rf"auto|cpu(:{_CORES})?|mps|(cuda|xpu)(:\d{{1,3}})?|(GPU|MIG)-[0-9A-Za-z/-]{{4,80}}"
_PATTERN = rf"^({_NAMES})$(?!\n)"

Device = Annotated[str, Meta(pattern=_PATTERN)]
"""A kind; one of several of a kind by its index among those visible to torch (`cuda:1`); an
NVIDIA GPU or a part of one (MIG) by its UUID or the beginning of it, as `nvidia-smi -L` prints it;
or cores of the CPU by their numbers (`cpu:0-3,8`), to which a process is then held.
"""

Place = Annotated[str, Meta(pattern=rf"^({_NAMES})?$(?!\n)")]
"""The device of a cell that is measured beside others, or nothing."""


def get_device_kind(device: str) -> str:
    """Return the kind of `device`: `cuda` of `cuda:1` and of a UUID."""
    return "cuda" if is_uuid(device) else device.partition(":")[0]


def is_uuid(device: str) -> bool:
    """Check that `device` names a GPU or a part of one by its UUID."""
    return device.startswith(("GPU-", "MIG-"))


def parse_cores(text: str) -> frozenset[int]:
    """Return the numbers in a list of the kernel's form, `0-3,8`; a range may be of one."""
    cores: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return frozenset(cores)


@lru_cache(512)
def get_cores(device: str) -> frozenset[int]:
    """Return the cores that `device` names; empty if it names none."""
    kind, _, cores = device.partition(":")
    return parse_cores(cores) if kind == "cpu" else frozenset()


def format_cores(cores: Iterable[int]) -> str:
    """Return core numbers as `parse_cores` reads them, ranges from two on."""
    parts: list[list[int]] = []
    for core in sorted(set(cores)):
        if parts and core == parts[-1][-1] + 1:
            parts[-1].append(core)
        else:
            parts.append([core])
    return ",".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


def name_cores(cores: Collection[int]) -> str:
    """Return `core 3` or `cores 2-99`."""
    return f"core{'s' if len(cores) > 1 else ''} {format_cores(cores)}"


def parse_device(where: str, text: str) -> str:
    """Return the device that `text` names. Raises `UsageError`, which begins with `where`."""
    for name in (text, text.casefold()):
        if re.match(_PATTERN, name) and not _counts_backwards(name):
            return name
    raise UsageError(
        f"{where} cannot be {text[:40]!a}",
        f"{', '.join(DEVICE_KINDS)}, cuda:1, cpu:0-3, or a UUID of `nvidia-smi -L`",
    )


def _counts_backwards(name: str) -> bool:
    kind, _, cores = name.partition(":")
    ends = [part.partition("-") for part in cores.split(",")] if kind == "cpu" else []
    return any(last and int(last) < int(first) for first, _, last in ends)
