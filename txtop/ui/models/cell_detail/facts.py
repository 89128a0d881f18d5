"""Facts of one cell in words: its measurement, its configuration, and why it failed."""

from __future__ import annotations

from dataclasses import dataclass

from txtop import formatting
from txtop.analysis import contention, device_time, drafts, metrics, serving
from txtop.analysis.notes import build_cell_notes
from txtop.forecast import memory_fit
from txtop.forecast.memory import MemoryForecast
from txtop.plan import labels
from txtop.plan.cell import GRAPH_COMPILES, Cell
from txtop.plan.knobs import order_knobs
from txtop.plan.speculation import shorten_speculative
from txtop.protocol.events import ModelLoaded
from txtop.state import accuracy, fidelity
from txtop.state.cell import FAILED_STATUSES, CellState
from txtop.state.session import SessionState
from txtop.stats.steady_state import estimate_speed_drift, is_drifting
from txtop.stats.summary import classify_variation
from txtop.stats.trend import estimate_trend
from txtop.ui.models import hero_metrics
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail import spread
from txtop.ui.models.cell_detail.iterations import compute_refresh_key
from txtop.units import NS_PER_MS

MAX_STDERR_LINES = 12
# Knobs without a line of their own in `_list_configuration`.
_OTHERS = order_knobs(
    without=(
        "model",
        "weights",
        "precision",
        "quantization",
        "attention",
        "device",
        "threads",
        "batch_size",
        "sequence_length",
        "new_tokens",
        "compile",
        "cache",
        "speculative",
        "parallel",
    )
)
HASH_CHARACTERS = 12


@dataclass(frozen=True)
class CellFact:
    """A line of text and its label; `role` is the colour of the text."""

    label: str
    text: str
    role: str = "text"


@dataclass(frozen=True)
class FactGroup:
    """Facts that belong together, under a title."""

    title: str
    said: tuple[CellFact, ...]


def build_fact_groups(
    session: SessionState, state: CellState, cache: FrameCache
) -> tuple[FactGroup, ...]:
    """Build the groups of facts, most telling first, without empty ones."""
    groups = (
        FactGroup("failure", _list_failure(state)),
        FactGroup("measurement", _list_progress(session, state, cache)),
        FactGroup("configuration", _list_configuration(session, state)),
        FactGroup(
            "notes", tuple(CellFact("", note) for note in _list_notes(session, state, cache))
        ),
    )
    return tuple(group for group in groups if group.said)


def _list_failure(state: CellState) -> tuple[CellFact, ...]:
    if state.status not in FAILED_STATUSES and not state.invalid:
        return ()
    ending = state.finished
    facts = [
        CellFact(
            "state", "INVALID" if state.invalid else hero_metrics.format_failure_tag(state), "bad"
        )
    ]
    facts += [CellFact("reason", state.reason)] if state.reason else []
    if state.invalid:
        facts.append(CellFact("reason", f"{state.invalid} NaN or Inf in its logits"))
    facts += [CellFact("hint", state.hint)] if state.hint else []
    if ending is not None:
        if ending.wanted_bytes:
            facts.append(CellFact("wanted", formatting.format_size(ending.wanted_bytes)))
        if ending.exit_code is not None:
            facts.append(CellFact("exit code", str(ending.exit_code)))
        lines = ending.stderr[-MAX_STDERR_LINES:]
        facts += [
            CellFact("stderr" if i == 0 else "", line, "muted")
            for i, line in enumerate(lines)
            if line
        ]
    return tuple(facts)


def _list_progress(
    session: SessionState, state: CellState, cache: FrameCache
) -> tuple[CellFact, ...]:
    """List the course of the measurement: its end, its iterations, memory and output."""
    facts: list[CellFact] = []
    if state.finished and state.finished.stopped_by:
        facts.append(CellFact("stopped by", state.finished.stopped_by))
    if state.samples.role:
        facts += cache.get_or_make(
            "course", compute_refresh_key(state), lambda: _list_judgements(session, state, cache)
        )
    facts += [CellFact("blocks", text, "warn") for text in _describe_blocks(state)]
    peaks = _format_peaks(session, state)
    facts += [CellFact("peak memory", peaks)] if peaks else []
    facts += _list_device_time(session, state)
    output = session.output_of(state.cell.id)
    if output is not None:
        other = session.cells[output.reference].cell
        against = "" if other == state.cell else f", against {other.precision}"
        random = session.has_random_weights(state.cell.id)
        badge = fidelity.format_badge_forms(output, random=random)[0]
        facts.append(CellFact("output", badge + against))
    return (*facts, *_list_accuracy(session, state))


