"""The home screen's model: sessions as it lists them, and one frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from txtop.forecast.memory_fit import UNKNOWN_MEMORY, FreeMemory
from txtop.ui.doctor_probe import Finding
from txtop.ui.models import machine as devices

if TYPE_CHECKING:
    from txtop.forecast.history import RunHistory


SessionStage = Literal["running", "done", "stopped", "failed", "cut off"]


@dataclass(frozen=True)
class ListedSession:
    """One session as the home screen lists it; its texts are inert."""

    path: Path
    label: str
    models: str
    wall_s: float
    cells_ok: int
    cells_total: int
    stage: SessionStage
    bundled: bool
    precisions: str = ""
    size_bytes: int = 0

    @property
    def resumable(self) -> bool:
        """Whether something of it may be missing and it can go on."""
        interrupted = self.stage in ("stopped", "failed", "cut off")
        return interrupted and not self.bundled and self.path.is_dir()


@dataclass(frozen=True)
class HomeFrame:
    """What the home screen shows; `sessions`, `findings` and `past` are null until somebody
    looked for them, and so is how many sessions there are in all."""

    title: str
    machine: devices.MachineView
    sessions: tuple[ListedSession, ...] | None
    now_s: float
    problem: str = ""
    room: FreeMemory = UNKNOWN_MEMORY
    findings: tuple[Finding, ...] | None = None
    past: RunHistory | None = None
    recorded: int | None = None
    late: ClassVar[bool] = False
