"""Where a cell stands under the roofline of its device: MBU, MFU, ceilings, and what bounds it.

Formulas: `stats.roofline`. What is not recorded is not known here: without the peaks of the device
or the geometry of the model there is a reason in place of a number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from txtop.analysis import metrics
from txtop.plan.cell import Cell
from txtop.protocol.events import DevicePeaks, Geometry
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats import roofline
from txtop.stats.roofline import ACCOUNTING_ERROR, Bound
from txtop.stats.summary import Summary

PeakSource = Literal["measured", "published"]
CeilingFunction = Callable[[SessionState, CellState], float]
MIN_LIFT = 1.05


@dataclass(frozen=True)
class RooflinePosition:
    """A cell as it is now. `mbu`, `mfu` and `share` are percent of what was `measured` here by a
    probe, or `published` of this device. `ceiling` is what the memory alone allows, in tokens/s of
    decoding (an encoder: sequences/s). `share` is how much of the nearer roof is used, and `bound`
    names that roof; `lift` is how many times as high int8 weights would lift the ceiling. With
    `error` that share is above 100 %, and not told; so is an `mfu` above it.
    """

    source: PeakSource
    ceiling: float | None = None
    mbu: float | None = None
    mfu: float | None = None
    share: float | None = None
    bound: Bound | None = None
    lift: float | None = None
    error: bool = False


class _CeilingUnknown(Exception):
    """Why a ceiling is not known."""


def compute_ceiling_tokens_per_s(session: SessionState, state: CellState) -> float | None:
    """Tokens/s of decoding that the memory's bandwidth allows at the batch and context of a cell;
    null where that is not known, and for an encoder. Costs next to nothing."""
    return None if state.family == "encoder" else _try_bound(_memory, session, state)


def compute_position(
    session: SessionState, state: CellState, mean: Callable[[str], float | None]
) -> RooflinePosition | None:
    """Where a cell stands by its rates so far, which `mean` gives by the name of a metric; null
    where no roof is known."""
    memory, prompt = _try_bound(_memory, session, state), _try_bound(_prompt, session, state)
    peaks = session.peaks_of(state.load) if state.load else None
    if peaks is None or (memory is None and prompt is None):
        return None
    encoder = state.family == "encoder"
    arithmetic = prompt if encoder else _try_bound(_arithmetic, session, state)
    rate = mean(metrics.choose_headline_metric(state) if encoder else "decode_tokens_per_s")
    share = _percent(rate, _nearer(memory, arithmetic))
    error = share is not None and share > 100
    mfu = _percent(rate if encoder else mean("prefill_tokens_per_s"), prompt)
    bound: Bound | None = None
    if share is not None and memory is not None and arithmetic is not None and not error:
        bound = roofline.classify_bound(memory, arithmetic, share)
    return RooflinePosition(
        source="published" if peaks.source == "table" else "measured",
        ceiling=memory,
        mbu=None if encoder or error else _percent(rate, memory),
        mfu=None if mfu is not None and mfu > 100 else mfu,
        share=None if error else share,
        bound=bound,
        lift=_lift(session, state) if bound == "memory bandwidth" and not encoder else None,
        error=error,
    )


def summarise_utilisation(
    session: SessionState, state: CellState, found: dict[str, Summary]
) -> dict[str, Summary]:
    """`mbu` of decoding and `mfu` of the prefill from the final metrics `found`; of an encoder
    `mfu` of its forward pass. Null, with the reason, where a ceiling or a rate is not known."""
    if state.family == "encoder":
        asked = {"mfu": ("sequences_per_s", _prompt)}
    else:
        asked = {"mbu": ("decode_tokens_per_s", _memory), "mfu": ("prefill_tokens_per_s", _prompt)}
    return {
        name: _summarise_share(session, state, found[rate], most)
        for name, (rate, most) in asked.items()
        if rate in found
    }


def list_accounting_errors(
    session: SessionState, state: CellState, found: dict[str, Summary]
) -> list[str]:
    """What of `summarise_utilisation` cannot be, for the notes of a cell."""
    shares = summarise_utilisation(session, state, found)
    return [
        f"{name.upper()}: {ACCOUNTING_ERROR}"
        for name, one in shares.items()
        if ACCOUNTING_ERROR in one.notes
    ]


def _summarise_share(
    session: SessionState, state: CellState, rate: Summary, most: CeilingFunction
) -> Summary:
    try:
        ceiling = most(session, state)
        geometry, peaks = _require_facts(session, state)
    except _CeilingUnknown as why:
        return Summary(unit="%", n=0, notes=[str(why)])
    if most is _memory:
        of = f"{peaks.bandwidth_bytes_per_s / 1e9:.4g} GB/s"
    else:
        of = f"{peaks.flops_per_s[geometry.dtype] / 1e9:.4g} GFLOP/s in {geometry.dtype}"
    threads = f", threads: {peaks.threads}" if state.load and state.load.device == "cpu" else ""
    how = "as published" if peaks.source == "table" else f"as measured here{threads}"
    return roofline.compute_utilisation(rate, ceiling, f"of {of} {how}")


def _require_facts(session: SessionState, state: CellState) -> tuple[Geometry, DevicePeaks]:
    """Raises `_CeilingUnknown`, as all below do."""
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


def _memory(session: SessionState, state: CellState) -> float:
    """Tokens/s of decoding that the bandwidth allows; of an encoder sequences/s, its weights being
    read once a forward pass."""
    geometry, peaks = _require_facts(session, state)
    demand = _step_bytes(state, geometry, geometry.step_bytes)
    return _at_most(state.cell.batch_size, demand, peaks.bandwidth_bytes_per_s)


def _step_bytes(state: CellState, geometry: Geometry, weights: float) -> float:
    cell = state.cell
    if geometry.routed and cell.batch_size > 1:
        raise _CeilingUnknown("which experts a batch wakes is not known")
    if state.family == "encoder":
        return weights
    return roofline.compute_decode_bytes(
        weights=weights,
        row=geometry.row_bytes,
        batch=cell.batch_size,
        context=_context(cell, geometry),
        position=roofline.compute_kv_bytes(
            geometry.layers, geometry.kv_heads, geometry.head_dim, geometry.value_bytes
        ),
    )


def _context(cell: Cell, geometry: Geometry) -> float:
    if cell.new_tokens < 2:
        raise _CeilingUnknown("one new token")
    _require_reach(geometry, cell.sequence_length + cell.new_tokens)
    return roofline.compute_mean_context(cell.sequence_length, cell.new_tokens)


def _require_reach(geometry: Geometry, positions: int) -> None:
    if geometry.window is not None and positions > geometry.window:
        raise _CeilingUnknown(f"some layers reach back {geometry.window} positions only")


def _arithmetic(session: SessionState, state: CellState) -> float:
    """Tokens/s of decoding that the arithmetic units allow."""
    geometry, peaks = _require_facts(session, state)
    demand = roofline.compute_decode_flops(
        parameters=geometry.position_parameters + geometry.sequence_parameters,
        batch=state.cell.batch_size,
        context=_context(state.cell, geometry),
        layers=geometry.layers,
        attention=geometry.heads * geometry.head_dim,
    )
    return _at_most(state.cell.batch_size, demand, _flops(geometry, peaks))


def _prompt(session: SessionState, state: CellState) -> float:
    """Prompt tokens/s of the prefill that the arithmetic units allow; of an encoder sequences/s."""
    geometry, peaks = _require_facts(session, state)
    cell, encoder = state.cell, state.family == "encoder"
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
    return _at_most(work, demand, _flops(geometry, peaks))


def _flops(geometry: Geometry, peaks: DevicePeaks) -> float:
    if geometry.dtype not in peaks.flops_per_s:
        raise _CeilingUnknown(f"the peak of {geometry.dtype} arithmetic is not known")
    return peaks.flops_per_s[geometry.dtype]


def _at_most(work: float, demand: float, peak: float) -> float:
    found = roofline.compute_ceiling(work, demand, peak)
    if found is None:
        raise _CeilingUnknown("the geometry of the model is not known")
    return found


def _lift(session: SessionState, state: CellState) -> float | None:
    """How many times as high the memory's ceiling is with int8 weights; null where that is next to
    nothing, where they are int8 by now, and for experts, which are not converted."""
    try:
        geometry, _ = _require_facts(session, state)
        if state.cell.precision.startswith("int8") or geometry.routed:
            return None
        multiplied = geometry.position_parameters + geometry.sequence_parameters
        saved = multiplied * (geometry.value_bytes - 1)
        now = _step_bytes(state, geometry, geometry.step_bytes)
        then = _step_bytes(state, geometry, max(0, geometry.step_bytes - saved))
    except _CeilingUnknown:
        return None
    return now / then if 0 < then * MIN_LIFT < now else None


def _try_bound(most: CeilingFunction, session: SessionState, state: CellState) -> float | None:
    try:
        return most(session, state)
    except _CeilingUnknown:
        return None


def _percent(rate: float | None, most: float | None) -> float | None:
    return None if rate is None or most is None else 100 * rate / most


def _nearer(memory: float | None, arithmetic: float | None) -> float | None:
    known = [each for each in (memory, arithmetic) if each is not None]
    return min(known, default=None)
