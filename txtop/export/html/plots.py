"""Draw the plots of the HTML report as inline SVG.

Every function returns an empty string if the session has no data for its plot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from txtop.analysis import knee, metrics
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.ratios import PrecisionRatio
from txtop.export.html.accuracy import SIZE_INCHES
from txtop.export.html.judgement import judge_badge
from txtop.export.html.svg import SERIES_STYLES, get_colour, render_svg, simplify_axes
from txtop.plan import labels
from txtop.plan.knobs import Knob, find_varying, order_knobs
from txtop.sanitise import sanitise
from txtop.state.ab import ABTest
from txtop.state.cell import FAILED_STATUSES, CellState
from txtop.state.session import SessionState, WatchedDevice
from txtop.stats.sequential import Look
from txtop.units import NS_PER_S

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Limits that keep a page small and a plot readable.
MAX_CHARTS = 24
MAX_POINTS = 400
MAX_LINES = 12
WIDE_INCHES = 9.6
_IN_A_LEGEND = order_knobs(without=("new_tokens", "device", "threads", "cache", "weights"))
TELEMETRY_SERIES = (
    ("cpu_percent", "CPU %", 1.0),
    ("ram_used_bytes", "RAM GiB", 2.0**-30),
    ("utilization", "GPU %", 1.0),
    ("memory_used_bytes", "GPU memory GiB", 2.0**-30),
    ("power_w", "power W", 1.0),
    ("temperature_c", "°C", 1.0),
    ("sm_clock_mhz", "clock MHz", 1.0),
)


@dataclass(frozen=True)
class ReportPoint:
    """A cell as a point in a plot over batches, lengths or loads.

    `label` is written beside it. `along` orders the points of a line; None for a point on no line.
    """

    x: float
    y: float
    label: str
    along: float | None


def compute_median(cell: CellState, finals: FinalMetrics, seed: int, name: str) -> float | None:
    """Return the median of metric `name` of a cell; None if it has none."""
    summary = finals.of(cell, seed).get(name)
    return summary.median if summary else None


def draw_lines(
    groups: dict[str, list[ReportPoint]], x: str, y: str, name: str, description: str
) -> str:
    """Draw one line for each group, with a label for assistive technology.

    An axis is logarithmic if its values span more than a factor of eight.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        points = [p for group in groups.values() for p in group]
        for set_scale, values in (
            (axes.set_xscale, [p.x for p in points]),
            (axes.set_yscale, [p.y for p in points]),
        ):
            if max(values) > 8 * min(values):
                set_scale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
            if axis.get_scale() == "log":
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        for number, (label, group) in enumerate(groups.items()):
            role, marker = SERIES_STYLES[number % len(SERIES_STYLES)]
            line = sorted((p.along, p.x, p.y) for p in group if p.along is not None)
            loose = [(p.x, p.y) for p in group if p.along is None]
            look: dict[str, Any] = {"marker": marker, "color": get_colour(role)}
            axes.plot([x for _, x, _ in line], [y for *_, y in line], label=label, **look)
            axes.plot([x for x, _ in loose], [y for _, y in loose], ls="none", **look)
            for p in group:
                axes.annotate(p.label, (p.x, p.y), (4, 5), textcoords="offset points", fontsize=7.5)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.tick_params(length=0, which="both")
        if len(groups) > 1:
            axes.legend(fontsize=8)

    return render_svg(name, (WIDE_INCHES / 2, 3.2), draw, description)


def draw_tradeoff(state: SessionState, finals: FinalMetrics) -> str:
    """Draw throughput against latency over batch sizes, one line a precision."""
    cells = [c for c in state.cells.values() if c.status == "ok" and c.cell.serving is None]
    if len({c.cell.batch_size for c in cells}) < 2:
        return ""
    differ = _find_legend(cells, "batch_size")
    groups: dict[str, list[ReportPoint]] = {}
    unit = ""
    for cell in cells:
        name = metrics.choose_headline_metric(cell)
        time_ms = compute_median(cell, finals, state.plan.seed, "e2e_ms")
        rate = compute_median(cell, finals, state.plan.seed, name)
        if time_ms and rate:
            unit = unit or metrics.ITERATION_METRICS[name][0]
            batch = cell.cell.batch_size
            at = ReportPoint(time_ms, rate, str(batch), batch)
            groups.setdefault(_describe_series(cell, differ), []).append(at)
    if not groups:
        return ""
    description = "throughput against latency, a point a batch size"
    return draw_lines(
        limit_groups(groups), "latency of a request, ms", unit, "tradeoff", description
    )


