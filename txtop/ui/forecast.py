"""A matrix before it is measured: what each cell needs, what will not fit, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from txtop import models
from txtop.asked import Asked, cells_of, plan_of
from txtop.errors import TxtopError
from txtop.plan import Cell, Plan
from txtop.senseless import judge
from txtop.session.guess import Guess, guess
from txtop.session.past import Past
from txtop.spelled import command_line
from txtop.state import HOST, Device, SessionState
from txtop.ui.devices import gpus_of
from txtop.ui.figures import predicted_bytes

# Of what is free: weights and cache are not all that a cell needs.
TIGHT_SHARE = 0.85

Fit = Literal["fits", "tight", "will not fit", "unknown"]
Fate = Literal["refused", "left out", "planned"]
NOTHING = Guess(None, False, "")


@dataclass(frozen=True)
class Room:
    """Free bytes: of RAM as far as this process may use it, and of each GPU; null where unread."""

    ram: float | None = None
    gpus: tuple[float | None, ...] = ()

    def for_device(self, device: str) -> tuple[float | None, str]:
        """What is free where a cell with that `device` runs, and what it is called."""
        if self.gpus and device in ("auto", "cuda"):
            return self.gpus[0], "VRAM"
        if device in ("auto", "cpu"):
            return self.ram, "RAM"
        return None, f"memory of {device}"


def room(session: SessionState) -> Room:
    """What the sampler read last; a limit of the cgroup is in its figures already."""
    host = session.devices.get(HOST)
    return Room(
        ram=_free(host, "ram") if host else None,
        gpus=tuple(_free(device, "memory") for _, device in gpus_of(session)),
    )


def _free(device: Device, what: str) -> float | None:
    used, total = device.last(f"{what}_used_bytes"), device.last(f"{what}_total_bytes")
    return None if used is None or total is None else max(0.0, total - used)


@dataclass(frozen=True)
class Ahead:
    """One cell before it is measured. `why` is the reason of one that is refused (the whole plan
    with it) or left out; `needs` are bytes of weights and KV cache, null where unknown."""

    cell: Cell
    fate: Fate
    why: str
    needs: int | None

    def fit(self, free: float | None) -> Fit:
        """Whether it fits into so many bytes, as far as is known."""
        if self.needs is None or free is None:
            return "unknown"
        if self.needs > free:
            return "will not fit"
        return "tight" if self.needs > TIGHT_SHARE * free else "fits"


@dataclass(frozen=True)
class Forecast:
    """What was asked, before it is begun: `plan` is null where `error` says why it cannot be."""

    cells: tuple[Ahead, ...] = ()
    plan: Plan | None = None
    error: str = ""
    command: str = ""
    time: Guess = NOTHING

    def counts(self, room: Room) -> dict[str, int]:
        """How many cells there are of each fate, and of those planned of each fit."""
        found: dict[str, int] = {}
        for each in self.cells:
            word = each.fate
            found[word] = found.get(word, 0) + 1
            if word == "planned":
                fit = each.fit(room.for_device(each.cell.device)[0])
                found[fit] = found.get(fit, 0) + 1
        return found


def forecast(asked: Asked, past: Past) -> Forecast:
    """Nothing is loaded, and nothing raised: what cannot be asked becomes one line."""
    try:
        cells = cells_of(asked)
    except TxtopError as error:
        return Forecast(error=str(error))
    ahead = tuple(_ahead(cell, plain, why) for cell, (plain, why) in zip(cells, judge(cells), strict=True))
    command = command_line(asked)
    try:
        plan = plan_of(asked)
    except TxtopError as error:
        return Forecast(ahead, error=str(error), command=command)
    return Forecast(ahead, plan, command=command, time=guess(plan, past))


def _ahead(cell: Cell, plain: Cell, why: str) -> Ahead:
    refused = None if why else models.refuse(plain)
    fate: Fate = "left out" if why else "refused" if refused else "planned"
    return Ahead(cell, fate, why or (refused[0] if refused else ""), predicted_bytes(cell))
