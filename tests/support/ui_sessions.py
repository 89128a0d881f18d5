"""Session logs made of invented events, for the tests of the screen."""

from __future__ import annotations

from pathlib import Path

from support.streams import MS
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent

MACHINE = events.Machine(
    hostname="box",
    os="Linux",
    cpu="An Invented CPU",
    cores_physical=4,
    cores_logical=8,
    memory_bytes=16 << 30,
    python="3.11",
)


def session(
    *,
    model: str = "gpt2",
    cells: int = 2,
    iterations: int = 12,
    ended: bool = True,
    note: str = "a remark",
    error: str = "",
) -> list[AnyEvent]:
    """Return a run of `cells` cells, one after the other; the last one is open unless `ended`."""
    precisions = ("fp32", "bf16", "fp16")
    planned = tuple(
        Cell(id=f"c{i:03d}", model=model, precision=precisions[i % 3], new_tokens=4)
        for i in range(cells)
    )
    plan = Plan(cells=planned, iterations=iterations)
    made: list[AnyEvent] = [
        events.SessionHeader(
            t_ns=0,
            schema=events.LOG_SCHEMA,
            session="20261123-140000-test",
            name="invented",
            wall_s=1_763_900_000.0,
            plan=plan,
            workload_sha256="0" * 64,
            machine=MACHINE,
            versions={"txtop": "0.1.0"},
            seed=0,
            boot_id="boot",
        ),
        events.Segment(t_ns=0, boot_id="boot", wall_s=1_763_900_000.0, pid=1),
    ]
    at = 0
    for number, cell in enumerate(planned):
        at += 50 * MS
        made.append(events.CellStarted(t_ns=at, cell=cell.id, worker=f"w{number}"))
        made.append(_load(at + 400 * MS, cell.id, note))
        at += 450 * MS
        made.append(events.Workload(t_ns=at, cell=cell.id, inputs_sha256="1" * 64, threads=2))
        for i in range(iterations + 3):
            gaps = [40 * MS, *[(25 + (i % 3)) * MS] * 3]
            e2e = sum(gaps)
            made.append(events.TokenTimings(t_ns=at, cell=cell.id, index=i, first=0, gaps_ns=gaps))
            at += e2e
            role: events.Role = "first" if i == 0 else "warmup" if i < 3 else "measured"
            made.append(
                events.Iteration(
                    t_ns=at,
                    cell=cell.id,
                    index=i,
                    role=role,
                    start_ns=at - e2e,
                    e2e_ns=e2e,
                    ttft_ns=gaps[0],
                    tokens=4,
                )
            )
            made.append(_host(at, 40.0 + i))
        if not ended and number == cells - 1:
            break
        failed = bool(error) and number == cells - 1
        made.append(
            events.CellFinished(
                t_ns=at,
                cell=cell.id,
                status="failed" if failed else "ok",
                reason=error if failed else "",
                stopped_by="iterations",
                n=iterations,
            )
        )
    if ended:
        made.append(
            events.SessionEnded(
                t_ns=at,
                reason="done",
                wall_s=1_763_900_060.0,
                statistics_version=1,
                sha256="2" * 64,
            )
        )
    for number, event in enumerate(made, start=1):
        event.seq = number
    return made


def _load(at_ns: int, cell: str, note: str) -> events.ModelLoaded:
    return events.ModelLoaded(
        t_ns=at_ns,
        cell=cell,
        worker="w0",
        load_s=0.4,
        phases={"import": 0.2, "weights": 0.1, "first_forward": 0.1},
        family="causal",
        weights="random",
        source="built-in",
        parameters=124_000_000,
        weight_bytes=498_000_000,
        device="cpu",
        device_name="An Invented CPU",
        threads=2,
        attention="sdpa",
        versions={"torch": "2.13.0"},
        notes=[note],
    )


def _host(at_ns: int, cpu: float) -> events.Telemetry:
    values: dict[str, float | None] = {
        "cpu_percent": cpu,
        "ram_used_bytes": 8e9,
        "ram_total_bytes": 16e9,
    }
    return events.Telemetry(t_ns=at_ns, device="host", label="An Invented CPU", values=values)


def write(folder: Path, made: list[AnyEvent]) -> Path:
    """Write a session's folder with these events."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.jsonl").open("ab") as file:
        file.writelines(map(codec.encode_event, made))
    return folder
