"""Draw a flame graph of a profiled step: what is called from where, each as wide as its time.

Frames with the same calls above them are one, and so are the layers of a model: `h.3` is `h.*`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from txtop.analysis.explanation import PHASE_NAMES
from txtop.formatting import format_figure, format_share
from txtop.plan import labels
from txtop.protocol.events import TraceSlices
from txtop.sanitise import sanitise
from txtop.state.session import SessionState

WIDTH, ROW = 1000, 20
LEAST_WIDTH = 1.0
"""The narrowest frame that is drawn, in units of the picture."""
LETTER = 6.2
MOST_DEPTH = 24
_LAYER = re.compile(r"(?<=\.)\d+(?=\.|$)")
# Modules, operators and the step itself; frames of one colour are told apart by their edges.
_COLOURS = {"step": "var(--grid)", "module": "var(--a)", "operator": "var(--b)"}


@dataclass
class Frame:
    """A frame of the graph, with those that it calls in the order in which they came first."""

    name: str
    ns: int = 0
    calls: int = 0
    inner: dict[str, Frame] = field(default_factory=dict)


def build_frames(trace: TraceSlices) -> Frame:
    """Build the tree of a trace's host slices."""
    slices = sorted(
        ((start, start + ns, place) for place, start, ns, track in trace.slices if track == 0),
        key=lambda one: (one[0], -one[1]),
    )
    end_ns = max((end for _, end, _ in slices), default=0)
    root = Frame(PHASE_NAMES[trace.phase], end_ns, 1)
    stack: list[tuple[int, Frame]] = [(end_ns, root)]
    for start_ns, until_ns, place in slices:
        while len(stack) > 1 and start_ns >= stack[-1][0]:
            stack.pop()
        name = _LAYER.sub("*", trace.names[place])
        frame = stack[-1][1].inner.setdefault(name, Frame(name))
        frame.ns += until_ns - start_ns
        frame.calls += 1
        stack.append((until_ns, frame))
    return root


def draw_flames(state: SessionState) -> list[str]:
    """Return a flame graph for each profiled step of a session."""
    return [
        _draw(build_frames(trace), labels.format_short_label(state.cells[cell].cell))
        for (cell, _), trace in state.traces.items()
        if trace.slices
    ]


def _draw(root: Frame, label: str) -> str:
    boxes = list(_lay_out(root, 0.0, WIDTH / max(1, root.ns), 0))
    height = (1 + max(depth for _, _, _, depth in boxes)) * ROW
    parts = [_draw_box(frame, x, wide, depth, root.ns) for frame, x, wide, depth in boxes]
    title = html.escape(sanitise(f"flame graph of a {root.name} of {label}"))
    return (
        f'<svg class="flame" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">'
        f"{''.join(parts)}</svg><figcaption class=muted>{title}</figcaption>"
    )


def _lay_out(
    frame: Frame, x: float, scale: float, depth: int
) -> Iterator[tuple[Frame, float, float, int]]:
    """Yield every frame that can be seen, with its left edge, its width and its depth."""
    wide = frame.ns * scale
    if wide < LEAST_WIDTH or depth >= MOST_DEPTH:
        return
    yield frame, x, wide, depth
    for inner in frame.inner.values():
        yield from _lay_out(inner, x, scale, depth + 1)
        x += inner.ns * scale


def _draw_box(frame: Frame, x: float, wide: float, depth: int, whole_ns: int) -> str:
    is_module = frame.name.startswith("module:")
    kind = "step" if not depth else "module" if is_module else "operator"
    name = frame.name.removeprefix("module:").removeprefix("aten::") or "model"
    share = format_share(frame.ns / whole_ns, 1) if whole_ns else ""
    told = f"{name}: {format_figure(frame.ns / 1e6)} ms, {share}, {frame.calls} calls"
    room = int((wide - 6) / LETTER)
    shown_name = name if len(name) <= room else name[: room - 1] + "…" if room > 3 else ""
    text = (
        f'<text x="{x + 3:.1f}" y="{depth * ROW + 14}" font-size="11">'
        f"{html.escape(sanitise(shown_name))}</text>"
        if shown_name
        else ""
    )
    return (
        f'<g><title>{html.escape(sanitise(told))}</title><rect x="{x:.1f}" y="{depth * ROW}"'
        f' width="{max(0.5, wide - 0.6):.1f}" height="{ROW - 1}" rx="2"'
        f' fill="{_COLOURS[kind]}"/>{text}</g>'
    )