def draw_lengths(state: SessionState, finals: FinalMetrics) -> str:
    """Draw the time of a request against the sequence length, one line a model and precision."""
    cells = [c for c in state.cells.values() if c.status == "ok" and c.cell.serving is None]
    if len({c.cell.sequence_length for c in cells}) < 2:
        return ""
    differ = _find_legend(cells, "sequence_length")
    groups: dict[str, list[ReportPoint]] = {}
    for cell in cells:
        time_ms = compute_median(cell, finals, state.plan.seed, "e2e_ms")
        if time_ms:
            label = _describe_series(cell, differ)
            length = cell.cell.sequence_length
            groups.setdefault(label, []).append(ReportPoint(length, time_ms, "", length))
    if not groups:
        return ""
    description = "time of a request against the length of its prompt"
    return draw_lines(
        limit_groups(groups), "prompt tokens", "time of a request, ms", "lengths", description
    )


def _find_legend(cells: Sequence[CellState], axis: str) -> list[Knob]:
    """Return the knobs that tell the lines of `cells` from each other, except that of `axis`."""
    return [k for k in find_varying([c.cell for c in cells], _IN_A_LEGEND) if k.field != axis]


def _describe_series(cell: CellState, differ: Sequence[Knob]) -> str:
    """Return a cell's values of the knobs that differ."""
    values = [
        str(k.of(cell.cell)) if k.field == "compile" else k.note(k.of(cell.cell)) for k in differ
    ]
    return sanitise(" ".join(values) or cell.cell.precision, 40)


def limit_groups(groups: dict[str, list[ReportPoint]]) -> dict[str, list[ReportPoint]]:
    """Return the first `MAX_LINES` groups."""
    return dict(list(groups.items())[:MAX_LINES])


def draw_forest(ratios: Sequence[PrecisionRatio], margin: float) -> str:
    """Draw each ratio with its interval, beside one and the margin around it."""
    drawn = [r for r in ratios if r.contrast.ratio is not None][:MAX_CHARTS]
    if not drawn:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.axvspan(1 / (1 + margin), 1 + margin, color=get_colour("grid"), lw=0)
        axes.axvline(1, color=get_colour("muted"), lw=0.8)
        for y, ratio in enumerate(reversed(drawn)):
            contrast = ratio.contrast
            clear = contrast.verdict in ("faster", "slower")
            role = "b" if contrast.verdict == "faster" else "bad" if clear else "muted"
            # A gain whose output is worth less is none: it has the colour of its badge.
            if clear and (spoilt := judge_badge(ratio.output)):
                role = spoilt
            if contrast.ci95:
                axes.plot(
                    contrast.ci95, [y, y], color=get_colour(role), lw=2, solid_capstyle="butt"
                )
            axes.plot([contrast.ratio or 1.0], [y], "o", color=get_colour(role))
        names = [sanitise(f"{r.label}: {r.output}", 90) for r in reversed(drawn)]
        axes.set_yticks(range(len(drawn)), names)
        axes.set_ylim(-0.7, len(drawn) - 0.3)
        axes.set_xlabel("times as fast, medians compared")
        simplify_axes(axes)
        axes.grid(axis="x", visible=True)
        axes.grid(axis="y", visible=False)

    description = "speed of each precision over the reference, with its 95 % interval"
    return render_svg("forest", (WIDE_INCHES, 0.7 + 0.28 * len(drawn)), draw, description)


