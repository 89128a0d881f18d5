"""A worker without torch over the real pipe. The model's name selects its behaviour:

ok, dies-in-load, aborts (in the second measured iteration), oom, rejects, junk, escapes, slow (10 s
a token, looks at cancel every 10 ms), deaf (as slow, but never looks), stuck-in-load,
computes-in-load, reads-in-load, compiles-in-load (in a child): for two seconds without an event,
spins (computes for a minute in its first iteration), sticky (a CUDA error that ends the process),
breaks (an error of its second measured iteration after which the process can go on), killed… (by
SIGKILL), GPU-… (is on that GPU), mortal (the third and fourth worker of a run die in their tenth
measured iteration), nan (its output is), absent (the Hub has none of that name), crowded (the third
worker finds no memory), exclusive (its GPU admits one worker at a time, by a lock on the file
TXTOP_FAKE_GPU), mute (dies when its output is to be compared), holds-N (runs out of memory with a
batch above N), GPU-lost (dies when it is to be profiled), GPU-stuck (hangs there), hogged (on
cuda:1 half as slow again beside another worker at work, by locks on the file TXTOP_FAKE_GPU),
emulates (in bf16 as slow from its first call on),
emulates-deaf (so, and as deaf), overflows (in bf16 its calls make NaN), untrained
(has random weights when its output is compared). As a
server each batch takes 10 ms: slow (40 ms), dies-serving (at the twentieth request), starves (out
of memory there). In bf16 everything takes half as long, and in int8 a hundredth longer.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter_ns
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import streams
from txtop.plan.cell import Cell
from txtop.protocol import codec, commands, events
from txtop.worker.command_queue import Cancelled
from txtop.worker.serving.batcher import Batcher, RequestQueue, StatusReporter, serve_batches

ESCAPES = "\x1b[31mred\x1b]52;c;AAAA\x07 \x9b1m \u202eevil\u200b [/] [@click=app.quit]x[/]"


def compute(until_s: float) -> None:
    while time.monotonic() < until_s:
        sum(range(1000))


def read(until_s: float) -> None:
    """Read a little, mostly waiting, as from a slow disk."""
    with Path(__file__).open("rb", buffering=0) as file:
        while time.monotonic() < until_s:
            file.seek(0)
            file.read(8192)
            time.sleep(0.02)


def compile_in_child(until_s: float) -> None:
    if not (child := os.fork()):
        compute(until_s)
        os._exit(0)
    os.waitpid(child, 0)


SILENT_WORK = {
    "computes-in-load": compute,
    "reads-in-load": read,
    "compiles-in-load": compile_in_child,
}


class Fake:
    def __init__(self, name: str) -> None:
        self.name = name
        self.model = self.precision = self.device = ""
        self.measured = 0
        self.prepared: Cell | None = None
        self.inbox: SimpleQueue[commands.WorkerCommand] = SimpleQueue()
        self.cancelled = threading.Event()

    def read(self) -> None:
        for line in sys.stdin.buffer:
            order = commands.decode_command(line)
            if isinstance(order, commands.Cancel):
                self.cancelled.set()
            self.inbox.put(order)
        os._exit(0)

    def send(self, event: events.AnyEvent) -> None:
        event.src = self.name
        os.write(1, codec.encode_event(event))

    def run(self) -> None:
        while True:
            order = self.inbox.get()
            if isinstance(order, commands.Find):
                self.find(order.cell)
            elif isinstance(order, commands.LoadModel):
                self.load(order)
            elif isinstance(order, commands.Prepare):
                cell, self.prepared = order.cell.id, order.cell
                if self.model.startswith("holds-") and self.exceeds(order.cell):
                    now = perf_counter_ns()
                    self.send(
                        events.CellFinished(t_ns=now, cell=cell, status="oom", reason="too big")
                    )
                    continue
                self.send(
                    events.Workload(
                        t_ns=perf_counter_ns(), cell=cell, inputs_sha256="ab", threads=1
                    )
                )
            elif isinstance(order, commands.Inspect):
                self.send(events.Kernels(t_ns=perf_counter_ns(), cell=order.cell))
            elif isinstance(order, commands.Iterate):
                for index in range(order.index, order.index + order.count):
                    self.iterate(order, index)
            elif isinstance(order, commands.Serve):
                self.serve(order)
            elif isinstance(order, commands.Arrive | commands.Close):
                pass
            elif isinstance(order, commands.Compare):
                self.compare(order)
            elif isinstance(order, commands.Profile):
                self.profile(order)
            elif isinstance(order, commands.Finish):
                now = perf_counter_ns()
                self.send(events.Memory(t_ns=now, cell=order.cell, host_bytes=1 << 20))
            elif isinstance(order, commands.Cancel):
                self.cancelled.clear()
                self.send(events.Phase(t_ns=perf_counter_ns(), cell=order.cell, name="idle"))
            else:
                return

    def find(self, cell: Cell) -> None:
        now = perf_counter_ns()
        if "absent" in (cell.model, cell.assistant):
            self.send(events.CellRejected(t_ns=now, cell=cell.id, reason="absent is nowhere"))
        else:
            self.send(events.Phase(t_ns=now, cell=cell.id, name="idle"))

    def load(self, order: commands.LoadModel) -> None:
        self.model, self.precision = order.cell.model, order.cell.precision
        self.device = order.cell.device
        now, cell = perf_counter_ns(), order.cell.id
        self.send(events.Phase(t_ns=now, cell=cell, name="weights"))
        if self.model == "dies-in-load":
            os._exit(3)
        if self.model == "stuck-in-load":
            time.sleep(60)
        if self.model in SILENT_WORK:
            SILENT_WORK[self.model](time.monotonic() + 2.0)
        if self.model == "rejects":
            self.send(
                events.CellRejected(
                    t_ns=now, cell=cell, reason="no such model", hint="a local path"
                )
            )
            return
        if self.model == "oom":
            self.send(
                events.CellFinished(
                    t_ns=now, cell=cell, status="oom", reason="too big", wanted_bytes=1 << 40
                )
            )
            return
        if self.model == "crowded" and self.name == "worker:3":
            self.send(events.CellFinished(t_ns=now, cell=cell, status="oom", reason="crowded"))
            return
        if self.model == "exclusive" and not self.take_gpu():
            self.send(
                events.CellFinished(
                    t_ns=now, cell=cell, status="failed", reason="busy", sticky=True, busy=True
                )
            )
            os._exit(70)
        if self.model == "escapes":
            self.send(events.Log(t_ns=now, text=ESCAPES, cell=cell))
        if self.model == "junk":
            os.write(1, b'{"kind":\n\xff\xfe\n[1]\n{"kind":"nonsense","t_ns":1}\n')
            self.send(events.Memory(t_ns=now, cell="c999"))
            os.write(1, b"x" * (1 << 21) + b"\n")
        notes = [ESCAPES] if self.model == "escapes" else []
        gpu = self.model if self.model.startswith("GPU-") else None
        device = "cuda:0" if gpu or self.model in ("sticky", "breaks") else "cpu"
        self.send(streams.load(now, cell, notes=notes, device=device, device_id=gpu))

    def exceeds(self, cell: Cell) -> bool:
        """Return True if the batch is above the number in the model's name."""
        return cell.batch_size > int(self.model.removeprefix("holds-"))

    def take_gpu(self) -> bool:
        """Lock the GPU until this process ends."""
        self.gpu = open(os.environ["TXTOP_FAKE_GPU"], "w")  # noqa: SIM115
        try:
            fcntl.flock(self.gpu, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def count_neighbours(self) -> float:
        """Return 1.5 on `cuda:1` while another worker iterates, else 1; lock the file meanwhile."""
        self.gpu = open(os.environ["TXTOP_FAKE_GPU"], "a")  # noqa: SIM115
        if self.device != "cuda:1":
            fcntl.flock(self.gpu, fcntl.LOCK_SH)
            return 1.0
        try:
            fcntl.flock(self.gpu, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 1.5
        # Others must not wait for this one.
        fcntl.flock(self.gpu, fcntl.LOCK_UN)
        return 1.0

    def serve(self, order: commands.Serve) -> None:
        assert self.prepared is not None and self.prepared.serving is not None
        most = self.prepared.serving.max_batch
        queue = RequestQueue(order.cell, self)
        reporter = StatusReporter(order.cell, most, self.send, perf_counter_ns)
        with suppress(Cancelled, MemoryError):
            serve_batches(queue, Batcher(most, 0), reporter, self.answer, perf_counter_ns)

    def answer(self, batch: list[commands.Arrive]) -> None:
        start = perf_counter_ns()
        end = start + (40_000_000 if self.model == "slow" else 10_000_000)
        self.measured += sum(request.role == "measured" for request in batch)
        if self.measured > 20 and self.model == "dies-serving":
            os.abort()
        if self.measured > 20 and self.model == "starves":
            self.send(
                events.CellFinished(
                    t_ns=start, cell=batch[0].cell, status="oom", reason="out of memory"
                )
            )
            raise MemoryError
        while (left := end - perf_counter_ns()) > 0:
            time.sleep(max(0.0, left / 1e9 - 0.0002))
        for request in batch:
            self.send(
                events.Request(
                    t_ns=perf_counter_ns(),
                    cell=request.cell,
                    index=request.index,
                    role=request.role,
                    arrival_ns=request.arrival_ns,
                    sent_ns=request.sent_ns,
                    start_ns=start,
                    first_ns=start + (end - start) // 4,
                    end_ns=end,
                    gaps_ns=[(end - start) // 4] * 3,
                    prompt_tokens=8,
                    tokens=4,
                    batch=len(batch),
                    computed=12,
                )
            )

    # As a source of orders

    def get(self, timeout_s: float | None) -> commands.WorkerCommand | None:
        try:
            return self.inbox.get(timeout=timeout_s) if timeout_s else self.inbox.get_nowait()
        except Empty:
            return None

    def check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled

    def accept(self, order: commands.WorkerCommand) -> None:
        self.inbox.put(order)

    def compare(self, order: commands.Compare) -> None:
        cell, reference = order.cell.id, order.reference.id
        if order.cell.model == "mute":
            os.abort()
        now = perf_counter_ns()
        self.send(
            events.FidelityProgress(t_ns=now, cell=cell, reference=reference, done=1, total=2)
        )
        invalid = 3 if order.cell.model == "nan" else 0
        figures: dict[str, Any] = {} if invalid else {"kld": 0.004, "top1": order.positions}
        self.send(
            events.Fidelity(
                t_ns=now,
                cell=cell,
                reference=reference,
                weights="random" if order.cell.model == "untrained" else "pretrained",
                positions=order.positions,
                invalid=invalid,
                texts=(ESCAPES, "a", "b"),
                **figures,
            )
        )

    def profile(self, order: commands.Profile) -> None:
        if order.cell.model == "GPU-lost":
            os.abort()
        if order.cell.model == "GPU-stuck":
            time.sleep(60)
        step = events.DevicePhase(
            steps=8, host_ns=1_000_000, busy_ns=340_000, kernels=312.0, launches=310.0
        )
        self.send(
            events.DeviceTime(t_ns=perf_counter_ns(), cell=order.cell.id, prefill=step, decode=step)
        )

    def iterate(self, order: commands.Iterate, index: int) -> None:
        self.measured += order.role == "measured"
        if self.model == "mortal" and self.name in ("worker:3", "worker:4") and self.measured > 9:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.model == "aborts" and order.role == "measured" and index > 2:
            for number in range(60):
                sys.stderr.write(f"line {number} {ESCAPES}\n")
            sys.stderr.flush()
            os.abort()
        if self.model == "sticky":
            now = perf_counter_ns()
            self.send(
                events.CellFinished(
                    t_ns=now, cell=order.cell, status="failed", reason="CUDA error", sticky=True
                )
            )
            os._exit(70)
        if self.model == "breaks" and index > 3:
            self.measured = 0
            now = perf_counter_ns()
            self.send(
                events.CellFinished(t_ns=now, cell=order.cell, status="failed", reason="ValueError")
            )
            return
        if self.model == "spins":
            compute(time.monotonic() + 60)
        if self.model.startswith("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        start = perf_counter_ns()
        emulates = self.model.startswith("emulates") and self.precision == "bf16"
        if emulates or (self.model in ("slow", "deaf") and order.role == "measured"):
            for _ in range(1000):
                if self.cancelled.is_set() and not self.model.endswith("deaf"):
                    return
                time.sleep(0.01)
        wobble = 1 + (index * 7919 % 13 - 6) / 2000
        pace = {"bf16": 0.5, "int8": 1.01}.get(self.precision, 1.0) * wobble
        if self.model == "hogged":
            pace *= self.count_neighbours()
        gaps = [int(pace * ns) for ns in (2_000_000, 1_000_000, 1_000_000, 1_000_000)]
        time.sleep(sum(gaps) / 1e9)
        if self.model == "hogged":
            fcntl.flock(self.gpu, fcntl.LOCK_UN)
        now = perf_counter_ns()
        self.send(
            events.TokenTimings(t_ns=now, cell=order.cell, index=index, first=0, gaps_ns=gaps)
        )
        self.send(
            events.Iteration(
                t_ns=now,
                cell=order.cell,
                index=index,
                role=order.role,
                start_ns=start,
                e2e_ns=sum(gaps),
                ttft_ns=None if self.model == "lags" else gaps[0],
                tokens=4,
                lag=self.model == "lags",
                invalid=3 if self.model == "overflows" and self.precision == "bf16" else 0,
            )
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="worker")
    fake = Fake(parser.parse_args().name)
    threading.Thread(target=fake.read, daemon=True).start()
    fake.run()
