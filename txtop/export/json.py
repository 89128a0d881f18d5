"""Build the JSON export from a folded session, live or replayed; both give the same bytes.

Its shape is `export.schema`; CSV and JSON lines are made from it.
"""

from __future__ import annotations

from statistics import fmean, median
from typing import Any

import msgspec

from txtop import stats
from txtop.analysis import contention, device_time, energy, metrics, roofline, serving
from txtop.analysis.edge import explain_failure, find_edges
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.notes import build_cell_notes
from txtop.analysis.ratios import compute_speeds
from txtop.export.ab import export_comparisons, export_fidelity
from txtop.export.accuracy import export_accuracy
from txtop.export.explained import export_explanations
from txtop.export.schema import (
    EXPORT_SCHEMA,
    LATER,
    CellExport,
    DeviceExport,
    DevicePhaseExport,
    DeviceTimeExport,
    EdgeExport,
    Export,
    RanksExport,
    RequestsExport,
    Series,
    Session,
    TelemetryExport,
    TokensExport,
    Tool,
)
from txtop.export.tuning import export_tuning
from txtop.protocol.events import DevicePhase
from txtop.sanitise import escape_json
from txtop.state.cell import CellState
from txtop.state.race import WHY_WORDS
from txtop.state.session import SessionState, WatchedDevice
from txtop.units import NS_PER_MS, NS_PER_S

SIGNIFICANT_DIGITS = 9


def to_json(state: SessionState, finals: FinalMetrics) -> bytes:
    """Return the export as indented JSON, floats to 9 significant digits, a newline at the end."""
    plain = _round_floats(msgspec.to_builtins(build_export(state, finals)))
    return escape_json(msgspec.json.format(msgspec.json.encode(plain), indent=2)) + b"\n"