def draw_funnel(ab_test: ABTest, name: str) -> str:
    """Draw the interval of one comparison after every block, beside one and the margin."""
    looks = [look for look in ab_test.sequences[name].looks if look.interval is not None]
    if not looks or ab_test.explain_no_verdict(name):
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.axhspan(1 / (1 + ab_test.margin), 1 + ab_test.margin, color=get_colour("grid"), lw=0)
        axes.axhline(1, color=get_colour("muted"), lw=0.8)
        for role in ("muted", "text", "a", "b"):
            drawn = [look for look in looks if _choose_look_role(ab_test, look) == role]
            blocks = [look.n for look in drawn]
            ends = [look.interval for look in drawn if look.interval is not None]
            axes.vlines(blocks, [e[0] for e in ends], [e[1] for e in ends], color=get_colour(role))
            axes.plot(blocks, [look.ratio for look in drawn], "o", color=get_colour(role), ms=3)
        axes.set_xlabel(ab_test.unit)
        axes.set_ylabel(
            f"{ab_test.letter(name)} / {ab_test.letter(ab_test.first.id)}, times as fast"
        )
        simplify_axes(axes)

    description = f"ratio of speeds and its 95 % interval after every {ab_test.unit}"
    return render_svg(f"funnel-{name}", SIZE_INCHES, draw, description)


def _choose_look_role(ab_test: ABTest, look: Look) -> str:
    """Return the colour of a look: the faster arm's once the interval is clear of the band."""
    if look.n < ab_test.first_look or look.interval is None:
        return "muted"
    low, high = look.interval
    return "b" if low > 1 + ab_test.margin else "a" if high * (1 + ab_test.margin) < 1 else "text"


def draw_telemetry(state: SessionState) -> str:
    """Draw the telemetry over the session's time, under a strip of its cells."""
    rows: list[tuple[str, WatchedDevice, str, float]] = []
    for name, device in state.devices.items():
        if name.startswith("process:"):
            continue
        for series, label, factor in TELEMETRY_SERIES:
            readings = device.series.get(series)
            if readings and any(v == v for v in readings[1]):
                where = "" if name == "host" else f"{sanitise(device.label or name, 24)} "
                rows.append((f"{where}{label}", device, series, factor))
    rows = rows[:MAX_LINES]
    if not rows:
        return ""

    def draw(figure: Figure) -> None:
        heights = [0.35, *[1.0] * len(rows)]
        axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        _draw_cell_strip(axes[0], state)
        for at, (label, device, series, factor) in zip(axes[1:], rows, strict=True):
            times, values = device.series[series]
            x, y = _thin_points(times, values, factor)
            at.plot(x, y, color=get_colour("plot"), lw=1)
            at.set_title(label)
            at.set_ylim(bottom=0)
            simplify_axes(at)
        axes[-1].set_xlabel("seconds")

    return render_svg(
        "telemetry", (WIDE_INCHES, 0.9 + 0.85 * len(rows)), draw, "the machine during the session"
    )


def _draw_cell_strip(axes: Axes, state: SessionState) -> None:
    """Draw when each cell ran: loading muted, measuring in the accent, failed in its colour."""
    # One artist for all bars of a colour: one for each bar takes seconds for a thousand cells.
    bars: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for cell in state.cells.values():
        if not cell.worker:
            continue
        end = cell.ended_at_ns or state.clock_ns
        measured = cell.measured_from_ns or end
        failed = cell.status in FAILED_STATUSES
        # Arms of an A/B share the time: one that is measured goes before one that loads.
        parts = [(cell.started_at_ns, measured, "grid", 1), (measured, end, "a", 2)]
        for start, stop, role, z in parts:
            bar = (start / NS_PER_S, (stop - start) / NS_PER_S)
            bars.setdefault(("bad" if failed else role, z), []).append(bar)
    for (role, z), spans in bars.items():
        axes.broken_barh(spans, (-0.4, 0.8), facecolors=get_colour(role), lw=0, zorder=z)
    axes.set_yticks([])
    axes.set_title("cells: loading and warming, measured")
    simplify_axes(axes)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _thin_points(
    times: Sequence[int], values: Sequence[float], factor: float
) -> tuple[list[float], list[float]]:
    """Return the readings as (x, y), thinned to at most `MAX_POINTS`.

    Of every stretch the lowest and the highest reading stay, so that no peak is lost.
    """
    read = [(t / NS_PER_S, v * factor) for t, v in zip(times, values, strict=True)]
    if len(read) > MAX_POINTS:
        size = -(-len(read) * 2 // MAX_POINTS)
        kept: list[tuple[float, float]] = []
        for i in range(0, len(read), size):
            part = [p for p in read[i : i + size] if p[1] == p[1]] or read[i : i + 1]
            lowest, highest = min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])
            kept += sorted({lowest, highest})
        read = kept
    return [t for t, _ in read], [v for _, v in read]


