"""Read the durations of earlier runs on this machine, from which the next one's is estimated.

The home screen and the matrix builder load it once; `forecast.duration` and `forecast.preview` read
it.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import msgspec
from msgspec import UNSET

from txtop.errors import SessionError
from txtop.forecast import memory_fit
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD
from txtop.protocol import events
from txtop.sanitise import sanitise
from txtop.session import catalog
from txtop.session.reader import find_log_path, read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.system import cpu as processor
from txtop.units import NS_PER_S

# Together about half a second of reading.
MAX_SESSIONS = 20
MAX_BYTES = 32 << 20


@dataclass(frozen=True)
class CellDuration:
    """The duration of one cell: the mean of an iteration, and the sum of all of them.

    `settled` is set if the cell ended because its figure was precise enough, not because its budget
    was spent.
    """

    iteration_s: float
    iterations_s: float
    settled: bool


@dataclass
class RunHistory:
    """The durations of earlier runs on this machine, in seconds."""

    cells: dict[Cell, CellDuration] = field(default_factory=dict)
    """By the work of a cell (`normalise_cell`), the duration of the newest one."""
    loads_s: dict[str, float] = field(default_factory=dict)
    """By group (what is loaded), the duration of a load."""
    phases_s: dict[str, dict[str, float]] = field(default_factory=dict)
    """By group, the duration of each phase of its newest load, the newest group last."""
    position_s: dict[str, float] = field(default_factory=dict)
    """By model, the duration of one position of a comparison of outputs."""
    profiles_s: dict[Cell, float] = field(default_factory=dict)
    """By the work of a cell, the duration of reading its time on the GPU."""
    process_bytes: int | None = None
    """The memory of the newest worker on the CPU beside its weights; None if none told."""
    memory_errors: list[float] = field(default_factory=list)
    """For each cell that was measured here, the forecast of its memory over the peak, less 1."""

    def of(self, cell: Cell) -> CellDuration | None:
        """Return the duration of the same work if it was measured here before."""
        return self.cells.get(normalise_cell(cell))

    def load_s(self, cell: Cell) -> float | None:
        """Return the load time of the cell's weights; None if nothing was loaded here.

        Weights that were not loaded before get the mean of all loads.
        """
        group = normalise_cell(cell).group
        if group in self.loads_s or not self.loads_s:
            return self.loads_s.get(group)
        return fmean(self.loads_s.values())


def normalise_cell(cell: Cell) -> Cell:
    """Return the cell without its names and the kind of its weights: the work that it asks for.

    Of prompts it is that of a plan, which does not know their tokens.
    """
    file = cell.prompts
    if file is not None:
        unread = msgspec.structs.replace(file, tokens=None, new_tokens=None)
        length = BY_FIELD["sequence_length"].of(cell)
        cell = msgspec.structs.replace(cell, prompts=unread, sequence_length=length)
    return msgspec.structs.replace(cell, id="", alias=UNSET, weights="auto")


def load_history(folder: Path | None, hostname: str, cores: int, cpu: str = "") -> RunHistory:
    """Load the history from this user's newest sessions recorded on a machine of this name.

    An empty `cpu` matches any. Sessions that are unreadable or too large are skipped.
    """
    history = RunHistory()
    for path in reversed(_select_newest(folder or catalog.get_sessions_dir())):
        try:
            state = fold_all(read_all(path)[0])
        except (SessionError, OSError):
            continue
        header = state.header
        if header is not None and _is_here(header.machine, hostname, cores, cpu):
            _add_session(history, state)
    return history


def load_local_history(folder: Path | None) -> RunHistory:
    """Load the history of this machine, named as a session's header names it."""
    hostname, cpu = sanitise(socket.gethostname(), 200), sanitise(processor.read_cpu_name(), 200)
    return load_history(folder, hostname, os.cpu_count() or 0, cpu)


def _select_newest(folder: Path) -> list[Path]:
    """Return the newest sessions, as many as are read in about half a second, newest first."""
    candidates: list[tuple[float, int, Path]] = []
    for path in catalog.list_session_paths(folder):
        with suppress(OSError):
            stat = find_log_path(path).stat()
            candidates.append((stat.st_mtime, stat.st_size, path))
    newest, left = [], MAX_BYTES
    for _, size, path in sorted(candidates, reverse=True)[:MAX_SESSIONS]:
        if size <= left:
            newest.append(path)
            left -= size
    return newest


def _is_here(machine: events.Machine, hostname: str, cores: int, cpu: str) -> bool:
    same = machine.hostname == hostname and machine.cores_logical == cores
    return same and cpu in ("", machine.cpu)


def _add_session(history: RunHistory, state: SessionState) -> None:
    """Add the durations of a session's cells and comparisons.

    An A/B is skipped: its arms share a budget and take turns.
    """
    if state.ab_test is not None:
        return
    cells = [cell for cell in state.cells.values() if cell.over and cell.worker]
    for cell in cells:
        spent_s = [ns / NS_PER_S for ns in cell.samples.e2e_ns]
        kept = cell.samples.kept()
        if cell.status != "ok" or not kept or cell.finished is None:
            continue
        history.cells[normalise_cell(cell.cell)] = CellDuration(
            iteration_s=fmean(spent_s[i] for i in kept),
            iterations_s=sum(spent_s),
            settled=cell.finished.stopped_by in ("converged", "no_steady_state"),
        )
        if cell.load is not None and not cell.shares_weights:
            group = normalise_cell(cell.cell).group
            history.loads_s[group] = cell.load.load_s
            history.phases_s.pop(group, None)
            history.phases_s[group] = cell.load.phases
    history.process_bytes = memory_fit.find_process_bytes(state) or history.process_bytes
    history.memory_errors += list_memory_errors(state)
    for name, time in state.device_times.items():
        if time.took_s:
            history.profiles_s[normalise_cell(state.cells[name].cell)] = time.took_s
    if state.ended is not None and state.fidelity and state.plan.fidelity_positions:
        between_ns = state.clock_ns - sum(c.ended_at_ns - c.started_at_ns for c in cells)
        between_ns -= sum(round(time.took_s * NS_PER_S) for time in state.device_times.values())
        between_ns -= sum(round(ending.took_s * NS_PER_S) for ending in state.answered.values())
        positions = len(state.fidelity) * state.plan.fidelity_positions
        for model in _find_compared(state):
            history.position_s[model] = max(0, between_ns) / NS_PER_S / positions


def list_memory_errors(state: SessionState) -> list[float]:
    """Return the forecast of memory over the peak, less 1, of each cell that has both."""
    errors = []
    for own in state.cells.values():
        peak = own.peak_bytes
        forecast = memory_fit.forecast_cell(state, own.cell) if peak else None
        if peak and forecast is not None:
            errors.append(forecast.peak_bytes / peak - 1)
    return errors


def _find_compared(state: SessionState) -> set[str]:
    names = {name for name, _ in state.fidelity}
    return {state.cells[name].cell.model for name in names if name in state.cells}
