"""Place a cell under the roofline of its device: MBU, MFU, ceilings, and what bounds it.

Formulas: `stats.roofline` and docs/method.md, "Roofline". A figure needs the recorded peaks of the
device and the recorded geometry of the model; without them there is a reason in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from txtop.analysis import metrics
from txtop.plan import modes
from txtop.plan.cell import Cell
from txtop.protocol.events import AnyEvent, DevicePeaks, Geometry, PhaseExplanation, StepPart
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats import roofline
from txtop.stats.roofline import ACCOUNTING_ERROR, Bound
from txtop.stats.summary import Summary
from txtop.units import NS_PER_S

PeakSource = Literal["measured", "published"]
CeilingFunction = Callable[[SessionState, CellState], float]
# A smaller gain from int8 weights is not worth a hint.
MIN_LIFT = 1.05
# A part of at least this share of a step that moves more than this multiple of the memory's peak
# shows that the peak is wrong: it was measured beside others.
LARGE_PART, DISPROVED_FROM = 0.1, 1.15
LOW_PEAK = "a part of an explained step moved more than the measured peak, which is then too low"


@dataclass(frozen=True)
class RooflinePosition:
    """A cell under the roofline at its rates so far.

    With `error` the accounting is wrong: a share is above 100 %, and `share` and `mbu` are
    withheld.
    """

    source: PeakSource
    """Where the peaks come from: a probe on this machine, or the published ones of the device."""
    ceiling: float | None = None
    """Decode tokens/s (encoder: sequences/s) that the memory alone allows."""
    mbu: float | None = None
    """Percent of the peak memory bandwidth that decoding uses."""
    share: float | None = None
    """Percent of the lower ceiling that is used."""
    bound: Bound | None = None
    """The lower ceiling, if the cell comes near enough to it to be bound by it."""
    lift: float | None = None
    """By which factor int8 weights would raise the ceiling."""
    error: bool = False


class _CeilingUnknown(Exception):
    """A ceiling cannot be computed; the message is the note shown in place of the figure."""


def list_roof_facts(session: SessionState) -> list[AnyEvent]:
    """Return the events of a session that its roofs depend on, whichever cell they are of."""
    return [*session.peaks.values(), *session.explanations.values()]


def is_bandwidth_disproved(session: SessionState, peaks: DevicePeaks) -> bool:
    """Return whether an explained step of the session shows that these peaks are too low."""
    return any(
        _moves_more_than(peaks.bandwidth_bytes_per_s, phase)
        for name, explanation in session.explanations.items()
        if (load := session.cells[name].load) is not None and session.peaks_of(load) is peaks
        for phase in explanation.phases
    )


def _moves_more_than(peak: float, phase: PhaseExplanation) -> bool:
    """Return whether a part moved more than a memory of this peak can.

    Small parts are left out, whose data stay in the caches.
    """
    return any(
        (moved := compute_bytes_per_s(part, ns := get_part_ns(phase, part))) is not None
        and moved > DISPROVED_FROM * peak
        and ns >= LARGE_PART * phase.step_ns
        for part in phase.parts
    )


def get_part_ns(phase: PhaseExplanation, part: StepPart) -> int:
    """Return the time of a part: on a GPU that of its kernels."""
    return part.ns if phase.busy_ns is None else part.device_ns


def compute_bytes_per_s(part: StepPart, ns: int) -> float | None:
    """Return what a part reads and writes over its time; None if that was not counted."""
    if not ns or part.read_bytes is None:
        return None
    return (part.read_bytes + (part.written_bytes or 0)) / (ns / NS_PER_S)


def compute_ceiling_tokens_per_s(session: SessionState, state: CellState) -> float | None:
    """Return the decode tokens/s that memory bandwidth allows at the batch and context of a cell.

    None if that is not known, and for an encoder. Cheap enough for every frame.
    """
    return (
        None if state.family == "encoder" else _try_ceiling(_compute_memory_ceiling, session, state)
    )


def compute_position(
    session: SessionState, state: CellState, mean: Callable[[str], float | None]
) -> RooflinePosition | None:
    """Place a cell by its rates so far, which `mean` returns by the name of a metric.

    None if no ceiling is known.
    """
    memory, prompt = (
        _try_ceiling(_compute_memory_ceiling, session, state),
        _try_ceiling(_compute_prompt_ceiling, session, state),
    )
    peaks = session.peaks_of(state.load) if state.load else None
    if peaks is None or (memory is None and prompt is None):
        return None
    encoder = state.family == "encoder"
    arithmetic = prompt if encoder else _try_ceiling(_compute_arithmetic_ceiling, session, state)
    rate = mean(metrics.choose_headline_metric(state) if encoder else "decode_tokens_per_s")
    share = _compute_percent(rate, _choose_lower(memory, arithmetic))
    error = share is not None and share > 100
    bound: Bound | None = None
    if share is not None and memory is not None and arithmetic is not None and not error:
        bound = roofline.classify_bound(memory, arithmetic, share)
    return RooflinePosition(
        source="published" if peaks.source == "table" else "measured",
        ceiling=memory,
        mbu=None if encoder or error else _compute_percent(rate, memory),
        share=None if error else share,
        bound=bound,
        lift=_estimate_lift(session, state)
        if bound == "memory bandwidth" and not encoder
        else None,
        error=error,
    )


def summarise_utilisation(
    session: SessionState, state: CellState, figures: dict[str, Summary]
) -> dict[str, Summary]:
    """Return `mbu` of decoding and `mfu` of the prefill; for an encoder `mfu` of its forward pass.

    `figures` are the final metrics of the cell. If a ceiling or a rate is not known, the summary
    has no value and a note with the reason.
    """
    if state.family == "encoder":
        ceilings = {"mfu": ("sequences_per_s", _compute_prompt_ceiling)}
    else:
        ceilings = {
            "mbu": ("decode_tokens_per_s", _compute_memory_ceiling),
            "mfu": ("prefill_tokens_per_s", _compute_prompt_ceiling),
        }
    return {
        name: _summarise_share(session, state, figures[rate], compute_ceiling)
        for name, (rate, compute_ceiling) in ceilings.items()
        if rate in figures
    }


def explain_missing_roofs(session: SessionState, state: CellState) -> str:
    """Return which roofs of a cell are not known, and why; empty if both are."""
    roofs = "bandwidth and arithmetic"
    try:
        geometry, peaks = _require_facts(session, state)
        roofs = "arithmetic"
        _get_peak_flops(geometry, peaks)
    except _CeilingUnknown as why:
        return f"no share of {roofs}: {why}"
    return ""


def list_accounting_errors(
    session: SessionState, state: CellState, figures: dict[str, Summary]
) -> list[str]:
    """Return a note for every share of `summarise_utilisation` that exceeds 100 %."""
    shares = summarise_utilisation(session, state, figures)
    return [
        f"{name.upper()}: {ACCOUNTING_ERROR}"
        for name, share in shares.items()
        if ACCOUNTING_ERROR in share.notes
    ]


def _summarise_share(
    session: SessionState, state: CellState, rate: Summary, compute_ceiling: CeilingFunction
) -> Summary:
    try:
        ceiling = compute_ceiling(session, state)
        geometry, peaks = _require_facts(session, state)
    except _CeilingUnknown as why:
        return Summary(unit="%", n=0, notes=[str(why)])
    if compute_ceiling is _compute_memory_ceiling:
        of = f"{peaks.bandwidth_bytes_per_s / 1e9:.4g} GB/s"
    else:
        of = f"{peaks.flops_per_s[geometry.dtype] / 1e9:.4g} GFLOP/s in {geometry.dtype}"
    threads = f", threads: {peaks.threads}" if state.load and state.load.device == "cpu" else ""
    how = "as published" if peaks.source == "table" else f"as measured here{threads}"
    return roofline.compute_utilisation(rate, ceiling, f"of {of} {how}")


def _require_facts(session: SessionState, state: CellState) -> tuple[Geometry, DevicePeaks]:
    """Return the geometry of the model and the peaks of the device.

    Raises `_CeilingUnknown` if they are not recorded or the cell has no roofline. So do all
    functions below that compute a ceiling.
    """
    load = state.load
    if load is None:
        raise _CeilingUnknown("the model was not loaded")
    if state.cell.serving is not None:
        raise _CeilingUnknown("requests of many lengths share a server's steps")
    if load.family == "seq2seq":
        raise _CeilingUnknown("there is no convention for an encoder-decoder")
    peaks = session.peaks_of(load)
    if peaks is None:
        raise _CeilingUnknown("the peaks of the device are not known")
    if load.geometry is None:
        raise _CeilingUnknown("the geometry of the model is not known")
    return load.geometry, peaks


def _compute_memory_ceiling(session: SessionState, state: CellState) -> float:
    """Compute the decode tokens/s that the bandwidth allows.

    For an encoder these are sequences/s, its weights being read once a forward pass.
    """
    geometry, peaks = _require_facts(session, state)
    if is_bandwidth_disproved(session, peaks):
        raise _CeilingUnknown(LOW_PEAK)
    if geometry.step_bytes < peaks.cache_bytes:
        raise _CeilingUnknown("the weights fit into the device's cache")
    demand = _compute_step_bytes(state, geometry, geometry.step_bytes)
    return _require_ceiling(state.cell.batch_size, demand, peaks.bandwidth_bytes_per_s)


def _compute_step_bytes(state: CellState, geometry: Geometry, weights: float) -> float:
    cell = state.cell
    if cell.quantizes_cache or cell.cache == "offloaded":
        raise _CeilingUnknown("the KV cache is not stored in the form in which it is read")
    if geometry.routed and cell.batch_size > 1:
        raise _CeilingUnknown("which experts a batch wakes is not known")
    if state.family == "encoder":
        return weights
    return roofline.compute_decode_bytes(
        weights=weights,
        row=geometry.row_bytes,
        batch=cell.batch_size,
        context=_compute_mean_context(cell, geometry),
        position=roofline.compute_kv_bytes(
            geometry.layers, geometry.kv_heads, geometry.head_dim, geometry.value_bytes
        ),
    )


def _compute_mean_context(cell: Cell, geometry: Geometry) -> float:
    """Return the mean number of cached positions over the decode steps."""
    if cell.new_tokens < 2:
        raise _CeilingUnknown("one new token")
    if cell.speculative != "none":
        raise _CeilingUnknown("a step of speculative decoding has no one size")
    _require_one_length(cell)
    _require_reach(geometry, cell.sequence_length + cell.new_tokens)
    return roofline.compute_mean_context(cell.sequence_length, cell.new_tokens)


def _require_one_length(cell: Cell) -> None:
    """Raise `_CeilingUnknown` for prompts of a file that are not alike in what they ask for."""
    file = cell.prompts
    if file is not None and (file.tokens is None or file.new_tokens is not None):
        raise _CeilingUnknown("the prompts ask for numbers of tokens of their own")
    if file is not None and file.tokens is not None and file.tokens.least != file.tokens.most:
        raise _CeilingUnknown("the prompts have several lengths")


def _require_reach(geometry: Geometry, positions: int) -> None:
    """Raise `_CeilingUnknown` if a sliding window is shorter than the sequence."""
    if geometry.window is not None and positions > geometry.window:
        raise _CeilingUnknown(f"some layers reach back {geometry.window} positions only")


def _compute_arithmetic_ceiling(session: SessionState, state: CellState) -> float:
    """Compute the decode tokens/s that the arithmetic units allow."""
    geometry, peaks = _require_facts(session, state)
    demand = roofline.compute_decode_flops(
        parameters=geometry.position_parameters + geometry.sequence_parameters,
        batch=state.cell.batch_size,
        context=_compute_mean_context(state.cell, geometry),
        layers=geometry.layers,
        attention=geometry.heads * geometry.head_dim,
    )
    return _require_ceiling(state.cell.batch_size, demand, _get_peak_flops(geometry, peaks))


def _compute_prompt_ceiling(session: SessionState, state: CellState) -> float:
    """Compute the prefill tokens/s that the arithmetic units allow; for an encoder sequences/s."""
    geometry, peaks = _require_facts(session, state)
    cell, encoder = state.cell, state.family == "encoder"
    if cell.speculative != "none":
        raise _CeilingUnknown("the first pass of speculative decoding reads drafts, too")
    _require_one_length(cell)
    _require_reach(geometry, cell.sequence_length)
    demand = roofline.compute_prompt_flops(
        position_parameters=geometry.position_parameters,
        sequence_parameters=geometry.sequence_parameters,
        batch=cell.batch_size,
        length=cell.sequence_length,
        layers=geometry.layers,
        attention=geometry.heads * geometry.head_dim,
        square=roofline.FULL if encoder else roofline.CAUSAL,
    )
    work = cell.batch_size * (1 if encoder else cell.sequence_length)
    return _require_ceiling(work, demand, _get_peak_flops(geometry, peaks))


def _get_peak_flops(geometry: Geometry, peaks: DevicePeaks) -> float:
    if geometry.dtype not in peaks.flops_per_s:
        raise _CeilingUnknown(f"the peak of {geometry.dtype} arithmetic is not known")
    return peaks.flops_per_s[geometry.dtype]


def _require_ceiling(work: float, demand: float, peak: float) -> float:
    ceiling = roofline.compute_ceiling(work, demand, peak)
    if ceiling is None:
        raise _CeilingUnknown("the geometry of the model is not known")
    return ceiling


def _estimate_lift(session: SessionState, state: CellState) -> float | None:
    """Return by which factor int8 weights would raise the ceiling of the memory.

    None if that is under `MIN_LIFT`, if the checkpoint or the weights are quantised, for experts,
    which are not converted, and without the compiler on a GPU, where int8 weights are dequantised
    in every call.
    """
    if state.load is not None and state.load.device != "cpu" and state.cell.compile == "none":
        return None
    try:
        geometry, _ = _require_facts(session, state)
        if not _is_plain(state.cell.precision) or geometry.routed:
            return None
        multiplied = geometry.position_parameters + geometry.sequence_parameters
        saved = multiplied * (geometry.value_bytes - 1)
        now = _compute_step_bytes(state, geometry, geometry.step_bytes)
        then = _compute_step_bytes(state, geometry, max(0, geometry.step_bytes - saved))
    except _CeilingUnknown:
        return None
    return now / then if 0 < then * MIN_LIFT < now else None


def _is_plain(precision: str) -> bool:
    """Return whether the weights were never quantised: a dequantised checkpoint has been."""
    return modes.is_dense(precision) and not precision.startswith(modes.DEQUANTISED)


def _try_ceiling(
    compute_ceiling: CeilingFunction, session: SessionState, state: CellState
) -> float | None:
    try:
        return compute_ceiling(session, state)
    except _CeilingUnknown:
        return None


def _compute_percent(rate: float | None, ceiling: float | None) -> float | None:
    return None if rate is None or ceiling is None else 100 * rate / ceiling


def _choose_lower(memory: float | None, arithmetic: float | None) -> float | None:
    """Return the lower of the ceilings that are known."""
    ceilings = [ceiling for ceiling in (memory, arithmetic) if ceiling is not None]
    return min(ceilings, default=None)
