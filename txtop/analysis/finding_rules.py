"""The rules of findings: a table of predicates on facts, each with its threshold and its reason.

A new rule is an entry of `RULES`. The cost of a judgement is the time of a request that could be
saved at most, so that findings of different kinds can be ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from txtop.analysis import contention, roofline
from txtop.analysis.finding_facts import PRODUCTS, Facts
from txtop.analysis.metrics import summarise_live
from txtop.formatting import format_count, format_share, format_size
from txtop.plan.cell import GRAPH_COMPILES
from txtop.system.throttle import decode_reasons

Changes = tuple[Mapping[str, Any], ...]

HOST_FROM = 0.35
IDLE_FROM = 0.5
PADDING_FROM = 0.1
CACHE_FROM = 0.05
COPIED_FROM = 1 << 20
CONVERTED_FROM = 1 << 20
SCORES_FROM = 0.1
PRODUCTS_FROM = 0.5
LOOP_FROM = 0.1
BANDWIDTH_FROM = 60.0
THROTTLED_FROM = 0.1
COLD_FROM_S = 2.0
_CONVERSIONS = tuple(
    f"aten::{name}" for name in ("to", "_to_copy", "copy_", "mul", "dequantize", "sub", "add")
)
_SCORES = tuple(
    f"aten::{name}"
    for name in ("bmm", "baddbmm", "_softmax", "softmax", "mul", "add", "div", "masked_fill_")
)


@dataclass(frozen=True)
class Judgement:
    """The verdict of a rule on a cell: its cost in ns of a request, and the evidence of it.

    The cost is None where none can be stated, and of a roof that is reached. `changes` are what may
    help, the knobs of each that differ from those of the cell.
    """

    cost_ns: float | None
    evidence: str
    changes: Changes = ()


@dataclass(frozen=True)
class Rule:
    """A rule: its name, what it says, its threshold as a sentence, and its judgement.

    `judge` returns None where the rule does not hold.
    """

    name: str
    title: str
    threshold: str
    judge: Callable[[Facts], Judgement | None]


def _judge_launches(facts: Facts) -> Judgement | None:
    if facts.on_gpu:
        idle_ns = facts.sum_idle_ns()
        if idle_ns < IDLE_FROM * facts.request_ns or facts.cell.compile in GRAPH_COMPILES:
            return None
        launches = facts.main.launches
        count = "the launches of" if launches is None else f"{launches:.0f} launches"
        evidence = (
            f"the GPU waits {format_share(idle_ns / facts.request_ns)} of the time for"
            f" {count} a step"
        )
        return Judgement(idle_ns, evidence, _suggest_compilation(facts, "reduce-overhead"))
    host_ns = facts.sum_python_ns()
    if host_ns < HOST_FROM * facts.request_ns or facts.cell.compile != "none":
        return None
    calls = sum(part.calls for part in facts.main.parts)
    evidence = (
        f"{format_share(host_ns / facts.request_ns)} of the time is Python between"
        f" {calls:.0f} operators a step"
    )
    return Judgement(host_ns, evidence, _suggest_compilation(facts, "default"))


def _suggest_compilation(facts: Facts, mode: str) -> Changes:
    return _compile(facts, mode), {"batch_size": 8 * facts.cell.batch_size}


def _compile(facts: Facts, mode: str) -> Mapping[str, Any]:
    """Return the knobs of compiling, with a static cache unless the model has none."""
    cache = {} if facts.state.family == "encoder" else {"cache": "static"}
    return {"compile": mode, **cache}


def _judge_synchronisation(facts: Facts) -> Judgement | None:
    layers = facts.count_reads_in_layers()
    if not layers:
        return None
    phase = facts.explanation.phases[-1]
    waited_ns = sum((one.waits_ns or 0) * steps for one, steps in facts.weighted)
    reading_ns = facts.sum_operators_ns(("aten::item", "aten::_local_scalar_dense"))
    place = "" if not phase.sync_sites else f", as in {phase.sync_sites[-1]}"
    price = "" if facts.on_gpu else "; a CPU has nothing to wait for, a GPU has"
    evidence = (
        f"the host reads {phase.synchronisations:.0f} values a step,"
        f" in {format_count(layers, 'layer module')}{place}{price}"
    )
    return Judgement(max(waited_ns, reading_ns), evidence)


def _judge_padding(facts: Facts) -> Judgement | None:
    share = facts.explanation.padded_share
    if share < PADDING_FROM:
        return None
    evidence = f"{format_share(share)} of the positions of the prompt are padding"
    smaller: Changes = ({"batch_size": 1},) if facts.cell.batch_size > 1 else ()
    return Judgement(share * facts.request_ns, evidence, smaller)


def _judge_cache(facts: Facts) -> Judgement | None:
    phase = facts.decode
    if phase is None or facts.cell.cache != "dynamic":
        return None
    steps = next(steps for one, steps in facts.weighted if one is phase)
    part = next((part for part in phase.parts if part.kind == "cache"), None)
    if part is None:
        return None
    # Without the Python around it, which every cache has.
    ns = part.device_ns if phase.busy_ns is not None else part.operators_ns
    copied = part.written_bytes
    if ns < CACHE_FROM * phase.step_ns or (copied is not None and copied < COPIED_FROM):
        return None
    written = format_size(copied) if copied else "all of it"
    evidence = f"{format_share(ns / phase.step_ns)} of a decode step copies the KV cache: {written}"
    return Judgement(ns * steps, evidence, ({"cache": "static"},))


def _judge_conversion(facts: Facts) -> Judgement | None:
    converted = max(phase.converted_bytes for phase in facts.explanation.phases)
    if converted < CONVERTED_FROM:
        return None
    cost_ns = facts.sum_operators_ns(_CONVERSIONS, ("attention", "mlp", "head"))
    evidence = f"each step turns weights into {format_size(converted)} of floats before products"
    compiled = (_compile(facts, "default"),) if facts.cell.compile == "none" else ()
    dense = {"precision": "bf16" if facts.has_fast_bf16 else "fp32"}
    return Judgement(cost_ns, evidence, (*compiled, dense))


def _judge_kernel(facts: Facts) -> Judgement | None:
    kernel = facts.explanation.attention
    if kernel not in ("eager", "math") or facts.cell.compile != "none":
        return None
    scores_ns = facts.sum_operators_ns(_SCORES, ("attention",))
    if scores_ns < SCORES_FROM * facts.request_ns:
        return None
    evidence = (
        f"{kernel} attention takes {format_share(scores_ns / facts.request_ns)} of the time for"
        f" scores of {facts.cell.sequence_length:,} positions"
    )
    return Judgement(scores_ns, evidence, ({"attention": "sdpa"},))


def _judge_precision(facts: Facts) -> Judgement | None:
    if facts.cell.precision != "fp32" or not facts.has_fast_bf16:
        return None
    products_ns = facts.sum_operators_ns(PRODUCTS)
    if products_ns < PRODUCTS_FROM * facts.request_ns:
        return None
    evidence = (
        f"{format_share(products_ns / facts.request_ns)} of the time multiplies fp32 matrices,"
        " and this device has units for bf16"
    )
    return Judgement(products_ns / 2, evidence, ({"precision": "bf16"},))


def _judge_threads(facts: Facts) -> Judgement | None:
    threads, cores = facts.explanation.threads, facts.explanation.cores
    if facts.on_gpu or not threads or not cores:
        return None
    products_ns = facts.sum_operators_ns(PRODUCTS)
    if products_ns < PRODUCTS_FROM * facts.request_ns:
        return None
    evidence = (
        f"{format_count(threads, 'thread')} on {format_count(cores, 'core')}, and"
        f" {format_share(products_ns / facts.request_ns)} of the time multiplies matrices"
    )
    if 2 * threads <= cores:
        cost_ns = products_ns * (1 - threads / cores)
    elif threads > cores:
        cost_ns = facts.request_ns * (1 - cores / threads)
    else:
        return None
    if facts.is_disturbed:
        # The cores that the model leaves idle may be those that others used.
        evidence += "; others used the machine meanwhile, so no number of threads is advised"
        return Judgement(None, evidence)
    return Judgement(cost_ns, evidence, ({"threads": cores},))


def _judge_loop(facts: Facts) -> Judgement | None:
    cost_ns = sum(
        part.ns * steps
        for phase, steps in facts.weighted
        for part in phase.parts
        if part.kind in ("loop", "sampling")
    )
    if cost_ns < LOOP_FROM * facts.request_ns or facts.state.family == "encoder":
        return None
    evidence = f"{format_share(cost_ns / facts.request_ns)} of the time passes outside the model"
    return Judgement(cost_ns, evidence, ({"batch_size": 8 * facts.cell.batch_size},))


def _judge_compiler(facts: Facts) -> Judgement | None:
    breaks, again = facts.explanation.graph_breaks, facts.explanation.recompilations
    if facts.cell.compile == "none" or not (breaks or again):
        return None
    again_text = format_count(again, "recompilation")
    evidence = f"{format_count(breaks, 'graph break')}, {again_text} while it ran"
    return Judgement(facts.sum_python_ns(), evidence, ({"compile": "none"},))


def _judge_clocks(facts: Facts) -> Judgement | None:
    load = facts.load
    device = facts.session.gpu(load.device_id) if load is not None else None
    if device is None:
        return None
    series = facts.session.devices[device].series.get("throttle_reasons")
    if series is None:
        return None
    state = facts.state
    readings = [
        decode_reasons(bits)
        for at_ns, bits in zip(*series, strict=True)
        if state.measured_from_ns <= at_ns <= state.measured_to_ns
    ]
    held = [[*severe, *mild] for severe, mild in readings if severe or "power cap" in mild]
    if len(held) < max(1, THROTTLED_FROM * len(readings)):
        return None
    share = len(held) / len(readings)
    evidence = f"the clock was held down in {format_share(share)} of the readings: {held[-1][0]}"
    return Judgement(0.1 * share * facts.request_ns, evidence)


def _judge_neighbour(facts: Facts) -> Judgement | None:
    if not contention.is_busy(facts.state):
        return None
    return Judgement(None, contention.describe_busy_cell(facts.state))


def _judge_bandwidth(facts: Facts) -> Judgement | None:
    position = roofline.compute_position(
        facts.session, facts.state, lambda name: summarise_live(facts.state, name).mean
    )
    if position is None or position.mbu is None or position.mbu < BANDWIDTH_FROM:
        return None
    evidence = f"decoding moves {position.mbu:.0f} % of the bytes that the memory can: a roof"
    lighter: Changes = ()
    if facts.cell.precision == "fp32":
        lighter = ({"precision": "bf16"},)
    elif not facts.cell.precision.startswith("int8"):
        lighter = ({"precision": "int8"},)
    return Judgement(None, evidence, lighter)


def _judge_loading(facts: Facts) -> Judgement | None:
    load = facts.load
    seconds = load.phases.get("weights", 0.0) if load is not None else 0.0
    if load is None or load.page_cache != "cold" or seconds < COLD_FROM_S:
        return None
    rate = load.weight_bytes / seconds / 1e9
    return Judgement(None, f"weights came from the disk at {rate:.2g} GB/s, in {seconds:.1f} s")


RULES = (
    Rule(
        "launch-bound",
        "launch-bound",
        f"Reported when a GPU waits for {format_share(IDLE_FROM)} of the time or more, or when"
        f" Python takes {format_share(HOST_FROM)} of it on a CPU.",
        _judge_launches,
    ),
    Rule(
        "synchronisation",
        "a synchronisation in each layer",
        "Reported when any layer reads a value back: generate() itself needs one a step.",
        _judge_synchronisation,
    ),
    Rule(
        "padding",
        "padding",
        f"Reported when {format_share(PADDING_FROM)} of the prompt or more is padding: less makes"
        " no visible difference.",
        _judge_padding,
    ),
    Rule(
        "cache-copies",
        "the cache is copied in each step",
        f"Reported when the copies take {format_share(CACHE_FROM)} of a decode step or more, and"
        f" move at least {format_size(COPIED_FROM)}: a dynamic cache always copies a little.",
        _judge_cache,
    ),
    Rule(
        "dequantisation",
        "dequantisation in each call",
        f"Reported when a step converts {format_size(CONVERTED_FROM)} or more: anything smaller is"
        " scales and masks.",
        _judge_conversion,
    ),
    Rule(
        "kernel",
        "the attention kernel is not a fused one",
        f"Reported when the scores take {format_share(SCORES_FROM)} of the time or more: a short"
        " prompt needs no fused kernel.",
        _judge_kernel,
    ),
    Rule(
        "precision",
        "fp32 where bf16 is fast",
        f"Reported when matrix products take {format_share(PRODUCTS_FROM)} of the time or more; the"
        " cost assumes that bf16 halves them.",
        _judge_precision,
    ),
    Rule(
        "threads",
        "threads do not match the cores",
        "Reported when at least half of the cores are left idle, or there are more threads than"
        f" cores, and matrix products take {format_share(PRODUCTS_FROM)} of the time or more.",
        _judge_threads,
    ),
    Rule(
        "loop",
        "the loop around the model",
        f"Reported when {format_share(LOOP_FROM)} of the time or more is spent outside the model.",
        _judge_loop,
    ),
    Rule(
        "compiler",
        "graph breaks, recompilations",
        "Reported when there is even one: a warmed-up cell compiles nothing.",
        _judge_compiler,
    ),
    Rule(
        "clocks",
        "the clock is held down",
        f"Reported when it was held down in {format_share(THROTTLED_FROM)} of the readings or more;"
        " the cost assumes that a tenth of the speed is lost meanwhile.",
        _judge_clocks,
    ),
    Rule(
        "neighbour",
        "a neighbour on the machine",
        "Reported when blocks that count were measured while others used the processor.",
        _judge_neighbour,
    ),
    Rule(
        "bandwidth",
        "memory bandwidth is reached",
        f"Reported when MBU is {BANDWIDTH_FROM:.0f} % or more: only fewer bytes help from there.",
        _judge_bandwidth,
    ),
    Rule(
        "loading",
        "loaded from a cold disk",
        f"Reported when weights that were not in memory took {COLD_FROM_S:g} s or more to read.",
        _judge_loading,
    ),
)