def _list_accuracy(session: SessionState, state: CellState) -> list[CellFact]:
    """List the accuracy in each task, and its difference from the reference's."""
    name = state.cell.id
    differences = (
        {}
        if session.ab_test
        else {
            d.task.name: accuracy.describe_difference(d)
            for d in accuracy.list_differences(session, name)
        }
    )
    lines = (
        ": ".join(filter(None, (score, differences.get(task.name, ""))))
        for task in session.plan.tasks
        if (score := accuracy.describe_score(session, name, task))
    )
    return [CellFact("" if i else "accuracy", line) for i, line in enumerate(lines)]


def _list_device_time(session: SessionState, state: CellState) -> list[CellFact]:
    """List the GPU's part of a step, host and device side by side, and what would raise it."""
    step = device_time.find_busy_step(session, state)
    if step is None:
        return []
    phase = step.phase
    host, busy = (formatting.format_ms(ns / NS_PER_MS) for ns in (phase.host_ns, phase.busy_ns))
    counts = f"{phase.kernels:.0f} kernels in {phase.launches:.0f} launches"
    text = f"{formatting.format_share(step.share)} of {step.name}: {busy} of {host} ms, {counts}"
    profiled = session.device_time_of(state.cell.id)
    if profiled is not None and profiled.cell != state.cell.id:
        other = session.cells[profiled.cell].cell
        text += f", at {other.sequence_length} tokens in, {other.new_tokens} out"
    facts = [CellFact("GPU busy", text, "warn" if step.launch_bound else "text")]
    remedy = f"launch-bound: {step.remedy} helps"
    return [*facts, CellFact("", remedy)] if step.launch_bound else facts


def _list_judgements(session: SessionState, state: CellState, cache: FrameCache) -> list[CellFact]:
    """List the counts of iterations, their variation and trend, and the warm-up."""
    if state.cell.serving is not None:
        return _list_requests(session, state)
    kept = state.samples.kept()
    start = cache.finals.steady(state, session.plan.seed).start if state.over else 0
    places = kept[start:]
    facts = [CellFact("iterations", _format_counts(state, len(places), start))]
    name = metrics.choose_headline_metric(state)
    now = cache.summarise_now(state, name, session.plan.seed)
    if now.cv is not None:
        facts.append(
            CellFact(
                "variation",
                f"CV {formatting.format_share(now.cv, 1)}, {classify_variation(now.cv, now.n)}",
            )
        )
    durations = [state.samples.e2e_ns[i] for i in places]
    trend = estimate_trend(durations) if state.over else None
    if trend is not None:
        p = "p < 0.001" if trend.p < 0.001 else f"p = {trend.p:.2g}"
        drifting = is_drifting(durations)
        across = formatting.format_change(estimate_speed_drift(durations))
        verdict = "drifts, no interval" if drifting else "no trend"
        role = "warn" if drifting else "text"
        facts.append(CellFact("trend", f"speed {across} across, {p}: {verdict}", role))
    facts.append(CellFact("warm-up", _describe_warm_up(session, state)))
    return facts


def _list_requests(session: SessionState, state: CellState) -> list[CellFact]:
    counts = serving.count_totals(state)
    offered = state.served.offered
    facts = [CellFact("requests", f"{counts.answered} of {counts.sent} requests answered")]
    if offered is not None and offered.rate is not None:
        facts.append(CellFact("offered", f"{formatting.format_number(offered.rate)} a second"))
    if state.saturated:
        facts.append(CellFact("server", serving.SATURATED_NOTE, "warn"))
    if lateness := serving.describe_lateness(state):
        facts.append(CellFact("load", lateness, "warn"))
    count = sum(role != "measured" for role in state.samples.role)
    return [*facts, CellFact("warm-up", f"{count} requests")]


