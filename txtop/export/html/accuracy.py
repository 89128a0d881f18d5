"""Draw what speed costs in quality: each faster format by its speed and how far its output is off.

The bands behind the points are those of docs/method.md, "Badges".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from txtop.export.html.svg import get_colour, render_svg, simplify_axes
from txtop.plan import labels
from txtop.protocol.events import Fidelity
from txtop.sanitise import sanitise
from txtop.state import fidelity
from txtop.state.ab import ABTest
from txtop.state.quality import BADGE_ROLES, Quality, get_quality
from txtop.state.session import SessionState
from txtop.stats.fidelity_bands import (
    COSINE_LIMITS,
    FIDELITY_BANDS,
    KLD_LIMITS,
    SIMILARITY_LIMITS,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_POINTS = 12
SIZE_INCHES = (4.2, 2.7)
BAND_ROLES = {"lossless-like": "ok", "minor": "muted", "visible": "warn", "broken": "bad"}


@dataclass(frozen=True)
class AccuracyPoint:
    """A cell by its speed over the reference, and its output against that of the reference."""

    label: str
    speed: float
    quality: Quality

    @property
    def output(self) -> Fidelity:
        assert self.quality.output is not None
        return self.quality.output


def list_accuracy_points(state: SessionState, speeds: Mapping[str, float]) -> list[AccuracyPoint]:
    """Return the arms of an A/B, else the cells of `speeds`, whose outputs could be judged."""
    if state.ab_test is not None:
        pairs = [
            (_label_arm(state.ab_test, name), state.ab_test.look(name).ratio,
             get_quality(state, name, state.ab_test.first.id))
            for name in state.ab_test.sequences
            if state.ab_test.look(name).n and not state.ab_test.explain_no_verdict(name)
        ]  # fmt: skip
    else:
        names = labels.name_apart([cell.cell for cell in state.cells.values()])
        pairs = [(names[cell], speed, get_quality(state, cell)) for cell, speed in speeds.items()]
    return [
        AccuracyPoint(label, speed, own)
        for label, speed, own in pairs
        if own.deciding is not None
        or (own.output is not None and fidelity.compute_badge(own.output) in FIDELITY_BANDS)
    ][:MAX_POINTS]


def _label_arm(ab_test: ABTest, name: str) -> str:
    names, _ = labels.label_arms(ab_test.arms)
    place = next(i for i, arm in enumerate(ab_test.arms) if arm.id == name)
    return f"{ab_test.letter(name)} {names[place]}"


def draw_accuracy(points: Sequence[AccuracyPoint]) -> str:
    """Draw speed against the points that are lost, else against the distance of the output.

    The distance is the KLD in nats, of encoders one of 1 - cosine: one kind, that of the first
    point. Empty without points.
    """
    if answered := [point for point in points if point.quality.deciding is not None]:
        return _draw_points_lost(answered)
    points = [p for p in points if _choose_kind(p.output) == _choose_kind(points[0].output)]
    if not points:
        return ""
    name, limits = _KINDS[_choose_kind(points[0].output)]
    # Equal outputs have no place on a logarithmic axis: they stand at its left end.
    least = limits[0] / 10
    distances = [max(least, _compute_distance(p.output)) for p in points]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        left, right = least / 2, max(4 * max(distances), 10 * limits[-1])
        _draw_bands(axes, [left, *limits, right])
        axes.axhline(1, color=get_colour("muted"), lw=0.8)
        for point, distance in zip(points, distances, strict=True):
            badge = str(fidelity.compute_badge(point.output))
            axes.plot([distance], [point.speed], "o", ms=6, color=get_colour(BAND_ROLES[badge]))
            at_right = distance > (left * right) ** 0.5
            axes.annotate(
                sanitise(f"{point.label} {point.speed:.2f}x", 44),
                (distance, point.speed),
                (-7 if at_right else 7, 0),
                textcoords="offset points",
                ha="right" if at_right else "left",
                va="center",
                fontsize=9,
            )
        axes.set_xlim(left, right)
        speeds = [1.0, *(p.speed for p in points)]
        room = 0.35 * max(max(speeds) - min(speeds), 0.2)
        axes.set_ylim(min(speeds) - room, max(speeds) + room)
        axes.set_xlabel(name)
        axes.set_ylabel("times as fast as A" if points[0].label[1:2] == " " else "times as fast")
        simplify_axes(axes)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:.6f}".rstrip("0").rstrip("."))
        axes.xaxis.set_minor_formatter("")
        axes.tick_params(which="both", length=0)

    description = "speed against how far the output is from that of the reference"
    return render_svg("accuracy", SIZE_INCHES, draw, description)


def _draw_bands(axes: Axes, ends: Sequence[float]) -> None:
    """Draw the bands of the badges, each with its name at the top."""
    for band, low, high in zip(FIDELITY_BANDS, ends[:-1], ends[1:], strict=True):
        colour = get_colour(BAND_ROLES[band])
        axes.axvspan(low, high, color=colour, alpha=0.1, lw=0)
        axes.text(
            (low * high) ** 0.5,
            0.97,
            band.removesuffix("-like"),
            transform=axes.get_xaxis_transform(),
            color=colour,
            fontsize=9,
            ha="center",
            va="top",
        )


_KINDS = {
    "kld": ("KLD, nats", list(KLD_LIMITS)),
    "cosine": ("1 - cosine of tokens", [1 - c for c in COSINE_LIMITS]),
    "similarity": ("1 - rank correlation of similarities", [1 - c for c in SIMILARITY_LIMITS]),
}


def _choose_kind(output: Fidelity) -> str:
    if output.similarity_rank is not None:
        return "similarity"
    return "kld" if output.cosine_tokens is None else "cosine"


def _draw_points_lost(points: Sequence[AccuracyPoint]) -> str:
    """Draw speed against the difference of accuracy, with its interval and the margin."""
    own = [d for point in points if (d := point.quality.deciding) is not None]
    lost_points = [p for point in points if (p := point.quality.points) is not None]
    middle = (min(0.0, *lost_points) + max(0.0, *lost_points)) / 2

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.axhline(1, color=get_colour("muted"), lw=0.8)
        axes.axvline(0, color=get_colour("muted"), lw=0.8)
        axes.axvline(-100 * own[0].margin, color=get_colour("bad"), lw=0.8, ls="--")
        for point, difference, lost in zip(points, own, lost_points, strict=True):
            colour = get_colour(BADGE_ROLES[point.quality.badge])
            if difference.interval is not None:
                ends = [100 * end for end in difference.interval]
                axes.plot(ends, [point.speed] * 2, color=colour, lw=1)
            axes.plot([lost], [point.speed], "o", ms=6, color=colour)
            axes.annotate(
                sanitise(f"{point.label} {point.speed:.2f}x, {difference.task.name}", 44),
                (lost, point.speed),
                (0, 7),
                textcoords="offset points",
                ha="right" if lost > middle else "left",
                fontsize=9,
            )
        speeds = [1.0, *(point.speed for point in points)]
        room = 0.35 * max(max(speeds) - min(speeds), 0.2)
        axes.set_ylim(min(speeds) - room, max(speeds) + room)
        axes.set_xlabel("points of accuracy against the reference, with 95 % interval")
        axes.set_ylabel("times as fast as A" if points[0].label[1:2] == " " else "times as fast")
        simplify_axes(axes)

    return render_svg("accuracy", SIZE_INCHES, draw, "speed against the points that are lost")


def _compute_distance(output: Fidelity) -> float:
    if output.similarity_rank is not None:
        return 1 - output.similarity_rank
    if output.cosine_tokens is not None:
        worse = [c for c in (output.cosine_tokens, output.cosine_pooled) if c is not None]
        return 1 - min(worse)
    return fidelity.get_kld_above_floor(output) or 0.0
