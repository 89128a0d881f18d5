"""Sessions with an explained cell, made without a model: parts, findings, a trace."""

from __future__ import annotations

from typing import Any

import msgspec

from support import ui_sessions
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent, ModuleTime, OperatorTime, PhaseExplanation, StepPart
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState

PARTS = [
    StepPart(kind="mlp", ns=600, operators_ns=590, calls=10, read_bytes=500, written_bytes=100),
    StepPart(kind="attention", ns=300, operators_ns=290, calls=10),
    StepPart(kind="cache", ns=20, operators_ns=20, calls=2, written_bytes=50),
    StepPart(kind="loop", ns=80, operators_ns=0),
]
PRODUCTS = [OperatorTime(name="aten::addmm", kind="mlp", ns=580, calls=4)]


def phase(name: Any = "decode", **changed: Any) -> PhaseExplanation:
    facts = {
        "steps": 4, "step_ns": 1000, "median_ns": 1000, "profiled_ns": 1100,
        "profiler_events": 20.0, "event_ns": 5.0, "parts": PARTS, "operators": PRODUCTS,
    }  # fmt: skip
    return PhaseExplanation(name=name, **(facts | changed))


def session(
    *phases: PhaseExplanation,
    knobs: dict[str, Any] | None = None,
    features: tuple[str, ...] = (),
    device: str = "cpu",
    **explained: Any,
) -> SessionState:
    cell = Cell(id="c1", model="gpt2", **(knobs or {}))
    machine = events.Machine(
        hostname="h", os="o", cpu="c", cores_physical=2, cores_logical=2, memory_bytes=1,
        python="3", features=features,
    )  # fmt: skip
    header = events.SessionHeader(
        t_ns=1, schema=events.LOG_SCHEMA, session="s", wall_s=0.0, machine=machine, versions={},
        plan=Plan(cells=(cell,)), workload_sha256="", seed=0, boot_id="b",
    )  # fmt: skip
    load = events.ModelLoaded(
        t_ns=2, cell="c1", worker="w", load_s=1.0, phases={}, family="causal", weights="random",
        source="", parameters=1, weight_bytes=1, device=device, device_name="d", threads=1,
        attention="sdpa", versions={},
    )  # fmt: skip
    facts = {"threads": 2, "cores": 2, "attention": "flash"} | explained
    state = SessionState()
    for event in (
        header,
        events.CellStarted(t_ns=2, cell="c1", worker="w"),
        load,
        events.Explanation(t_ns=3, cell="c1", phases=list(phases) or [phase()], **facts),
    ):
        fold(state, event)
    return state


SLICES = [
    (0, 100, 800, 0), (1, 150, 600, 0), (2, 160, 300, 0), (3, 180, 250, 0), (4, 500, 200, 0),
    (1, 760, 100, 0), (5, 400, 50, 1),
]  # fmt: skip
NAMES = [
    "module:", "module:h.0.mlp", "aten::linear", "aten::addmm", "aten::gelu <script>", "sgemm",
]  # fmt: skip


def build_trace(name: Any = "decode", cell: str = "c1") -> events.TraceSlices:
    """Build the trace of a step of 900 ns: a model, an MLP twice, a product, a kernel."""
    return events.TraceSlices(t_ns=4, cell=cell, phase=name, names=NAMES, slices=SLICES)


def multiply_times(facts: dict[str, Any], factor: int) -> dict[str, Any]:
    """Multiply every time of a phase, in parts and operators as well."""

    def multiply(value: Any) -> Any:
        if isinstance(value, list):
            return [
                msgspec.structs.replace(
                    item,
                    **{n: getattr(item, n) * factor for n in item.__struct_fields__ if _is_time(n)},
                )
                for item in value
            ]
        return value * factor

    return {
        name: multiply(value) if isinstance(value, list) or _is_time(name) else value
        for name, value in facts.items()
    }


def _is_time(name: str) -> bool:
    return name == "ns" or name.endswith("_ns")


def build_explained_session() -> SessionState:
    """Build a session whose only cell was explained, with findings, modules and traces."""
    return fold_all(list_explained_events())


def list_explained_events() -> list[AnyEvent]:
    """Return the events of a run with one cell, which is explained at its end."""
    modules = [
        ModuleTime(path="transformer", kind="rest", ns=860_000, own_ns=10_000),
        ModuleTime(path="transformer.ln_f", kind="norm", ns=10_000, own_ns=10_000),
        *(
            module
            for layer in range(3)
            for module in (
                ModuleTime(path=f"transformer.h.{layer}", kind="rest", ns=280_000, own_ns=20_000),
                ModuleTime(
                    path=f"transformer.h.{layer}.mlp", kind="mlp", ns=180_000, own_ns=180_000
                ),
                ModuleTime(
                    path=f"transformer.h.{layer}.attn", kind="attention", ns=80_000, own_ns=80_000
                ),
            )
        ),
        ModuleTime(path="lm_head", kind="head", ns=100_000, own_ns=100_000),
    ]
    parts = [
        StepPart(kind="mlp", ns=540_000, operators_ns=520_000, calls=40),
        StepPart(kind="attention", ns=240_000, operators_ns=200_000, calls=60),
        StepPart(kind="head", ns=100_000, operators_ns=100_000, calls=2),
        StepPart(kind="cache", ns=70_000, operators_ns=68_000, calls=6),
        StepPart(kind="loop", ns=50_000, operators_ns=0),
    ]
    operators = [OperatorTime(name="aten::addmm", kind="mlp", ns=700_000, calls=12)]
    facts: dict[str, Any] = {
        "step_ns": 1_000_000, "median_ns": 1_010_000, "profiled_ns": 1_100_000, "parts": parts,
        "modules": modules, "operators": operators, "event_ns": 900.0, "profiler_events": 110.0,
    }  # fmt: skip
    made = ui_sessions.session(cells=1)
    header, end = made[0], made[-1]
    assert isinstance(header, events.SessionHeader)
    header.machine = msgspec.structs.replace(header.machine, features=("avx512_bf16",))
    header.plan = msgspec.structs.replace(header.plan, explain=True)
    (cell,) = header.plan.cells
    traces = [build_trace(name, cell.id) for name in ("prefill", "decode")]
    explanation = events.Explanation(
        t_ns=0, cell=cell.id, threads=1, cores=2, attention="flash",
        # As long as the cell's own steps were.
        phases=[
            phase("prefill", **multiply_times(facts, 40)), phase(**multiply_times(facts, 26)),
        ],
    )  # fmt: skip
    after: list[AnyEvent] = [*traces, explanation]
    for event in after:
        event.t_ns, event.src = end.t_ns, "worker:2"
    return [*made[:-1], *after, end]