def _format_counts(state: CellState, counted: int, dropped: int) -> str:
    """Format the counts of iterations: `33 counted of 37: 1 first, 3 warm-up`."""
    out = state.samples.discarded
    kept = set(state.samples.kept())
    others = [i for i in range(len(state.samples)) if i not in kept and i not in out]
    first = sum(i == 0 for i in others)
    raced = sum(i < state.samples.since and state.samples.role[i] == "measured" for i in others)
    parts = [
        (first, "first"),
        (len(others) - first - raced, "warm-up"),
        (raced, "of the race"),
        (dropped, "before steady"),
        (len([i for i in out if i < len(state.samples)]), "discarded"),
    ]
    listed = ", ".join(f"{n} {word}" for n, word in parts if n)
    return f"{counted} counted of {len(state.samples)}" + (f": {listed}" if listed else "")


def _describe_warm_up(session: SessionState, state: CellState) -> str:
    """Describe the rule that ended the warm-up."""
    if state.samples.cut is not None:
        return f"{formatting.format_count(state.samples.cut, 'iteration')}, asked for now"
    if session.plan.warmup is not None:
        return f"{formatting.format_count(session.plan.warmup, 'iteration')}, as asked"
    if state.stage in ("first", "warming"):
        return "until two windows of 10 agree within 1 %"
    flat = metrics.is_warm(state)
    return "two windows of 10 agreed within 1 %" if flat else "cut at a quarter of the budget"


def _describe_blocks(state: CellState) -> list[str]:
    """Describe the blocks that the machine disturbed: kept or discarded, and why.

    Neighbours from which others took the processor are one line.
    """
    lines = []
    for stretch in contention.group_blocks(state.blocks):
        first, last = stretch[0].first + 1, stretch[-1].first + stretch[-1].count
        which = f"iteration {first}" if first == last else f"{first} to {last}"
        fate = "kept" if stretch[0].kept else "discarded"
        alone = ", ".join(stretch[0].reasons)
        why = contention.describe_blocks(stretch) if len(stretch) > 1 else alone
        lines.append(f"{which} {fate}: {why}")
    return lines


def _format_peaks(session: SessionState, state: CellState) -> str:
    """Format the peaks of a cell, and by how much its forecast was off."""
    memory = state.memory
    if memory is None:
        return ""
    named = [
        ("host", memory.host_bytes),
        ("allocated", memory.allocated_bytes),
        ("reserved", memory.reserved_bytes),
        ("device", memory.device_bytes),
    ]
    peaks = [
        f"{name} {formatting.format_gib(size)} GiB" for name, size in named if size is not None
    ]
    peaks += spread.list_part_peaks(state)
    probe, forecast = session.probes.get(state.cell.id), None
    if probe is None:
        forecast = memory_fit.read_forecast(session, state.cell)
    expected = forecast.peak_bytes if forecast is not None else probe and probe.forecast_bytes
    if expected and (peak := state.peak_bytes):
        peaks.append(f"forecast {formatting.format_change(expected / peak - 1, 0)}")
    return ", ".join(peaks)


def _format_forecast(forecast: MemoryForecast) -> str:
    """Format the parts of a forecast of memory."""
    parts = [
        ("process", forecast.process_bytes),
        ("weights", forecast.weight_bytes),
        ("cache and activations", forecast.working_bytes + forecast.allocator_bytes),
    ]
    listed = ", ".join(f"{name} {formatting.format_gib(size)}" for name, size in parts)
    return f"about {formatting.format_gib(forecast.peak_bytes)} GiB: {listed}"


