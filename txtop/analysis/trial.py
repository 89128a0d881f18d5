"""The advice that was tried: which arms of an A/B helped, by how much, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.analysis.ab_notes import SMALL_RATIO
from txtop.formatting import format_ratio, format_ratio_interval
from txtop.plan import labels
from txtop.state import quality
from txtop.state.ab import ABTest
from txtop.state.session import SessionState


@dataclass(frozen=True)
class HelpfulChange:
    """A change whose interval of the speed lies above 1, and what it costs.

    `output` is the badge of its fidelity; `memory`, `load` and `call` (how long one takes) are
    factors of those of the cell: None where one was not measured, `call` where a call is the same
    work, and the speed says it.
    """

    label: str
    ratio: float
    interval: tuple[float, float]
    output: str
    memory: float | None
    load: float | None
    call: float | None

    @property
    def sentence(self) -> str:
        """Return one line, the speed first, then what it costs."""
        speed = f"{self.ratio:.2f}x"
        interval = format_ratio_interval(*self.interval)
        if self.call is not None:
            speed += " the throughput"
            interval += f"; a call takes {format_ratio(self.call)} as long"
        costs = [f"output {self.output}"]
        if self.memory is not None:
            costs.append(f"{format_ratio(self.memory)} the memory")
        if self.load is not None:
            costs.append(f"{format_ratio(self.load)} the load time")
        return f"{self.label}: {speed} {interval}  {', '.join(costs)}"


def list_helpful_changes(state: SessionState) -> tuple[list[HelpfulChange], int]:
    """Return the arms that are faster than the first, the fastest first, and how many were tried.

    An arm whose interval includes 1 did not help and is left out, however high its ratio; so is one
    that has fewer blocks than its first look that counts, and one that is not `SMALL_RATIO` times
    as fast: each arm is a process, and two of the same program differ by some percent.
    """
    ab_test = state.ab_test
    if ab_test is None:
        return [], 0
    names, _ = labels.label_arms(ab_test.arms)
    label_by_id = {arm.id: name for arm, name in zip(ab_test.arms, names, strict=True)}
    first = state.cells[ab_test.first.id]
    helpful = []
    for name, ratio, interval in _list_faster(ab_test):
        if ratio < SMALL_RATIO and not ab_test.reloaded:
            continue
        own = state.cells[name]
        before, after = first.peak_bytes, own.peak_bytes
        loads = first.load, own.load
        helpful.append(
            HelpfulChange(
                label=label_by_id[name],
                ratio=ratio,
                interval=interval,
                output=quality.format_badge_forms(state, name, ab_test.first.id)[0],
                memory=after / before if before and after else None,
                load=loads[1].load_s / loads[0].load_s if loads[0] and loads[1] else None,
                call=ab_test.compare_calls(name),
            )
        )
    return sorted(helpful, key=lambda change: -change.ratio), len(ab_test.sequences)


def format_trial(state: SessionState) -> list[str]:
    """Return what helped when tried, as lines."""
    helpful, tried = list_helpful_changes(state)
    if not tried:
        return []
    unjudged = _count_unjudged(state)
    if unjudged == tried:
        return [f"tried {tried}: too few blocks to judge any"]
    rest = f"; too few blocks to judge {unjudged}" if unjudged else ""
    slight = len(_list_faster(state.ab_test)) - len(helpful) if state.ab_test is not None else 0
    if slight:
        rest += f"; {slight} too slightly to tell from two equal processes"
    if not helpful:
        return [f"tried {tried}: none is faster here{rest}"]
    heading = f"tried {tried}, faster here: {len(helpful)}{rest}"
    return [heading, *(f"  {change.sentence}" for change in helpful)]


def _list_faster(ab_test: ABTest) -> list[tuple[str, float, tuple[float, float]]]:
    """Return the arms whose interval lies above 1, each with its ratio and its interval.

    An interval before the first look that counts decides nothing.
    """
    faster = []
    for name, sequence in ab_test.sequences.items():
        look = ab_test.look(name)
        if ab_test.explain_no_verdict(name) or not sequence.excludes_one:
            continue
        if look.interval is not None and 1 < look.interval[0] <= look.interval[1]:
            faster.append((name, look.ratio, look.interval))
    return faster


def _count_unjudged(state: SessionState) -> int:
    """Return the arms that had no look that counts, those that failed included."""
    ab_test = state.ab_test
    if ab_test is None:
        return 0
    return sum(sequence.n < sequence.first_look for sequence in ab_test.sequences.values())
