"""Event streams as a run would make them, with invented durations from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from support.streams import MS
from txtop.plan.cell import Cell
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan, hash_workload
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold
from txtop.state.session import SessionState

S = 1_000_000_000
GPU = "GPU-00000000-0000-0000-0000-000000000000"


def sweep(iterations: int | None = 40, warmup: int = 3) -> Plan:
    """Return gpt2 and gpt2-medium in two precisions and three batches."""
    cells = expand_matrix(
        models=["gpt2", "gpt2-medium"],
        precisions=["fp32", "bf16"],
        attention=["sdpa"],
        batch_sizes=[1, 8, 32],
        sequence_lengths=[128],
        new_tokens=[32],
        threads=[2],
    )
    return Plan(cells=cells, iterations=iterations, warmup=warmup)


def header(plan: Plan, cores: int = 64) -> events.SessionHeader:
    machine = events.Machine(
        hostname="box",
        os="Linux",
        cpu="Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
        cores_physical=cores // 2,
        cores_logical=cores,
        memory_bytes=24 << 30,
        python="3.11",
    )
    return events.SessionHeader(
        t_ns=0,
        schema=(1, 0),
        session="20261121-140200-ab12",
        name="gpt2-cpu-demo",
        wall_s=1_795_269_720.0,
        plan=plan,
        workload_sha256=hash_workload(plan),
        machine=machine,
        versions={},
        seed=0,
        boot_id="boot",
    )


class Story:
    """A writer of a run cell by cell; `t_ns` moves on with every event."""

    def __init__(
        self,
        plan: Plan,
        *,
        seed: int = 7,
        gpus: int = 0,
        token_ms: float = 25.0,
        cores: int = 0,
        foreign: tuple[events.ForeignProcess, ...] | None = None,
    ) -> None:
        self.plan = plan
        self.t_ns = 0
        self.gpus = gpus
        self.token_ms = token_ms
        self.cores = cores
        self.foreign = foreign
        self.throttle = 0
        self._random = random.Random(seed)
        self._sampled = 0

    def whole(self) -> Iterator[AnyEvent]:
        """Return every cell done, the third refused for want of memory."""
        yield header(self.plan)
        for i, cell in enumerate(self.plan.cells):
            shares = i > 0 and self.plan.cells[i - 1].group == cell.group
            yield from self.cell(cell, "oom" if i == 3 else "ok", shares=shares)
        yield events.SessionEnded(
            t_ns=self.t_ns, reason="done", wall_s=0.0, statistics_version=1, sha256=""
        )

    def cell(self, cell: Cell, status: str = "ok", *, shares: bool = False) -> Iterator[AnyEvent]:
        """Yield one cell from its start to its end."""
        yield from self.started(cell, shares=shares)
        if status != "ok":
            yield events.CellFinished(
                t_ns=self.t_ns,
                cell=cell.id,
                status="oom",
                phase="load",
                reason="needed 3.1 GiB, had 2.8; the run goes on",
                wanted_bytes=int(3.1 * (1 << 30)),
            )
            return
        count = self.plan.iterations or 20
        for i in range(1 + self.plan.expected_warmup + count):
            yield from self.iteration(cell, i)
        yield events.Memory(t_ns=self.t_ns, cell=cell.id, host_bytes=900 << 20)
        yield events.CellFinished(
            t_ns=self.t_ns, cell=cell.id, status="ok", stopped_by="iterations", n=count
        )

    def started(self, cell: Cell, *, shares: bool = False) -> Iterator[AnyEvent]:
        """Yield the events before the first iteration."""
        yield events.CellStarted(t_ns=self.t_ns, cell=cell.id, worker="w1", shares_weights=shares)
        if not shares:
            for phase in ("import", "weights", "first_forward"):
                yield events.Phase(t_ns=self.t_ns, cell=cell.id, name=phase)
                yield from self.wait(0.5)
            yield self.loaded(cell)
        yield events.Workload(t_ns=self.t_ns, cell=cell.id, inputs_sha256="0", threads=2)

    def loaded(self, cell: Cell) -> events.ModelLoaded:
        encoder = "bert" in cell.model
        return events.ModelLoaded(
            t_ns=self.t_ns,
            cell=cell.id,
            worker="w1",
            load_s=1.52,
            phases={"import": 0.61, "weights": 0.70, "first_forward": 0.21},
            family="encoder" if encoder else "seq2seq" if "t5" in cell.model else "causal",
            weights="random",
            source="built-in",
            parameters=124_000_000,
            weight_bytes=497_000_000,
            device="cuda:0" if self.gpus else "cpu",
            device_name="NVIDIA H200" if self.gpus else "Xeon",
            device_id=GPU if self.gpus else None,
            threads=2,
            attention="sdpa",
            versions={},
        )

    def iteration(self, cell: Cell, i: int, tokens: int | None = None) -> Iterator[AnyEvent]:
        """Yield one iteration, slower during warm-up; `tokens` leaves it open at that step."""
        role: events.Role = "measured"
        if i <= self.plan.expected_warmup:
            role = "warmup" if i else "first"
        pace = {"first": 1.5, "warmup": 1.12, "measured": 1.0}[role]
        encoder = "bert" in cell.model
        gaps = [] if encoder else self._gaps(cell, pace)
        start = self.t_ns
        if encoder:
            took = int(self._random.gauss(40 * cell.batch_size * pace, 0.4) * MS)
            yield from self.wait(took / S)
        for first in range(0, len(gaps), 4):
            batch = gaps[first : first + 4]
            yield from self.wait(sum(batch) / S)
            yield events.TokenTimings(
                t_ns=self.t_ns, cell=cell.id, index=i, first=first, gaps_ns=batch
            )
            if tokens is not None and first >= tokens:
                return
        yield events.Iteration(
            t_ns=self.t_ns,
            cell=cell.id,
            index=i,
            role=role,
            start_ns=start,
            e2e_ns=max(1, self.t_ns - start),
            ttft_ns=gaps[0] if gaps else None,
            encoder_ns=4 * MS if "t5" in cell.model else None,
            tokens=len(gaps),
        )

    def _gaps(self, cell: Cell, pace: float) -> list[int]:
        slow = (1.47 if cell.precision == "fp32" else 1.0) * (1 + cell.batch_size / 64)
        one = self.token_ms * slow * pace
        rest = [self._random.gauss(one, one * 0.03) for _ in range(cell.new_tokens - 1)]
        return [int(max(0.01, v) * MS) for v in (one * 1.6, *rest)]

    def wait(self, seconds: float) -> Iterator[AnyEvent]:
        """Yield a sample of every device each 200 ms of the time that passes."""
        until = self.t_ns + int(seconds * S)
        while self._sampled <= until:
            self.t_ns = max(self.t_ns, self._sampled)
            yield from self.samples()
            self._sampled += 200 * MS
        self.t_ns = until

    def samples(self) -> Iterator[AnyEvent]:
        """Yield one sample of the host and of each GPU."""
        yield events.Telemetry(
            t_ns=self.t_ns,
            device="host",
            label="Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
            values={
                "cpu_percent": min(100.0, max(0.0, self._random.gauss(85, 10))),
                "ram_used_bytes": 8.4 * (1 << 30),
                "ram_total_bytes": 24.0 * (1 << 30),
                **self._slow(),
            },
        )
        for number in range(self.gpus):
            yield events.Telemetry(
                t_ns=self.t_ns,
                device=GPU[:-1] + str(number),
                label="NVIDIA H200",
                values={
                    "utilization": min(100.0, max(0.0, self._random.gauss(84, 6))),
                    "memory_used_bytes": 3.1 * (1 << 30),
                    "memory_total_bytes": 141.0 * (1 << 30),
                    "power_w": self._random.gauss(410, 5),
                    "power_limit_w": 700.0,
                    "temperature_c": 54.0,
                    "sm_clock_mhz": 1980.0,
                    "throttle_reasons": float(self.throttle),
                    **self._watched(),
                },
                foreign=self.foreign if number < 2 else None,
            )

    def _slow(self) -> dict[str, float | None]:
        """Return the values that a sampler reads once a second, if this story has cores."""
        if not self.cores or self._sampled % S:
            return {}
        loads = [min(100.0, max(0.0, self._random.gauss(55, 30))) for _ in range(self.cores)]
        return {
            **{f"core_{i}_percent": load for i, load in enumerate(loads)},
            "cpu_busiest_percent": max(loads),
            "cpu_clock_mhz": 3201.0,
            "load_1": 12.5,
            "swap_used_bytes": 0.5 * (1 << 30),
            "swap_total_bytes": 8.0 * (1 << 30),
        }

    def _watched(self) -> dict[str, float | None]:
        if self.foreign is None:
            return {}
        return {
            "foreign_processes": float(len(self.foreign)),
            "max_sm_clock_mhz": 1980.0,
            "memory_clock_mhz": 2619.0,
            "pcie_rx_bytes_per_s": 1.2e9,
            "pcie_tx_bytes_per_s": 0.3e9,
        }


def folded(stream: Iterator[AnyEvent], until_s: float = float("inf")) -> SessionState:
    """Return the state of a story at a time."""
    state = SessionState()
    for event in stream:
        if event.t_ns > until_s * S:
            break
        fold(state, event)
    return state