def _round_floats(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {k: _round_floats(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_round_floats(v) for v in value]
    return value


def build_export(state: SessionState, finals: FinalMetrics) -> Export:
    """Build the export of a folded session.

    Raises `ValueError` if the session has no header.
    """
    header = state.header
    if header is None:
        raise ValueError("a session without a header")
    written = state.ended.statistics_version if state.ended else stats.STATISTICS_VERSION
    session = Session(
        id=header.session,
        name=header.name,
        schema=header.schema,
        wall_s=header.wall_s,
        plan=header.plan,
        workload_sha256=header.workload_sha256,
        machine=header.machine,
        versions=_collect_versions(state),
        seed=header.seed,
        margin=header.margin,
        boot_ids=state.boot_ids,
        ended=state.ended.reason if state.ended else None,
        statistics_version=stats.STATISTICS_VERSION,
        recomputed=None
        if written == stats.STATISTICS_VERSION
        else f"recomputed with statistics v{stats.STATISTICS_VERSION}",
        tool=_build_tool(state),
    )
    return Export(
        schema=EXPORT_SCHEMA,
        session=session,
        cells=_export_cells(state, finals),
        comparisons=export_comparisons(state),
        telemetry=_export_telemetry(state),
        edges=_export_edges(state) if header.plan.edge_search is not None else msgspec.UNSET,
        explanations=export_explanations(state) if state.explanations else msgspec.UNSET,
        tuning=export_tuning(state, state.race) if state.race is not None else msgspec.UNSET,
    )


def _export_edges(state: SessionState) -> list[EdgeExport]:
    return [
        EdgeExport(
            knob=edge.axis.field,
            step=edge.axis.step,
            ran=edge.largest.cell.id if edge.largest is not None else None,
            failed=edge.smallest.cell.id if edge.smallest is not None else None,
            found=edge.is_found,
            spread=edge.spread,
            limit_bytes=edge.limit_bytes,
            headroom_bytes=edge.headroom_bytes,
            reason=explain_failure(edge),
            forecast_bytes={
                own.cell.id: state.probes[own.cell.id].forecast_bytes
                for own in edge.probes.values()
                if own.cell.id in state.probes
            },
        )
        for edge in find_edges(state)
    ]


def _collect_versions(state: SessionState) -> dict[str, str]:
    """Return the versions of the header, the workers (torch, transformers) and the sampler.

    The GPU driver, NVML and CUDA are known to the sampler only.
    """
    versions = dict(state.header.versions) if state.header else {}
    for load in state.loads.values():
        versions.update(load.versions)
    for device in state.devices.values():
        versions.update(device.versions)
    return versions


def _build_tool(state: SessionState) -> Tool:
    """Return the CPU seconds of txtop's own processes."""

    def spent(process: str) -> float | None:
        device = state.devices.get(f"process:{process}")
        return device.last("cpu_s") if device else None

    screens = [
        cpu
        for name in state.devices
        if name.startswith("process:screen") and (cpu := spent(name.removeprefix("process:")))
    ]
    return Tool(
        runner_cpu_s=spent("runner"),
        sampler_cpu_s=spent("sampler"),
        screens_cpu_s=sum(screens) if screens else None,
    )


def _export_cells(state: SessionState, finals: FinalMetrics) -> list[CellExport]:
    cells = [_export_cell(state, own, finals) for own in state.cells.values()]
    if state.race is None:
        return cells
    speeds = compute_speeds(state, finals)
    for own in cells:
        left = state.race.race.candidates[own.id].left
        own.left = WHY_WORDS[left.why].short if left is not None else None
        own.speed = speeds.get(own.id)
    return cells


def _export_cell(session: SessionState, state: CellState, finals: FinalMetrics) -> CellExport:
    cell, load, checked = state.cell, state.load, state.speculation
    encoder = state.family == "encoder"
    gpu = _find_gpu(session, state)
    figures = finals.of(state, session.plan.seed)
    roofs = roofline.summarise_utilisation(session, state, figures)
    money = metrics.compute_cost(state, figures, session.plan.cost_per_hour)
    return CellExport(
        id=cell.id,
        model=cell.model,
        family=state.family,
        weights=load.weights if load else None,
        drawn=load.drawn if load else [],
        model_class=load.model_class or None if load else None,
        precision=cell.precision,
        recipe=load.recipe or None if load else None,
        converted_share=load.converted_share if load else None,
        scheme=load.scheme or None if load else None,
        products=load.products if load else {},
        weight_bytes=load.weight_bytes if load else None,
        product_kernels=state.kernels.products if state.kernels else [],
        dequantises=state.kernels.dequantises if state.kernels else None,
        attention=state.attention,
        kernels={
            "prefill": state.kernels.prefill if state.kernels else None,
            "decode": state.kernels.decode if state.kernels else None,
        },
        device=load.device if load else cell.device,
        place=state.place or msgspec.UNSET,
        device_name=load.device_name if load else None,
        device_id=load.device_id if load else None,
        capability=load.capability or None if load else None,
        cudnn=load.environment.get("cudnn") if load else None,
        driver=gpu.versions.get("nvidia_driver") if gpu else None,
        power_limit_w=gpu.last("power_limit_w") if gpu else None,
        device_memory_bytes=gpu.last("memory_total_bytes") if gpu else None,
        device_settings=gpu.facts if gpu else {},
        equal_to_plain=checked.differs_at is None if checked else None,
        differs_at=checked.differs_at if checked else None,
        experts=load.experts if load else None,
        experts_per_token=load.experts_per_token if load else None,
        active_parameters=load.active_parameters if load else None,
        environment=load.environment if load else {},
        scenario=cell.scenario,
        serving=cell.serving,
        requests=_export_requests(state),
        tokens=_export_tokens(state),
        batch_size=cell.batch_size,
        sequence_length=cell.sequence_length,
        new_tokens=None if encoder else cell.new_tokens,
        compile=cell.compile,
        cache=cell.cache,
        threads=load.threads if load else cell.threads,
        status=state.status if state.over else "unfinished",
        reason=state.reason,
        stopped_by=state.finished.stopped_by if state.finished else "",
        steady=finals.steady(state, session.plan.seed).steady,
        invalid=state.invalid > 0,
        busy=contention.is_busy(state),
        fidelity=None if session.ab_test else export_fidelity(session.output_of(cell.id)),
        notes=build_cell_notes(session, state, finals),
        device_time=_export_device_time(session, state),
        metrics={**figures, **roofs, **money, **energy.summarise_device(session, state)},
        accuracy=export_accuracy(session, cell.id),
        ranks=_export_ranks(state),
        **{knob.field: knob.of(cell) for knob in LATER},
    )


def _export_ranks(state: CellState) -> RanksExport | msgspec.UnsetType:
    if state.load is None or state.load.ranks == 1:
        return msgspec.UNSET
    return RanksExport(
        count=state.load.ranks,
        communication=state.kernels.communication if state.kernels else [],
        memory=state.memory.parts if state.memory else [],
    )


def _find_gpu(session: SessionState, state: CellState) -> WatchedDevice | None:
    """Return the GPU that a cell ran on, None on a CPU and for a GPU that was not sampled."""
    load = state.load
    key = session.gpu(load.device_id) if load is not None and load.device != "cpu" else None
    return session.devices.get(key) if key else None


def _export_requests(state: CellState) -> RequestsExport | None:
    if state.cell.serving is None:
        return None
    totals = serving.count_totals(state)
    offered = state.served.offered
    return RequestsExport(
        offered_per_s=offered.rate if offered else None,
        sent=totals.sent,
        answered=totals.answered,
        unanswered=totals.unanswered,
    )


def _export_device_time(session: SessionState, state: CellState) -> DeviceTimeExport | None:
    times = session.device_time_of(state.cell.id)
    if times is None:
        return None
    step = device_time.find_busy_step(session, state)
    return DeviceTimeExport(
        measured_in=times.cell,
        prefill=_export_device_phase(times.prefill),
        decode=_export_device_phase(times.decode),
        launch_bound=step.launch_bound if step else None,
        failed=times.failed,
    )


def _export_device_phase(phase: DevicePhase | None) -> DevicePhaseExport | None:
    if phase is None:
        return None
    return DevicePhaseExport(
        steps=phase.steps,
        host_ms=phase.host_ns / NS_PER_MS,
        busy_ms=phase.busy_ns / NS_PER_MS,
        busy_share=device_time.compute_busy_share(phase),
        kernels=phase.kernels,
        launches=phase.launches,
    )


def _export_tokens(state: CellState) -> TokensExport | None:
    if state.cell.serving is None:
        return None
    totals = serving.count_totals(state)
    return TokensExport(prompt=totals.prompt_tokens, output=totals.output_tokens)


def _export_telemetry(state: SessionState) -> TelemetryExport:
    measured = [c for c in state.cells.values() if c.measured_to_ns]
    devices = {}
    for key, device in state.devices.items():
        if key.startswith("process:"):
            continue
        series = {}
        for name in device.series:
            readings = [
                v for c in measured for v in energy.select_measuring_samples(state, c, key, name)
            ]
            series[name] = Series(
                n=len(readings),
                mean=fmean(readings) if readings else None,
                median=median(readings) if readings else None,
                min=min(readings, default=None),
                max=max(readings, default=None),
            )
        devices[key] = DeviceExport(label=device.label, series=series)
    gaps = [f"{at / NS_PER_S:.1f} s {gap.producer}: {gap.reason}" for at, gap in state.gaps]
    return TelemetryExport(devices=devices, gaps=gaps)
