"""A load in its phases: how far each is, and what the last load of this model took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET

from txtop import formatting
from txtop.forecast.history import normalise_cell
from txtop.models import model_config
from txtop.protocol import events
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.units import NS_PER_S

if TYPE_CHECKING:
    from txtop.forecast.history import RunHistory

DOWNLOAD, WEIGHTS = "download", "weights"
# The bars, with the phases of the worker that each stands for.
BARS = (
    (DOWNLOAD, ("resolve",)),
    ("import", ("import",)),
    (WEIGHTS, ("config", "weights", "convert", "to_device")),
    ("first pass", ("first_forward", "compile")),
)
# A phase that takes longer than the last time is not full before it is over.
MOST = 0.97


@dataclass(frozen=True)
class LoadBar:
    """One bar: the filled `share`, None while nobody knows, and seconds or bytes so far.

    `last` is what it took the last time, empty if that is not known.
    """

    label: str
    state: Literal["done", "now", "waits"] = "waits"
    share: float | None = 0.0
    value: str = ""
    last: str = ""


@dataclass(frozen=True)
class LoadingView:
    """The bars of a load, and the whole of it: seconds so far, and those of the last load."""

    bars: tuple[LoadBar, ...]
    so_far: str = ""
    last: str = ""


def find_expected_family(session: SessionState, cell: CellState, cache: FrameCache) -> str | None:
    """Return the family of a cell: as loaded, else as recorded before.

    Of an older recording, which lacks it, the files here tell.
    """
    model, family = cell.cell.model, session.find_family(cell.cell.id)
    if family or (session.header is not None and session.header.expected is not UNSET):
        return family
    return cache.get_or_make(("family", model), model, lambda: model_config.find_family(model))


def build_loading(
    session: SessionState, cell: CellState, past: RunHistory | None
) -> LoadingView | None:
    """Build the bars of a cell that waits or loads; None once it is loaded."""
    if cell.stage not in ("waiting", "loading") or cell.load is not None:
        return None
    spent_s = _sum_phases(session, cell)
    last_s = _find_last_phases(session, cell, past)
    progress = get_current_progress(cell)
    now = next((i for i, (_, phases) in enumerate(BARS) if cell.phase in phases), -1)
    bars = []
    for i, (label, phases) in enumerate(BARS):
        if label == DOWNLOAD and not (cell.progress and cell.progress.what == DOWNLOAD):
            continue
        took_s = sum(spent_s.get(phase, 0.0) for phase in phases)
        before_s = sum(last_s.get(phase, 0.0) for phase in phases)
        bars.append(_build_bar(label, i, now, took_s, before_s, progress))
    whole = sum(s for phase, s in last_s.items() if phase != "resolve")
    complete = any(phase in last_s for phase in ("weights", "first_forward"))
    return LoadingView(
        tuple(bars),
        _format_seconds(sum(spent_s.values())) if spent_s else "",
        _format_seconds(whole) if complete else "",
    )


def _build_bar(
    label: str, i: int, now: int, took_s: float, before_s: float, progress: events.Progress | None
) -> LoadBar:
    last = _format_seconds(before_s) if before_s else ""
    if i > now:
        return LoadBar(label, last=last)
    if i < now:
        return LoadBar(label, "done", 1.0, _format_seconds(took_s), last)
    share = min(MOST, took_s / before_s) if before_s else None
    value = _format_seconds(took_s)
    if progress is not None and progress.total and label in (DOWNLOAD, WEIGHTS):
        # Both only grow: the bar never goes back when the bytes become known.
        share = max(share or 0.0, min(1.0, progress.done / progress.total))
        value = _format_bytes(progress.done, progress.total)
    return LoadBar(label, "now", share, value, last)


def get_current_progress(cell: CellState) -> events.Progress | None:
    """Return the bytes of the phase that a load is in, None if they are of an earlier one."""
    progress = cell.progress
    if progress is None or (progress.what == "load" and cell.phase != "weights"):
        return None
    return progress if progress.what == "download" or progress.total else None


def _sum_phases(session: SessionState, cell: CellState) -> dict[str, float]:
    """Return the seconds of each phase so far; the last one is not over."""
    spent: dict[str, float] = {}
    ends = [*(at for _, at in cell.phase_starts[1:]), session.clock_ns]
    for (name, start), end in zip(cell.phase_starts, ends, strict=False):
        spent[name] = spent.get(name, 0.0) + (end - start) / NS_PER_S
    return spent


def _find_last_phases(
    session: SessionState, cell: CellState, past: RunHistory | None
) -> dict[str, float]:
    """Return the seconds of the phases of the last load of the same weights in the same form.

    Without one it is the import alone, which is the same for every model.
    """
    group = normalise_cell(cell.cell).group
    loads = [
        (normalise_cell(c.cell).group, c.load.phases)
        for c in session.cells.values()
        if c.load is not None and not c.shares_weights
    ]
    loads = [*(past.phases_s.items() if past else ()), *loads]
    for name, phases in reversed(loads):
        if name == group:
            return phases
    return {"import": loads[-1][1].get("import", 0.0)} if loads else {}


def _format_seconds(seconds: float) -> str:
    return f"{formatting.format_number(seconds)} s"


def _format_bytes(done: int, total: int) -> str:
    """Format bytes over bytes in the unit of the whole."""
    whole = formatting.format_size(total)
    part, unit = formatting.format_size(done).split(), whole.split()[-1]
    return f"{part[0] if part[-1] == unit else ' '.join(part)} of {whole}"
