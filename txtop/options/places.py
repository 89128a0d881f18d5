"""The places of `--devices`: where cells are measured side by side, one worker in each.

Apart from the machine, which is described by a `PlacesHere`, so that every rule is a pure function.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from txtop.errors import UsageError
from txtop.plan.plan import MAX_PLACES
from txtop.system import cpu, gpus
from txtop.system.device_names import (
    format_cores,
    get_cores,
    get_device_kind,
    is_uuid,
    name_cores,
    parse_cores,
    parse_device,
)

FORMS = "all, 0,1,2 or 0-3 (GPUs), cuda:0 cuda:1, or cpu:0-3 cpu:4-7 (cores)"
_INDICES = re.compile(r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*")
# A comma before a letter is between two names, any other one within a list of numbers.
_BETWEEN_NAMES = re.compile(r",(?=[A-Za-z])")


@dataclass(frozen=True)
class PlacesHere:
    """The GPUs of this machine, the cores of its NUMA nodes, and those this process may use.

    `gpus` counts those that CUDA shows, None where this cannot be counted without torch.
    """

    gpus: int | None
    nodes: tuple[frozenset[int], ...]
    cores: frozenset[int]

    @staticmethod
    def read() -> PlacesHere:
        """Look at this machine, without torch and NVML."""
        visible, listed = gpus.list_visible_devices(), gpus.list_gpus()
        count = len(listed) if visible is None else len(visible)
        if not listed and not gpus.explain_absent_device("cuda"):
            return PlacesHere(None, (), frozenset(cpu.read_affinity()))
        nodes = tuple(cpu.read_numa_nodes())
        return PlacesHere(count if listed else 0, nodes, frozenset(cpu.read_affinity()))


def parse_places(texts: Sequence[str], here: PlacesHere) -> tuple[str, ...]:
    """Return the device names that the values of `--devices` mean, in their order.

    `all` is every GPU that is visible, on a machine without one every NUMA node.

    Raises `UsageError` for what is no place here, for one that is named twice, for core sets that
    overlap, and for places of several kinds, whose figures would not compare.
    """
    places: list[str] = []
    for text in texts:
        for part in _BETWEEN_NAMES.split(text):
            places += _parse_part(part, here)
    if not places:
        raise UsageError("--devices needs at least one value", FORMS)
    if len(places) > MAX_PLACES:
        raise UsageError(f"--devices has {len(places)} places", f"at most {MAX_PLACES}")
    _check_apart(places)
    return tuple(places)


def _parse_part(text: str, here: PlacesHere) -> list[str]:
    if text.casefold() == "all":
        return _list_all(here)
    if _INDICES.fullmatch(text):
        return [_check_index(f"cuda:{i}", i, here) for i in _expand_indices(text)]
    name = parse_device("--devices", text)
    if cores := get_cores(name):
        if absent := cores - here.cores:
            raise UsageError(
                f"--devices {name}: this process may not use {name_cores(absent)}",
                f"it may use {format_cores(here.cores)}",
            )
        return [f"cpu:{format_cores(cores)}"]
    kind, _, index = name.partition(":")
    if not index and not is_uuid(name):
        raise UsageError(f"--devices {name} names no single place", FORMS)
    return [_check_index(name, int(index), here) if kind == "cuda" else name]


def _expand_indices(text: str) -> list[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if last and int(last) < int(first):
            raise UsageError(f"--devices {part} counts backwards", f"{last}-{first}")
    # In the order as given; one that is named twice is refused later.
    return [i for part in text.split(",") for i in sorted(parse_cores(part))]


def _check_index(name: str, index: int, here: PlacesHere) -> str:
    if here.gpus is not None and index >= here.gpus:
        count = f"{here.gpus} of them" if here.gpus else "none"
        raise UsageError(
            f"--devices {name}: no such NVIDIA GPU, this machine shows {count}",
            "txtop doctor lists them; cores are spelled cpu:0-3",
        )
    return name


def _list_all(here: PlacesHere) -> list[str]:
    if here.gpus is None:
        raise UsageError("--devices all: the GPUs cannot be counted here", "name them: 0-7")
    if here.gpus:
        return [f"cuda:{i}" for i in range(here.gpus)]
    nodes = [node & here.cores for node in here.nodes if node & here.cores]
    if len(nodes) > 1:
        return [f"cpu:{format_cores(node)}" for node in nodes]
    # Neighbours within a node share its memory: who wants that says so.
    cores = sorted(here.cores)
    half = len(cores) // 2
    step = "one place needs no --devices"
    if half:
        step = f"name core sets: cpu:{format_cores(cores[:half])} cpu:{format_cores(cores[half:])}"
    raise UsageError("--devices all: no GPU and a single NUMA node here", step)


def _check_apart(places: Sequence[str]) -> None:
    kinds = dict.fromkeys(map(get_device_kind, places))
    if len(kinds) > 1:
        raise UsageError(
            f"--devices mixes {' and '.join(kinds)}, whose figures do not compare",
            "a run for each kind, then txtop compare",
        )
    if len({is_uuid(place) for place in places}) > 1:
        raise UsageError("--devices mixes numbers and UUIDs of GPUs", "name all one way")
    for one, other in combinations(places, 2):
        if one == other or (is_uuid(one) and (one.startswith(other) or other.startswith(one))):
            raise UsageError(f"--devices names {other} twice", "once is enough")
        if shared := get_cores(one) & get_cores(other):
            raise UsageError(
                f"--devices {one} and {other} share {name_cores(shared)}",
                "each core belongs to one place",
            )
