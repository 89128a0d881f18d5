"""The model of the home screen: the sessions it lists, and one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from txtop.ui.doctor_probe import Finding
from txtop.ui.models.machine import MachineView
from txtop.ui.models.machine_detail import NO_MACHINE_DETAIL, MachineDetailView

if TYPE_CHECKING:
    from txtop.forecast.history import RunHistory
    from txtop.forecast.memory_fit import FreeMemory
    from txtop.options.presets import Preset
    from txtop.ui.models.session_outcome import ListedOutcome


SessionStage = Literal["running", "done", "stopped", "failed", "cut off", "unreadable"]


@dataclass(frozen=True)
class ListedSession:
    """One session as the home screen lists it; its texts are sanitised.

    `models` holds their names, `brief_models` the first of them and what tells the others from it;
    `first_model` is the first as a command takes it, not sanitised. `outcome` is None until the
    log was read, and for a session that is running.
    """

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
    first_model: str = ""
    is_ab: bool = False
    is_search: bool = False
    counted: str = ""
    outcome: ListedOutcome | None = None
    brief_models: str = ""

    @property
    def progress(self) -> str:
        """Return what was measured: `2 of 3 cells`, or what is `counted`: probes or blocks."""
        return self.counted or f"{self.cells_ok} of {self.cells_total} cells"

    @property
    def resumable(self) -> bool:
        """Return True if the session ended early and may be resumed."""
        interrupted = self.stage in ("stopped", "failed", "cut off")
        return interrupted and not self.bundled and self.path.is_dir()


@dataclass(frozen=True)
class StartFacts:
    """The facts of the start panel: how long each preset takes, by its name, and pairs of (model;
    kind, size and place). Texts are sanitised."""

    times: Mapping[str, str]
    models: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class HomeFrame:
    """One frame of the home screen.

    `sessions`, `findings`, `starts`, `recorded`, the number of all sessions, `past` and
    `free_memory`, which forecasts need, are None until they were looked up. `quick` is that preset
    as it is on this machine. It is `late` while outcomes of sessions are still to come; while
    `reading`, the next frame is asked for at once.
    """

    title: str
    machine: MachineView
    sessions: tuple[ListedSession, ...] | None
    now_s: float
    problem: str = ""
    free_memory: FreeMemory | None = None
    findings: tuple[Finding, ...] | None = None
    past: RunHistory | None = None
    recorded: int | None = None
    machine_detail: MachineDetailView = NO_MACHINE_DETAIL
    quick: Preset | None = None
    reading: bool = False
    late: bool = False
    starts: StartFacts | None = None