def _list_configuration(session: SessionState, state: CellState) -> tuple[CellFact, ...]:
    """List each requested setting together with the value it resolved to."""
    cell, load = state.cell, state.load
    measured_class = f", {load.model_class}" if load is not None and load.model_class else ""
    facts = [CellFact("model", cell.model + measured_class)]
    if load is not None:
        count = " ".join(filter(None, formatting.format_scaled(load.parameters)))
        size = f"{count} parameters, {formatting.format_size(load.weight_bytes)}"
        facts.append(CellFact("weights", f"{load.weights}: {load.source}, {size}"))
        if load.experts is not None and load.active_parameters is not None:
            active = " ".join(filter(None, formatting.format_scaled(load.active_parameters)))
            experts = f"{load.experts} in a layer, {load.experts_per_token} for each token"
            facts.append(CellFact("experts", f"{experts}: {active} parameters active"))
        if load.drawn:
            facts.append(CellFact("random", ", ".join(load.drawn)))
    else:
        facts.append(CellFact("weights", cell.weights))
        forecast = memory_fit.read_forecast(session, cell)
        if forecast is not None:
            facts.append(CellFact("memory", _format_forecast(forecast)))
    facts += [
        CellFact("precision", _format_precision(cell, load)),
        *([CellFact("settings", cell.quantization)] if cell.quantization else []),
        *_list_products(state),
        CellFact("attention", _format_attention(state)),
        CellFact("device", _format_device(state)),
        *([CellFact("device id", load.device_id)] if load is not None and load.device_id else []),
        *_list_gpu_settings(session, state),
        *_list_work(cell),
        CellFact("lengths", _format_lengths(state)),
        CellFact("compile", cell.compile),
    ]
    if state.family != "encoder":
        facts.append(CellFact("KV cache", _format_cache(state)))
    if cell.speculative != "none":
        facts += _list_drafts(state)
    if cell.parallel != "none":
        facts.append(CellFact("parallel", spread.format_parallel(session, state)))
    changed = [knob for knob in _OTHERS if knob.of(cell) != knob.default]
    facts += [CellFact(knob.title, knob.call(cell)) for knob in changed]
    if load is not None:
        facts.append(CellFact("page cache", load.page_cache))
    if state.workload is not None:
        facts.append(CellFact("inputs", f"sha256 {state.workload.inputs_sha256[:HASH_CHARACTERS]}"))
    versions = _format_versions(session, state)
    facts += [CellFact("versions", versions)] if versions else []
    return tuple(facts)


def _format_precision(cell: Cell, load: ModelLoaded | None) -> str:
    """Format the precision, how it came about, and the share of the weights that have it."""
    if load is None:
        return cell.precision
    # A recipe that ends in the precision says how, and names it again.
    how = load.recipe.removesuffix(cell.precision).rstrip(": ")
    parts = [cell.precision, "as stored" if how == "stored as" else how]
    if load.converted_share is not None:
        verb = "" if load.scheme or how.startswith("converted") else " converted"
        share = formatting.format_share(load.converted_share)
        parts.append(f"{share} of matrix weights{verb}")
    return ", ".join(filter(None, parts))


def _list_products(state: CellState) -> list[CellFact]:
    """List the matrix weights by class of module, and the operators that multiplied them."""
    load, ran = state.load, state.kernels
    facts = []
    if load is not None and load.products:
        kinds = [f"{kind} {formatting.format_size(size)}" for kind, size in load.products.items()]
        facts.append(CellFact("matrices", ", ".join(kinds)))
    if ran is not None and (ran.products or ran.dequantises):
        how = ", ".join(ran.products) or "dense: dequantised in every call"
        facts.append(CellFact("products", how))
    return facts


def _format_cache(state: CellState) -> str:
    size = state.cache_bytes
    return state.cell.cache + (f", {formatting.format_size(size)}" if size is not None else "")


def _list_drafts(state: CellState) -> list[CellFact]:
    """List the speculation, what was accepted of it, and whether its output is the plain one."""
    load, parts = state.load, [shorten_speculative(state.cell.speculative)]
    if load is not None and load.assistant_parameters:
        count = " ".join(filter(None, formatting.format_scaled(load.assistant_parameters)))
        size = formatting.format_size(load.assistant_bytes)
        parts.append(f"{count} parameters, {size} more")
    if state.drafted:
        accepted = drafts.describe_acceptance(state)
        parts.append(f"{accepted} of {state.drafted:,} drafted")
    if made := drafts.compute_tokens_per_step(state, state.samples.kept()):
        parts.append(f"{made:.2f} tokens a step")
    facts = [CellFact("speculative", ", ".join(parts))]
    if equality := drafts.describe_equality(state):
        checked = state.speculation
        unequal = checked is not None and checked.differs_at is not None
        facts.append(CellFact("output", equality, "warn" if unequal else "text"))
    return facts


