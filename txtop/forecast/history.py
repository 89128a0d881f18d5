"""What runs took on this machine so far: from it the next one's time is guessed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import msgspec

from txtop.errors import SessionError
from txtop.plan.cell import Cell
from txtop.protocol import events
from txtop.session import catalog
from txtop.session.reader import find_log_path, read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState

MAX_SESSIONS = 20
MAX_BYTES = 32 << 20


@dataclass(frozen=True)
class CellDuration:
    """How long one cell took: an iteration in the mean, and all of them. `settled` where it ended
    because it was known well enough, and not because its time was up."""

    iteration_s: float
    iterations_s: float
    settled: bool


@dataclass
class RunHistory:
    """By what was asked, the newest cell that asked it; by what is loaded, how long that took; by
    model, the seconds that a position of a comparison of outputs takes."""

    cells: dict[Cell, CellDuration] = field(default_factory=dict)
    loads_s: dict[str, float] = field(default_factory=dict)
    position_s: dict[str, float] = field(default_factory=dict)

    def of(self, cell: Cell) -> CellDuration | None:
        """The same work, measured here before."""
        return self.cells.get(normalise_cell(cell))

    def load_s(self, cell: Cell) -> float | None:
        """Of its weights, else of anything that was loaded here, in the mean; null without any."""
        group = normalise_cell(cell).group
        if group in self.loads_s or not self.loads_s:
            return self.loads_s.get(group)
        return fmean(self.loads_s.values())


def normalise_cell(cell: Cell) -> Cell:
    """What a cell asks, whatever it is called and whatever its weights are."""
    return msgspec.structs.replace(cell, id="", weights="auto")


def load_history(folder: Path | None, hostname: str, cores: int, cpu: str = "") -> RunHistory:
    """From this user's newest sessions that a machine of this name has recorded; an empty `cpu` is
    any. What cannot be read in passing, being unreadable or too much, teaches nothing."""
    past = RunHistory()
    for path in reversed(_select_newest(folder or catalog.get_sessions_dir())):
        try:
            state = fold_all(read_all(path)[0])
        except (SessionError, OSError):
            continue
        header = state.header
        if header is not None and _is_here(header.machine, hostname, cores, cpu):
            _add_session(past, state)
    return past


def _select_newest(folder: Path) -> list[Path]:
    """As many as are read in about half a second, newest first."""
    found: list[tuple[float, int, Path]] = []
    for path in catalog.list_session_paths(folder):
        with suppress(OSError):
            stat = find_log_path(path).stat()
            found.append((stat.st_mtime, stat.st_size, path))
    newest, left = [], MAX_BYTES
    for _, size, path in sorted(found, reverse=True)[:MAX_SESSIONS]:
        if size <= left:
            newest.append(path)
            left -= size
    return newest


def _is_here(machine: events.Machine, hostname: str, cores: int, cpu: str) -> bool:
    same = machine.hostname == hostname and machine.cores_logical == cores
    return same and cpu in ("", machine.cpu)


def _add_session(past: RunHistory, state: SessionState) -> None:
    """An A/B teaches no times of cells: its arms share a budget and take turns."""
    if state.versus is not None:
        return
    cells = [each for each in state.cells.values() if each.over and each.worker]
    for each in cells:
        spent_s = [ns / 1e9 for ns in each.samples.e2e_ns]
        kept = each.samples.kept()
        if each.status != "ok" or not kept or each.finished is None:
            continue
        past.cells[normalise_cell(each.cell)] = CellDuration(
            iteration_s=fmean(spent_s[i] for i in kept),
            iterations_s=sum(spent_s),
            settled=each.finished.stopped_by in ("converged", "no_steady_state"),
        )
        if each.load is not None and not each.shares_weights:
            past.loads_s[normalise_cell(each.cell).group] = each.load.load_s
    if state.ended is not None and state.fidelity and state.plan.fidelity_positions:
        between_ns = state.clock_ns - sum(c.ended_at_ns - c.started_at_ns for c in cells)
        positions = len(state.fidelity) * state.plan.fidelity_positions
        for model in _find_compared(state):
            past.position_s[model] = max(0, between_ns) / 1e9 / positions


def _find_compared(state: SessionState) -> set[str]:
    names = {name for name, _ in state.fidelity}
    return {state.cells[name].cell.model for name in names if name in state.cells}