def draw_iterations(state: SessionState, finals: FinalMetrics) -> list[str]:
    """Draw the headline of each cell over its iterations, or E2E over its requests.

    Warm-up is muted, and what counts is in the accent.
    """
    cells = [c for c in state.cells.values() if len(c.samples) > 1][:MAX_CHARTS]
    names = labels.name_apart([cell.cell for cell in cells])
    return [
        _draw_cell_iterations(cell, names[cell.cell.id], finals, state.plan.seed, i)
        for i, cell in enumerate(cells)
    ]


def _draw_cell_iterations(
    cell: CellState, title: str, finals: FinalMetrics, seed: int, number: int
) -> str:
    served = cell.cell.serving is not None
    name = "e2e_ms" if served else metrics.choose_headline_metric(cell)
    kept = cell.samples.kept()
    start = finals.steady(cell, seed).start
    counts = set(kept[start:])
    every = -(-len(cell.samples) // MAX_POINTS)
    points = [
        (i, v, i in counts)
        for i in range(1, len(cell.samples), every)
        if (v := metrics.compute_value(cell, name, i)) is not None
    ]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for role, is_counted in (("muted", False), ("a", True)):
            some = [(i, v) for i, v, counted in points if counted is is_counted]
            x, y = [i for i, _ in some], [v for _, v in some]
            axes.plot(x, y, ".", ms=3, color=get_colour(role))
        values = sorted(v for _, v, counted in points if counted) or [v for _, v, _ in points]
        if values:
            axes.set_ylim(0, 1.25 * values[-1])
        axes.set_title(sanitise(title, 46), fontsize=7.5)
        axes.locator_params(axis="x", integer=True)
        axes.set_ylabel("E2E ms" if served else metrics.ITERATION_METRICS[name][0])
        simplify_axes(axes)

    over = "E2E of its requests" if served else "over its iterations"
    description = f"{sanitise(labels.format_short_label(cell.cell), 60)} {over}"
    return render_svg(f"iterations-{number}", (WIDE_INCHES / 3, 1.7), draw, description)


def draw_load_curve(state: SessionState, finals: FinalMetrics) -> str:
    """Draw E2E against requests answered per second, one line a server with two loads or more.

    Closed-loop clients are on no line: a client that waits for its answer does not queue.
    """
    servers: dict[str, list[ReportPoint]] = {}
    for cell in state.cells.values():
        if cell.cell.serving is None or cell.status != "ok":
            continue
        time_ms = compute_median(cell, finals, state.plan.seed, "e2e_ms")
        rate = knee.compute_answered_rate(cell)
        if time_ms and rate:
            asked = cell.cell
            name = f"{asked.model_name} {asked.precision} {asked.scenario}"
            load = asked.offered.removeprefix(f"{asked.scenario} ")
            at = ReportPoint(rate, time_ms, load, knee.compute_offered_rate(cell))
            servers.setdefault(sanitise(name, 40), []).append(at)
    if all(len(points) < 2 for points in servers.values()):
        return ""
    description = "E2E of requests against how many were answered per second, a line a server"
    return draw_lines(
        limit_groups(servers),
        "requests answered per second",
        "E2E of a request, ms",
        "curve",
        description,
    )
