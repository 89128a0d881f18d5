"""What an A/B amounts to, and what a comparison of outputs does, as the export states it."""

from __future__ import annotations

from txtop.analysis import metrics
from txtop.export.schema import ComparisonExport, FidelityExport
from txtop.protocol.events import Fidelity
from txtop.state import fidelity
from txtop.state.ab import ABTest
from txtop.state.session import SessionState
from txtop.stats import fidelity_bands


def export_comparisons(state: SessionState) -> list[ComparisonExport]:
    """Of each other arm against the first; empty where the session is no A/B."""
    if state.versus is None:
        return []
    p_values = state.versus.p_values()
    return [_export_comparison(state, state.versus, name, p_values[name]) for name in p_values]


def _export_comparison(
    state: SessionState, versus: ABTest, name: str, p: float | None
) -> ComparisonExport:
    first, sequence, look = versus.first.id, versus.sequences[name], versus.look(name)
    said = versus.look(name).n and not versus.explain_no_verdict(name)
    return ComparisonExport(
        a=first,
        b=name,
        metric=_metric(state, versus),
        ratio=look.ratio if said else None,
        ci95=look.interval if said else None,
        fixed_ci95=versus.fixed_interval(name, state.plan.seed) if said else None,
        margin=versus.margin,
        verdict=versus.verdict(name, over=state.ended is not None),
        blocks=sequence.n,
        blocks_discarded=len(versus.rounds) - versus.blocks,
        won=sequence.wins,
        wilcoxon_p=p if said else None,
        fidelity=export_fidelity(state.output_of(name, first)),
        notes=build_comparison_notes(state, versus, name),
    )


def _metric(state: SessionState, versus: ABTest) -> str:
    """The time of one request, or where they are not the same work, its rate."""
    return (
        "e2e_ms"
        if versus.one_work
        else metrics.choose_headline_metric(state.cells[versus.first.id])
    )


def build_comparison_notes(state: SessionState, versus: ABTest, name: str) -> list[str]:
    """What a reader has to know beside the verdict of the arm `name`."""
    said = [why] if (why := versus.explain_no_verdict(name)) else []
    look = versus.look(name)
    if versus.verdict(name) == "equivalent" and versus.sequences[name].excludes_one:
        said.append(f"measurable: {abs(look.ratio - 1):.1%}, inside the margin")
    if look.interval and look.interval[0] > look.interval[1]:
        said.append("looks contradict each other: the machine is not the same throughout")
    if versus.reloaded:
        said.append("indicative: the arms did not fit in memory together, each turn was a load")
    if versus.paired:
        said.append("requests are long, so a block is a pair; the interval assumes normal noise")
    if not said and state.ended and versus.verdict(name) is None and look.n < versus.first_look:
        said.append(f"{look.n} blocks of at least {versus.first_look}: a longer --budget decides")
    said += _kernels(state, versus, name)
    if not versus.one_work:
        said.append("the arms do different work: compared by work done a second")
    reasons = dict.fromkeys(why for each in versus.rounds if not each.kept for why in each.reasons)
    if reasons:
        said.append(f"discarded: {', '.join(reasons)}")
    return said


def _kernels(state: SessionState, versus: ABTest, name: str) -> list[str]:
    """In fp32 attention kernels agree to the floor. In 16 bits they round apart by as much as the
    precision itself costs (SmolLM2-135M, flash against math: KLD 0.0014), and the badge says so."""
    found, mine = state.output_of(name, versus.first.id), state.cells[name].cell
    if found is None or found.kld is None or mine.attention == versus.first.attention:
        return []
    if {mine.precision, versus.first.precision} != {"fp32"} or not found.same_model:
        return []
    times = found.kld / fidelity_bands.compute_floor(found.floor)
    if times <= fidelity_bands.KERNEL_WARNING:
        return []
    return [f"attention kernels of one precision are {times:.0f} times the floor apart"]


def export_fidelity(found: Fidelity | None) -> FidelityExport | None:
    """The figures of a comparison of outputs; null where there was none."""
    if found is None:
        return None
    share = None if found.top1 is None or not found.positions else found.top1 / found.positions
    above = fidelity.get_kld_above_floor(found) is not None
    return FidelityExport(
        reference=found.reference,
        badge=fidelity.compute_badge(found),
        positions=found.positions,
        kld=fidelity.get_kld_above_floor(found),
        kld_stderr=found.kld_stderr if above else None,
        kld_median=found.kld_median if above else None,
        kld_p99=found.kld_p99 if above else None,
        kld_max=found.kld_max if above else None,
        kld_floor=None if found.kld is None else fidelity_bands.compute_floor(found.floor),
        top1=share,
        top1_ci95=None
        if found.top1 is None
        else fidelity_bands.compute_wilson_interval(found.top1, found.positions),
        ppl_ratio=found.perplexity_ratio,
        rms_probability=found.rms_probability,
        first_divergence=found.divergence,
        tokens_written=found.written,
        cosine_pooled=found.cosine_pooled,
        cosine_tokens=found.cosine_tokens,
        cosine_tokens_min=found.cosine_tokens_min,
        input_sha256=found.input_sha256,
        notes=fidelity.build_fidelity_notes(found),
    )
