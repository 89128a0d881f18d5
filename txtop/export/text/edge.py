"""The edge of `txtop fit` as printed lines: what ran, what did not, and what was expected."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from txtop.analysis import metrics
from txtop.analysis.edge import (
    BATCH,
    MAX_SEQUENCES,
    Axis,
    Edge,
    describe_fixed,
    explain_failure,
    find_edges,
    find_most,
    list_axes,
)
from txtop.analysis.metrics import FinalMetrics
from txtop.export.schema import EXPORT_SCHEMA
from txtop.formatting import GIB, MISSING, format_count, format_figure, format_share
from txtop.plan.plan import EdgeSearch
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState

Prediction = tuple[Axis, int, int, int] | None


def format_edges(state: SessionState, finals: FinalMetrics) -> list[str]:
    """Format both sides of each edge that the session searches."""
    search = state.plan.edge_search
    if search is None:
        return []
    lines: list[str] = []
    for edge in find_edges(state):
        lines += [f"{_format_title(edge.axis, search, edge.limit_bytes)}:"]
        lines += [f"  {line}" for line in _format_sides(state, edge, finals)]
        lines += [f"  {_format_course(state, edge)}", ""]
    return lines[:-1]


def format_predictions(search: EdgeSearch, predictions: Iterable[Prediction]) -> str:
    """Format what is predicted for a memory that this machine does not have."""
    lines = []
    for prediction in predictions:
        if prediction is None:
            model = sanitise(search.base.model_name)
            lines.append(f"{model}: its configuration is not here, so nothing can be predicted")
            continue
        axis, steps, needed, beyond = prediction
        lines.append(f"{_format_title(axis, search, search.limit_bytes)}:")
        if steps:
            fits = axis.format_value(axis.build_cell(search, steps))
            lines.append(f"  expected to fit      {fits:<14} {_format_gib(needed)} GiB")
        if steps >= find_most(search, axis):
            lines.append(f"  expected not to fit  nothing: {_explain_end(axis)}")
        else:
            value = axis.format_value(axis.build_cell(search, steps + 1))
            lines.append(f"  expected not to fit  {value:<14} {_format_gib(beyond)} GiB")
        lines.append("  a forecast alone: this machine has less memory than was asked for")
    return "\n".join(lines) + "\n"


def export_predictions(search: EdgeSearch, predictions: Iterable[Prediction]) -> bytes:
    """Export what is predicted for a memory that this machine does not have, as JSON.

    `fits` is None where nothing can be predicted, and `beyond` where the model's own limit ends
    the search.
    """
    rows = []
    for axis, prediction in zip(list_axes(search), predictions, strict=True):
        steps, needed, beyond = prediction[1:] if prediction is not None else (None, None, None)
        is_last = steps is not None and steps >= find_most(search, axis)
        rows.append(
            {
                "knob": axis.field,
                "step": axis.step,
                "fits": steps * axis.step if steps is not None else None,
                "needed_bytes": needed if steps else None,
                "beyond": (steps + 1) * axis.step if steps is not None and not is_last else None,
                "beyond_bytes": None if is_last else beyond,
            }
        )
    body = {
        "schema": f"{EXPORT_SCHEMA}-forecast",
        "model": search.base.model,
        "limit_bytes": search.limit_bytes,
        "forecasts": rows,
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def format_title(axis: Axis, search: EdgeSearch) -> str:
    """Format what is searched, as `largest batch of gpt2 fp32, 128 + 32 tokens`."""
    model = f"{axis.title} of {sanitise(search.base.model_name)} {search.base.precision}"
    return f"{model}, {describe_fixed(axis, search.base)}"


def _format_title(axis: Axis, search: EdgeSearch, limit_bytes: float | None) -> str:
    where = "asked for" if search.asked else "free here"
    room = f", in {_format_gib(limit_bytes)} GiB {where}" if limit_bytes else ""
    return format_title(axis, search) + room


def _format_sides(state: SessionState, edge: Edge, finals: FinalMetrics) -> list[str]:
    lines = []
    if (largest := edge.largest) is not None:
        parts = [f"{_format_gib(largest.peak_bytes)} GiB"]
        if edge.headroom_bytes is not None and edge.limit_bytes:
            free = edge.headroom_bytes / edge.limit_bytes
            parts.append(f"{format_share(max(0.0, free))} to spare")
        rate = finals.of(largest, state.plan.seed).get(metrics.choose_headline_metric(largest))
        if rate is not None and rate.mean is not None:
            parts.append(f"{format_figure(rate.mean)} {rate.unit}")
        if (error := format_error(state, largest)) is not None:
            parts.append(f"forecast {error}")
        lines.append(f"ran      {edge.axis.format_value(largest.cell):<14} " + "  ".join(parts))
    else:
        lines.append("ran      nothing")
    if (smallest := edge.smallest) is not None:
        why = sanitise(explain_failure(edge))
        lines.append(f"did not  {edge.axis.format_value(smallest.cell):<14} {why}")
    elif edge.is_found:
        lines.append(f"did not  nothing: {_explain_end(edge.axis)}")
    return lines


def format_error(state: SessionState, own: CellState) -> str | None:
    """Format by how much the first forecast of a probe was off, as `+2 %`; None if unknown."""
    probe, peak = state.probes.get(own.cell.id), own.peak_bytes
    if probe is None or probe.forecast_bytes is None or not peak:
        return None
    return f"{100 * (probe.forecast_bytes / peak - 1):+.0f} %"


def _format_course(state: SessionState, edge: Edge) -> str:
    count = format_count(len(edge.probes), "probe")
    if edge.spread:
        return f"{count}; an equal search may end up to {edge.spread:,} {edge.axis.unit} away"
    if edge.is_found:
        return count
    if state.ended is None:
        return f"{count} so far"
    return f"{count}: the edge lies between"


def _explain_end(axis: Axis) -> str:
    """Return what ends a search in which all ran."""
    if axis is BATCH:
        return f"a search ends at {MAX_SEQUENCES:,} sequences"
    return "the model's own limit ends the search"


def _format_gib(size: float | None) -> str:
    return MISSING if size is None else format_figure(size / GIB)
