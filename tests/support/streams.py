"""A recorded session of two cells, made without a model, for the tests of the log and the fold."""

from __future__ import annotations

from pathlib import Path

from txtop import stats
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent, Machine

MS = 1_000_000
MACHINE = Machine(
    hostname="tëst",
    os="Linux",
    cpu="A CPU",
    cores_physical=2,
    cores_logical=2,
    memory_bytes=1 << 34,
    python="3.11.7",
)


def plan(models: tuple[str, ...] = ("gpt2", "t5-small"), iterations: int = 12) -> Plan:
    cells = expand_matrix(
        models=list(models),
        precisions=["fp32"],
        attention=["sdpa"],
        batch_sizes=[2],
        sequence_lengths=[8],
        new_tokens=[4],
    )
    return Plan(cells=cells, iterations=iterations, warmup=1)


def stream(session_plan: Plan | None = None, *, steady: bool = False) -> list[AnyEvent]:
    """Return the header to `ended`: each iteration has TTFT 20 ms, then three gaps of 10 + index
    ms, or, where they are steady, of 10 and 11 ms in turn.
    """
    session_plan = session_plan or plan()
    at = 1_000 * MS
    made: list[AnyEvent] = [
        events.SessionHeader(
            t_ns=at,
            schema=events.LOG_SCHEMA,
            session="s",
            wall_s=1.7e9,
            plan=session_plan,
            workload_sha256="0" * 64,
            machine=MACHINE,
            versions={"txtop": "0"},
            seed=0,
            boot_id="boot",
        ),
        events.Segment(t_ns=at, boot_id="boot", wall_s=1.7e9, pid=1),
    ]
    for cell in session_plan.cells:
        made.append(events.CellStarted(t_ns=at, cell=cell.id, worker="w"))
        at += 900 * MS
        made.append(load(at, cell.id))
        made.append(events.Workload(t_ns=at, cell=cell.id, inputs_sha256="ab", threads=1))
        for index in range(2 + (session_plan.iterations or 10)):
            role: events.Role = "first" if index == 0 else "warmup" if index == 1 else "measured"
            gaps = [20 * MS] + [(10 + (index % 2 if steady else index)) * MS] * 3
            start, at = at, at + sum(gaps)
            made.append(
                events.TokenTimings(t_ns=at, cell=cell.id, index=index, first=0, gaps_ns=gaps[:2])
            )
            made.append(
                events.TokenTimings(t_ns=at, cell=cell.id, index=index, first=2, gaps_ns=gaps[2:])
            )
            made.append(
                events.Iteration(
                    t_ns=at,
                    cell=cell.id,
                    index=index,
                    role=role,
                    start_ns=start,
                    e2e_ns=sum(gaps),
                    ttft_ns=gaps[0],
                    tokens=4,
                )
            )
            made.append(telemetry(at))
        made.append(events.Memory(t_ns=at, cell=cell.id, host_bytes=1 << 30))
        made.append(
            events.CellFinished(t_ns=at, cell=cell.id, status="ok", stopped_by="iterations", n=12)
        )
    made.append(events.Marker(t_ns=at, label="naïve ☃"))
    made.append(
        events.SessionEnded(
            t_ns=at,
            reason="done",
            wall_s=1.7e9,
            statistics_version=stats.STATISTICS_VERSION,
            sha256="0" * 64,
        )
    )
    for seq, event in enumerate(made, start=1):
        event.seq = seq
    return made


def load(at_ns: int, cell: str, **changed: object) -> events.ModelLoaded:
    facts: dict[str, object] = {
        "load_s": 0.9,
        "phases": {"import": 0.5, "config": 0.0, "weights": 0.3, "first_forward": 0.1},
        "family": "causal",
        "weights": "random",
        "source": "builtin",
        "parameters": 10,
        "weight_bytes": 40,
        "device": "cpu",
        "device_name": "A CPU",
        "threads": 1,
        "attention": "sdpa",
        "versions": {"torch": "2"},
    }
    return events.ModelLoaded(t_ns=at_ns, cell=cell, worker="w", **{**facts, **changed})  # type: ignore[arg-type]


def telemetry(at_ns: int) -> events.Telemetry:
    return events.Telemetry(
        t_ns=at_ns, src="sampler", device="host", values={"cpu_percent": 50.0, "power_w": None}
    )


def write(path: Path, made: list[AnyEvent]) -> bytes:
    """Write a log and return its bytes."""
    body = b"".join(map(codec.encode_event, made))
    path.write_bytes(body)
    return body
