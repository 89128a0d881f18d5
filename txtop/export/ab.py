"""Build the parts of the export that state an A/B and a comparison of outputs.

The text form (`export.text.ab`) prints the same notes.
"""

from __future__ import annotations

import math

from txtop.analysis import contention, metrics, products
from txtop.export.accuracy import export_accuracy
from txtop.export.schema import ComparisonExport, FidelityExport
from txtop.formatting import format_count, format_share
from txtop.protocol.events import Fidelity
from txtop.state import fidelity
from txtop.state.ab import ABTest
from txtop.state.session import SessionState
from txtop.stats import fidelity_bands


def export_comparisons(state: SessionState) -> list[ComparisonExport]:
    """Compare every other arm with the first; empty if the session is not an A/B."""
    if state.ab_test is None:
        return []
    p_values = state.ab_test.p_values()
    return [_export_comparison(state, state.ab_test, name, p_values[name]) for name in p_values]


def _export_comparison(
    state: SessionState, ab_test: ABTest, name: str, p: float | None
) -> ComparisonExport:
    """Compare arm `name` with the first arm; `p` is its p-value, adjusted by Holm.

    If there can be no verdict the figures are None.
    """
    first, sequence, look = ab_test.first.id, ab_test.sequences[name], ab_test.look(name)
    has_verdict = ab_test.look(name).n and not ab_test.explain_no_verdict(name)
    return ComparisonExport(
        a=first,
        b=name,
        metric=_choose_metric(state, ab_test),
        ratio=look.ratio if has_verdict else None,
        ci95=look.interval if has_verdict else None,
        fixed_ci95=ab_test.fixed_interval(name, state.plan.seed) if has_verdict else None,
        margin=ab_test.margin,
        verdict=ab_test.verdict(name, over=state.is_done),
        blocks=sequence.n,
        blocks_discarded=len(ab_test.blocks) - ab_test.kept_blocks,
        won=sequence.wins,
        wilcoxon_p=p if has_verdict else None,
        fidelity=export_fidelity(state.output_of(name, first)),
        accuracy=export_accuracy(state, name, first),
        notes=build_comparison_notes(state, ab_test, name),
    )


def _choose_metric(state: SessionState, ab_test: ABTest) -> str:
    """Return the metric of the ratio: the time of a request, or a rate if the work differs."""
    return (
        "e2e_ms"
        if ab_test.one_work
        else metrics.choose_headline_metric(state.cells[ab_test.first.id])
    )


SMALL_RATIO = 1.05
ONE_START = (
    "each arm is one process, and equal processes differ by up to 3 % for as long as they live:"
    " repeat a difference as small as this"
)


def build_comparison_notes(state: SessionState, ab_test: ABTest, name: str) -> list[str]:
    """Return the notes that a reader needs beside the verdict of the arm `name`."""
    notes = [why] if (why := ab_test.explain_no_verdict(name)) else []
    look = ab_test.look(name)
    if ab_test.verdict(name) == "equivalent" and ab_test.sequences[name].excludes_one:
        notes.append(f"measurable: {format_share(abs(look.ratio - 1), 1)}, inside the margin")
    named = ab_test.verdict(name) in ("faster", "slower") and not ab_test.reloaded
    if named and abs(math.log(look.ratio)) < math.log(SMALL_RATIO):
        notes.append(ONE_START)
    if look.interval and look.interval[0] > look.interval[1]:
        notes.append("results contradict each other: the machine changed during the run")
    if ab_test.reloaded:
        notes.append("indicative: the arms did not fit in memory together, each turn was a load")
    if ab_test.paired:
        notes.append("requests are long, so a block is a pair; the interval assumes normal noise")
    if not notes and state.ended and ab_test.verdict(name) is None and look.n < ab_test.first_look:
        count = f"{format_count(look.n, 'block')} of at least {ab_test.first_look}"
        notes.append(f"{count}: {_advise_more_blocks(state)}")
    notes += _list_kernels(state, ab_test, name)
    notes += filter(None, [products.compare_products(state, ab_test, name)])
    if not ab_test.one_work:
        notes.append("the arms do different work: compared by work done per second")
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


def export_fidelity(event: Fidelity | None) -> FidelityExport | None:
    """Return the figures of a comparison of outputs; None if there was none."""
    if event is None:
        return None
    share = None if event.top1 is None or not event.positions else event.top1 / event.positions
    above = fidelity.get_kld_above_floor(event) is not None
    return FidelityExport(
        reference=event.reference,
        badge=fidelity.compute_badge(event),
        positions=event.positions,
        kld=fidelity.get_kld_above_floor(event),
        kld_stderr=event.kld_stderr if above else None,
        kld_median=event.kld_median if above else None,
        kld_p99=event.kld_p99 if above else None,
        kld_max=event.kld_max if above else None,
        kld_floor=None if event.kld is None else fidelity_bands.compute_floor(event.floor),
        top1=share,
        top1_ci95=None
        if event.top1 is None
        else fidelity_bands.compute_wilson_interval(event.top1, event.positions),
        ppl_ratio=event.perplexity_ratio,
        rms_probability=event.rms_probability,
        first_divergence=event.divergence,
        tokens_written=event.written,
        cosine_pooled=event.cosine_pooled,
        cosine_tokens=event.cosine_tokens,
        cosine_tokens_min=event.cosine_tokens_min,
        sentences=event.sentences,
        cosine_embedding=event.cosine_embedding,
        similarity_rank=event.similarity_rank,
        similarity_rms=event.similarity_rms,
        pooled_by=event.pooled_by,
        unknown=list(event.unknown),
        input_sha256=event.input_sha256,
        notes=fidelity.build_fidelity_notes(event),
    )