def _list_work(cell: Cell) -> list[CellFact]:
    """List the batch size; for a server its scenario, its load and its SLO."""
    asked = cell.serving
    if asked is None:
        return [CellFact("batch", str(cell.batch_size))]
    rooms = {
        "single": "one at a time",
        "dynamic": f"batches of up to {asked.max_batch}, wait {asked.max_wait_ms:g} ms",
        "continuous": f"up to {asked.max_batch} requests per step",
    }
    load = cell.offered.partition(" ")[2]
    facts = [
        CellFact("scenario", f"{cell.scenario}, {rooms.get(cell.scenario, '')}"),
        CellFact("load", f"{asked.requests} requests, {load}"),
    ]
    return [*facts, *([CellFact("promised", asked.slo.words())] if asked.slo is not None else [])]


def _format_attention(state: CellState) -> str:
    """Return the requested attention, with the kernels that were seen to run."""
    ran = state.kernels
    if ran is None or not (ran.prefill or ran.decode):
        return state.attention
    if ran.decode is None and state.cell.compile in GRAPH_COMPILES and state.family != "encoder":
        return f"{state.attention} ({ran.prefill} kernel in prefill, decode: CUDA graph)"
    if ran.prefill == ran.decode or ran.decode is None or ran.prefill is None:
        return f"{state.attention} ({ran.prefill or ran.decode} kernel)"
    return f"{state.attention} ({ran.prefill} kernel in prefill, {ran.decode} in decode)"


def _format_device(state: CellState) -> str:
    cell, load = state.cell, state.load
    threads = load.threads if load else cell.threads
    parts = [state.place or (load.device if load else cell.device)]
    parts += [load.device_name] if load and load.device_name else []
    parts += [formatting.format_count(threads, "thread")] if threads else []
    return ", ".join(parts)


def _list_gpu_settings(session: SessionState, state: CellState) -> list[CellFact]:
    """Return the memory, the power limit and the settings of the cell's GPU in one line."""
    load = state.load
    name = session.gpu(load.device_id) if load else None
    if load is None or name is None:
        return []
    gpu = session.devices[name]
    memory, limit = gpu.last("memory_total_bytes"), gpu.last("power_limit_w")
    parts = [f"{formatting.format_gib(memory)} GiB"] if memory else []
    parts += [f"at most {limit:.0f} W"] if limit else []
    parts += [f"capability {load.capability}"] if load.capability else []
    settings = ("persistence_mode", "compute_mode", "ecc", "mig_profile")
    parts += [f"{key.replace('_', ' ')} {gpu.facts[key]}" for key in settings if key in gpu.facts]
    return [CellFact("GPU", ", ".join(parts))] if parts else []


def _format_lengths(state: CellState) -> str:
    cell = state.cell
    drawn = cell.serving.lengths if cell.serving else "fixed"
    how = "" if drawn == "fixed" else f", {drawn}"
    length = str(cell.sequence_length)
    if cell.prompts is not None:
        counts = cell.prompts.tokens
        length = f"{counts.least} to {counts.most}" if counts else "unread"
        how = f", mean {counts.mean:.1f}" if counts else ""
    if state.family == "encoder":
        return f"{length} tokens{how}"
    return f"{length} tokens in, {labels.format_new_tokens(cell)} out{how}"


def _format_versions(session: SessionState, state: CellState) -> str:
    """Format the versions of the libraries that measured and of the GPU's software."""
    load = state.load
    versions = dict(load.versions) if load else {}
    name = session.gpu(load.device_id) if load else None
    if name is not None:
        versions |= session.devices[name].versions
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _list_notes(session: SessionState, state: CellState, cache: FrameCache) -> list[str]:
    """Return the notes of the export; before the cell is over those of load and workload."""
    if not state.over:
        load = state.load.notes if state.load else []
        return list(dict.fromkeys([*load, *(state.workload.notes if state.workload else [])]))
    return build_cell_notes(session, state, cache.finals)
