"""The description of a place by its dry run: machine, versions and plan; which places are equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from txtop.plan.plan import Plan
from txtop.protocol.events import Machine
from txtop.runner.machine_info import read_machine, read_versions
from txtop.sanitise import sanitise
from txtop.system import gpus


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A machine before a run, and the plan as it was built there.

    The plan is decoded only where it is needed: that of another version may have other fields.
    """

    machine: Machine
    versions: dict[str, str]
    gpus: list[str] = []
    driver: str = ""
    plan: msgspec.Raw = msgspec.Raw(b"null")

    def decode_plan(self) -> Plan:
        """Decode the plan. Raises `msgspec.MsgspecError`."""
        return msgspec.json.decode(self.plan, type=Plan)


def describe_here(plan: Plan) -> Description:
    """Describe this machine, without torch and NVML."""
    return Description(
        machine=read_machine(),
        versions=read_versions(),
        gpus=[gpu.name for gpu in gpus.list_gpus()],
        driver=gpus.read_driver(),
        plan=msgspec.Raw(msgspec.json.encode(plan)),
    )


def _read_version(name: str) -> Callable[[Description], str]:
    return lambda place: place.versions.get(name, "none")


def _count_gpus(place: Description) -> str:
    counts = Counter(place.gpus).items()
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts) or "none"


# What has to be the same where cells are dealt: figures of two places then stand side by side.
FACTS: dict[str, Callable[[Description], str]] = {
    "CPU": lambda place: place.machine.cpu,
    "cores": lambda place: str(place.machine.cores_allowed or place.machine.cores_logical),
    "GPU": _count_gpus,
    "driver": lambda place: place.driver or "none",
    **{name: _read_version(name) for name in ("txtop", "torch", "transformers")},
}


def list_differences(places: Mapping[str, Description]) -> list[str]:
    """Return a line for each fact in which the places, by their labels, differ."""
    lines = []
    for what, read in FACTS.items():
        labels: dict[str, list[str]] = {}
        for label, place in places.items():
            labels.setdefault(sanitise(read(place), 80), []).append(label)
        if len(labels) > 1:
            parts = (f"{value} ({', '.join(names)})" for value, names in labels.items())
            lines.append(f"{what}: {' against '.join(parts)}")
    return lines
