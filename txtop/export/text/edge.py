"""The edge of `txtop fit` as printed lines: what ran, what did not, and what was expected."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from txtop.analysis import metrics
from txtop.analysis.edge import (
    Axis,
    Edge,
    describe_fixed,
    describe_limit,
    explain_end,
    explain_failure,
    find_edges,
    find_most,
    find_search,
    list_axes,
)
from txtop.analysis.metrics import FinalMetrics
from txtop.export.schema import EXPORT_SCHEMA
from txtop.formatting import (
    format_change,
    format_count,
    format_figure,
    format_gibs,
    format_share,
)
from txtop.plan.plan import EdgeSearch
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState

Prediction = tuple[Axis, int, int, int] | None


def format_edges(state: SessionState, finals: FinalMetrics) -> list[str]:
    """Format both sides of each edge that the session searches."""
    search = find_search(state)
    if search is None:
        return []
    lines: list[str] = []
    for edge in find_edges(state):
        limit, *peaks = format_gibs(edge.limit_bytes, edge.peak_bytes, edge.excess_bytes)
        title = format_title(edge.axis, search)
        if edge.limit_bytes:
            title += f", in {describe_limit(search, edge.limit_bytes, limit)}"
        lines.append(f"{title}:")
        lines += [f"  {line}" for line in _format_sides(state, search, edge, peaks, finals)]
        lines += [f"  {_format_course(state, edge)}", ""]
    return lines[:-1]


def summarise_edges(state: SessionState) -> str:
    """Format the most of each knob that ran, in one line."""
    return "; ".join(
        f"{edge.axis.title} that ran: {edge.axis.format_value(edge.largest.cell)}"
        if edge.largest is not None
        else f"{edge.axis.title}: nothing ran"
        for edge in find_edges(state)
    )


def format_predictions(
    search: EdgeSearch, predictions: Iterable[Prediction], free_bytes: int
) -> str:
    """Format what is predicted for more memory than the `free_bytes` of this machine."""
    lines = []
    for prediction in predictions:
        if prediction is None:
            model = sanitise(search.base.model_name)
            lines.append(f"{model}: its configuration is not here, so nothing can be predicted")
            continue
        axis, steps, needed, beyond = prediction
        sizes = format_gibs(needed, beyond, free_bytes, search.limit_bytes)
        fits_in, takes, free, asked = sizes
        lines.append(f"{format_title(axis, search)}, in {asked} GiB asked for:")
        if steps:
            fits = axis.format_value(axis.build_cell(search, steps))
            lines.append(f"  expected to fit      {fits:<14} {fits_in} GiB")
        if steps >= find_most(search, axis):
            lines.append(f"  expected not to fit  nothing: {explain_end(search, axis)}")
        else:
            value = axis.format_value(axis.build_cell(search, steps + 1))
            lines.append(f"  expected not to fit  {value:<14} {takes} GiB")
        lines.append(f"  a forecast alone: {free} GiB are free here, {asked} GiB were asked for")
    return "\n".join(lines) + "\n"


def export_predictions(
    search: EdgeSearch, predictions: Iterable[Prediction], free_bytes: int
) -> bytes:
    """Export what is predicted for more memory than the `free_bytes` of this machine, as JSON.

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
                "fits": _find_value(search, axis, steps) if steps is not None else None,
                "needed_bytes": needed if steps else None,
                "beyond": None
                if steps is None or is_last
                else _find_value(search, axis, steps + 1),
                "beyond_bytes": None if is_last else beyond,
            }
        )
    body = {
        "schema": f"{EXPORT_SCHEMA}-forecast",
        "model": search.base.model,
        "limit_bytes": search.limit_bytes,
        "free_bytes": free_bytes,
        "forecasts": rows,
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def _find_value(search: EdgeSearch, axis: Axis, steps: int) -> int:
    return axis.read_value(axis.build_cell(search, steps))


def format_title(axis: Axis, search: EdgeSearch) -> str:
    """Format what is searched, as `largest batch of gpt2 fp32, 128 + 32 tokens`."""
    model = f"{axis.title} of {sanitise(search.base.model_name)} {search.base.precision}"
    return f"{model}, {describe_fixed(axis, search)}"


def _format_sides(
    state: SessionState, search: EdgeSearch, edge: Edge, peaks: list[str], finals: FinalMetrics
) -> list[str]:
    """Format what ran with the most and what did not with the least; empty before any probe.

    `peaks` are theirs in GiB.
    """
    lines = []
    took, beyond = (f"{peak} GiB" for peak in peaks)
    if (largest := edge.largest) is not None:
        parts = [took]
        if edge.headroom_bytes is not None and edge.limit_bytes:
            free = edge.headroom_bytes / edge.limit_bytes
            parts.append(f"{format_share(max(0.0, free))} to spare")
        rate = finals.of(largest, state.plan.seed).get(metrics.choose_headline_metric(largest))
        if rate is not None and rate.mean is not None:
            parts.append(f"{format_figure(rate.mean)} {rate.unit}")
        if (error := format_error(state, largest)) is not None:
            parts.append(f"forecast {error}")
        lines.append(f"ran      {edge.axis.format_value(largest.cell):<14} " + "  ".join(parts))
    elif edge.judged:
        lines.append("ran      nothing")
    if (smallest := edge.smallest) is not None:
        why = sanitise(explain_failure(edge))
        why = f"{beyond}  {why}" if edge.excess_bytes is not None else why
        lines.append(f"did not  {edge.axis.format_value(smallest.cell):<14} {why}")
    elif edge.is_found:
        lines.append(f"did not  nothing: {explain_end(search, edge.axis)}")
    if (lost := edge.lost) is not None:
        lines.append(f"failed   {edge.axis.format_value(lost.cell):<14} {sanitise(lost.reason)}")
    if (slow := edge.too_long) is not None:
        lines.append(f"timeout  {edge.axis.format_value(slow.cell):<14} {sanitise(slow.reason)}")
    if (skipped := edge.skipped) is not None:
        lines.append(f"skipped  {edge.axis.format_value(skipped.cell)}")
    return lines


def format_error(state: SessionState, own: CellState) -> str | None:
    """Format by how much the forecast of a probe was off, as `+2 %`; None if unknown."""
    probe, peak = state.probes.get(own.cell.id), own.peak_bytes
    if probe is None or probe.forecast_bytes is None or not peak:
        return None
    return format_change(probe.forecast_bytes / peak - 1, 0)


def _format_course(state: SessionState, edge: Edge) -> str:
    count = format_count(edge.judged, "probe")
    if edge.spread:
        spread = format_count(edge.spread, edge.axis.noun)
        return f"{count}; another search may differ by up to {spread}"
    if edge.is_found:
        return count
    if state.ended is None:
        return f"{count} so far"
    stopped = state.ended.reason == "stopped"
    if not edge.judged:
        is_begun = any(own.over for own in edge.probes.values())
        where = "in its first probe" if is_begun else "before anything ran"
        how = "stopped" if stopped else "skipped" if edge.skipped is not None else "ended"
        return f"{how} {where}"
    if stopped:
        count += ", then stopped"
    elif edge.lost is not None:
        count += ", then one failed"
    elif edge.skipped is not None:
        count += ", then one was skipped"
    elif (edge.smallest or edge.too_long) is not None and not edge.lacks_memory:
        count += "; memory is not what stopped it"
    if edge.lacks_memory:
        return f"{count}: the edge lies {'between' if edge.largest else 'below'}"
    return f"{count}: " + (
        "the edge lies above" if edge.largest else "nothing is known of the edge"
    )
