"""Build the notes that a reader needs beside the verdict of an A/B, in text and in the exports."""

from __future__ import annotations

import math

from txtop.analysis import contention, products
from txtop.formatting import format_count, format_ratio, format_share
from txtop.state.ab import ABTest
from txtop.state.session import SessionState
from txtop.stats import fidelity_bands
from txtop.stats.sequential import SequentialVerdict

SMALL_RATIO = 1.10
ONE_START = (
    "each arm is one process, and equal processes differ by up to 3 %, with large temporaries by up"
    " to 8 %, for as long as they live: txtop ab --starts 8 measures eight of each"
)


def note_one_start(verdict: SequentialVerdict | None, ratio: float) -> list[str]:
    """Return a note if one process of each arm is too few for a difference as small as this."""
    is_small = abs(math.log(ratio)) < math.log(SMALL_RATIO)
    return [ONE_START] if verdict in ("faster", "slower") and is_small else []


def build_comparison_notes(state: SessionState, ab_test: ABTest, name: str) -> list[str]:
    """Return the notes that a reader needs beside the verdict of the arm `name`."""
    notes = [why] if (why := ab_test.explain_no_verdict(name)) else []
    look = ab_test.look(name)
    if ab_test.verdict(name) == "equivalent" and ab_test.sequences[name].excludes_one:
        notes.append(f"measurable: {format_share(abs(look.ratio - 1), 1)}, inside the margin")
    if ab_test.starts == 1 and not ab_test.reloaded:
        notes += note_one_start(ab_test.verdict(name), look.ratio)
    if look.interval and look.interval[0] > look.interval[1]:
        notes.append("results contradict each other: the machine changed during the run")
    if ab_test.reloaded:
        notes.append("indicative: the arms did not fit in memory together, each turn was a load")
    if ab_test.paired:
        start_s = state.plan.budget_s / ab_test.starts
        why = "requests are long"
        if ab_test.starts > 1:
            why = f"a start has {start_s:.3g} s, not enough for ten whole blocks"
        notes.append(f"{why}, so a block is a pair; the interval assumes normal noise")
    if not notes and state.ended and ab_test.verdict(name) is None and look.n < ab_test.first_look:
        count = f"{format_count(look.n, ab_test.unit)} of at least {ab_test.first_look}"
        notes.append(f"{count}: {_advise_more_blocks(state)}")
    notes += _list_kernels(state, ab_test, name)
    notes += filter(None, [products.compare_products(state, ab_test, name)])
    if not ab_test.does_same_work(name):
        longer = ab_test.compare_calls(name)
        takes = "" if longer is None else f"; a call takes {format_ratio(longer)} as long"
        notes.append(f"the arms do different work: compared by work done per second{takes}")
    if ab_test.busy_blocks:
        taken = contention.describe_blocks(b for b in ab_test.blocks if b.kept)
        count = f"{ab_test.busy_blocks} of {format_count(ab_test.kept_blocks, 'block')}"
        notes.append(f"{contention.BUSY}: {taken}, in {count}")
    discarded = [block for block in ab_test.blocks if not block.kept]
    reasons = dict.fromkeys(why for b in discarded for why in contention.list_other_reasons(b))
    causes = [*reasons, contention.describe_blocks(discarded)]
    if any(causes):
        notes.append(f"discarded: {', '.join(filter(None, causes))}")
    return notes


def _advise_more_blocks(state: SessionState) -> str:
    """Return the step that brings the blocks that are missing."""
    if not state.is_done:
        return "txtop resume measures the rest"
    if state.plan.starts > 1:
        return "more --starts decide"
    return "more --blocks decide" if state.plan.iterations else "a longer --budget decides"


def _list_kernels(state: SessionState, ab_test: ABTest, name: str) -> list[str]:
    """Return a note if the attention kernels of two fp32 arms disagree by more than rounding.

    In fp32 kernels agree to the floor. In 16 bits they round apart by as much as the precision
    itself costs (SmolLM2-135M, flash against math: KLD 0.0014), and the badge says so.
    """
    event, cell = state.output_of(name, ab_test.first.id), state.cells[name].cell
    if event is None or event.kld is None or cell.attention == ab_test.first.attention:
        return []
    if {cell.precision, ab_test.first.precision} != {"fp32"} or not event.same_model:
        return []
    times = event.kld / fidelity_bands.compute_floor(event.floor)
    if times <= fidelity_bands.KERNEL_WARNING:
        return []
    return [f"attention kernels of one precision are {times:.0f} times the floor apart"]
