"""Build the parts of the export that state an A/B and a comparison of outputs.

The text form (`export.text.ab`) prints the same notes.
"""

from __future__ import annotations

from txtop.analysis import metrics
from txtop.analysis.ab_notes import build_comparison_notes
from txtop.export.accuracy import export_accuracy
from txtop.export.schema import ComparisonExport, FidelityExport
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
        metric=_choose_metric(state, ab_test, name),
        ratio=look.ratio if has_verdict else None,
        ci95=look.interval if has_verdict else None,
        fixed_ci95=ab_test.fixed_interval(name, state.plan.seed) if has_verdict else None,
        margin=ab_test.margin,
        verdict=ab_test.verdict(name, over=state.is_done),
        blocks=sum(block.kept and name in block.iterations for block in ab_test.blocks),
        blocks_discarded=len(ab_test.blocks) - ab_test.kept_blocks,
        starts=1 if ab_test.starts == 1 else sequence.n,
        won=sequence.wins,
        wilcoxon_p=p if has_verdict else None,
        fidelity=export_fidelity(state.output_of(name, first)),
        accuracy=export_accuracy(state, name, first),
        notes=build_comparison_notes(state, ab_test, name),
    )


def _choose_metric(state: SessionState, ab_test: ABTest, name: str) -> str:
    """Return the metric of the ratio: the time of a request, or a rate if the work differs."""
    return (
        "e2e_ms"
        if ab_test.does_same_work(name)
        else metrics.choose_headline_metric(state.cells[ab_test.first.id])
    )


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
