"""The worker as a process over pipes: its measurements, its failures, its end."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from support import tiny_models
from support.gpu import has_gpu
from support.waiting import WAIT_S, wait_until
from support.worker_process import WorkerProcess, of
from txtop.plan.cell import Cell
from txtop.protocol import codec, commands, events
from txtop.system import cpu


@pytest.fixture(scope="module")
def gpt2_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tiny_models.gpt2(tmp_path_factory.mktemp("models") / "gpt2")
    # Everything here would change what is measured, if it leaked in.
    (directory / "generation_config.json").write_text(
        '{"do_sample": true, "temperature": 0.3, "top_k": 5, "num_beams": 4, "max_length": 3,'
        ' "early_stopping": true, "eos_token_id": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 50],'
        ' "repetition_penalty": 1.3, "suppress_tokens": [1, 2], "num_return_sequences": 2}'
    )
    return directory


@pytest.fixture(scope="module")
def worker(gpt2_directory: Path) -> Iterator[WorkerProcess]:
    """Start a worker with the tiny gpt2 loaded, shared by most tests here."""
    process = WorkerProcess("w1", cold=True)
    process.load(Cell(id="c0", model=str(gpt2_directory)))
    yield process
    assert process.close() == 0


def _cell(directory: Path, name: str, prompt: int = 8, new: int = 20, batch: int = 1) -> Cell:
    return Cell(
        id=name, model=str(directory), sequence_length=prompt, new_tokens=new, batch_size=batch
    )


def test_load_has_its_own_clock_and_its_phases_sum_to_it(worker: WorkerProcess) -> None:
    load = of(events.ModelLoaded, worker.seen)[0]
    assert list(load.phases) == ["import", "config", "weights", "to_device", "first_forward"]
    assert sum(load.phases.values()) == pytest.approx(load.load_s, rel=0.05)
    assert load.load_s == pytest.approx((load.t_ns - worker.started_ns) / 1e9, rel=0.05)
    # The class is imported in the import phase, not by whoever needs it first.
    assert load.phases["import"] > 0.8 * load.load_s
    entered = [event.name for event in of(events.Phase, worker.seen)]
    assert list(dict.fromkeys(entered)) == ["import", "resolve", *list(load.phases)[1:]]
    assert {event.src for event in worker.seen} == {"w1"}
    assert {event.seq for event in worker.seen} == {0}


def test_load_says_what_was_loaded(worker: WorkerProcess, gpt2_directory: Path) -> None:
    load = of(events.ModelLoaded, worker.seen)[0]
    assert (load.family, load.weights, load.source) == ("causal", "pretrained", str(gpt2_directory))
    assert (load.parameters, load.weight_bytes) == (9152, 4 * 9152)
    assert (load.device, load.attention, load.worker) == ("cpu", "sdpa", "w1")
    assert load.threads == cpu.choose_thread_count() >= 1
    assert load.device_name and {"torch", "transformers", "python"} <= set(load.versions)


def test_steps_add_up_to_the_iteration(worker: WorkerProcess, gpt2_directory: Path) -> None:
    reported = worker.measure(_cell(gpt2_directory, "sum", new=40), measured=3)
    iterations = of(events.Iteration, reported)
    assert [(i.index, i.role) for i in iterations] == [
        (0, "first"), (1, "warmup"), (2, "measured"), (3, "measured"), (4, "measured"),
    ]  # fmt: skip
    for iteration in iterations:
        gaps: list[int] = []
        for step in of(events.TokenTimings, reported):
            if step.index == iteration.index:
                assert step.first == len(gaps)
                gaps += step.gaps_ns
        assert iteration.tokens == len(gaps) == 40
        assert iteration.ttft_ns == gaps[0]
        assert sum(gaps) == iteration.e2e_ns
        assert iteration.ttft_ns is not None
        tpot_ns = (iteration.e2e_ns - iteration.ttft_ns) / (iteration.tokens - 1)
        assert tpot_ns == pytest.approx(np.mean(gaps[1:]))
        assert not iteration.lag and iteration.invalid == 0 and iteration.encoder_ns is None
    starts = [i.start_ns for i in iterations]
    assert starts == sorted(starts)


def test_one_new_token_has_a_first_token_and_says_so(
    worker: WorkerProcess, gpt2_directory: Path
) -> None:
    reported = worker.measure(_cell(gpt2_directory, "one", new=1))
    for iteration in of(events.Iteration, reported):
        assert iteration.tokens == 1 and iteration.ttft_ns == iteration.e2e_ns
    assert "one new token" in of(events.Workload, reported)[0].notes[0]


def test_inputs_are_seeded_and_hashed(worker: WorkerProcess, gpt2_directory: Path) -> None:
    hashes = []
    for name, prompt, batch in (("a", 8, 2), ("b", 8, 2), ("c", 8, 3), ("d", 9, 2)):
        reported = worker.measure(_cell(gpt2_directory, name, prompt, 4, batch), measured=1)
        hashes.append(of(events.Workload, reported)[0].inputs_sha256)
        assert all(i.tokens == 4 for i in of(events.Iteration, reported))
    assert hashes[0] == hashes[1] and len(set(hashes)) == 3
    assert all(len(digest) == 64 for digest in hashes)


def test_memory_peaks_are_the_cells_own(worker: WorkerProcess, gpt2_directory: Path) -> None:
    big = of(events.Memory, worker.measure(_cell(gpt2_directory, "big", 60, 2, 1500), measured=1))[
        0
    ]
    small = of(events.Memory, worker.measure(_cell(gpt2_directory, "small", 8, 2)))[0]
    assert big.host_bytes and small.host_bytes
    assert big.host_bytes > small.host_bytes + 50_000_000
    assert (big.allocated_bytes, big.reserved_bytes, big.device_bytes) == (None, None, None)
    # A model of this size sits in the caches: what the memory could do is not even tried.
    assert not of(events.DevicePeaks, worker.seen)


def test_cancel_drops_the_open_iteration_and_those_that_wait(
    worker: WorkerProcess, gpt2_directory: Path
) -> None:
    cell = _cell(gpt2_directory, "cancel", new=50)
    worker.send(
        commands.Prepare(cell=cell),
        commands.Iterate(cell="cancel", role="measured", index=0, count=100_000),
    )
    worker.until(events.Iteration, where=lambda i: i.index == 2)
    worker.send(
        commands.Iterate(cell="cancel", role="measured", index=200_000),
        commands.Cancel(cell="cancel"),
    )
    idle = worker.until(events.Phase)
    assert idle.name == "idle" and idle.cell == "cancel"
    assert of(events.Iteration, worker.seen)[-1].index < 99_999
    # And the worker measures on.
    worker.send(commands.Iterate(cell="cancel", role="measured", index=7))
    assert worker.until(events.Iteration).index == 7
    worker.send(commands.Finish(cell="cancel"))
    worker.until(events.Memory)


@pytest.mark.fault(37)
def test_too_long_for_what_was_loaded(worker: WorkerProcess, gpt2_directory: Path) -> None:
    worker.send(
        commands.Prepare(cell=_cell(gpt2_directory, "long", 60, 5)),
        commands.Iterate(cell="long", role="first", index=0),
        commands.Prepare(cell=_cell(gpt2_directory, "fits", 60, 4)),
    )
    rejected = worker.until(events.CellRejected)
    assert rejected.cell == "long" and "(64)" in rejected.reason and rejected.hint
    assert worker.until(events.Workload).cell == "fits"
    assert not [i for i in of(events.Iteration, worker.seen) if i.cell == "long"]


@pytest.mark.fault(22)
def test_out_of_memory_is_a_status_and_the_worker_goes_on(
    worker: WorkerProcess, gpt2_directory: Path
) -> None:
    pid = worker.process.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 300_000_000
    free = resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        worker.send(
            commands.Prepare(cell=_cell(gpt2_directory, "oom", 60, 2, 40_000)),
            commands.Iterate(cell="oom", role="first", index=0, count=3),
        )
        finished = worker.until(events.CellFinished)
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, free)
    assert (finished.cell, finished.status, finished.phase) == ("oom", "oom", "prefill")
    # 40,000 x 60 positions of 16 floats is the smallest tensor that it may have asked for.
    assert finished.wanted_bytes and finished.wanted_bytes >= 40_000 * 60 * 4
    assert finished.reason and finished.hint
    assert "Error" in finished.stderr[-1] and len(finished.stderr) <= 40
    reported = worker.measure(_cell(gpt2_directory, "after"))
    assert len(of(events.Iteration, reported)) == 4
    assert not [e for e in of(events.CellFinished, worker.seen) if e.cell == "after"]


def wait_until_idle(process: psutil.Process) -> None:
    """Wait until a process that was given work has used no CPU time for a second."""
    time.sleep(1)
    used_s = -1.0
    while (now_s := sum(process.cpu_times()[:2])) > used_s + 0.02:
        used_s = now_s
        time.sleep(1)


def test_a_reader_that_pauses_does_not_stop_the_measurement(
    worker: WorkerProcess, gpt2_directory: Path
) -> None:
    cell, count = _cell(gpt2_directory, "pause", new=1), 600
    worker.reading.clear()
    worker.send(
        commands.Prepare(cell=cell),
        commands.Iterate(cell="pause", role="measured", index=0, count=count),
        commands.Finish(cell="pause"),
    )
    before = time.perf_counter_ns()
    wait_until_idle(psutil.Process(worker.process.pid))
    resumed = time.perf_counter_ns()
    worker.reading.set()
    start = len(worker.seen)
    worker.until(events.Memory)
    iterations = of(events.Iteration, worker.seen[start:])
    assert [i.index for i in iterations] == list(range(count))
    # More than a pipe holds was said while nobody read.
    assert sum(len(codec.encode_event(e)) for e in worker.seen[start:]) > 130_000
    assert before < iterations[-1].start_ns < resumed


def test_a_line_that_is_no_order_is_reported(worker: WorkerProcess) -> None:
    assert worker.process.stdin is not None
    worker.process.stdin.write(b'{"order":"dance"}\n' + b"[" * 100_000 + b"\n\xff\n")
    worker.process.stdin.flush()
    for _ in range(3):
        assert worker.until(events.Log).level == "error"


def test_ctrl_c_is_left_to_the_runner(worker: WorkerProcess, gpt2_directory: Path) -> None:
    worker.process.send_signal(signal.SIGINT)
    assert len(of(events.Iteration, worker.measure(_cell(gpt2_directory, "int")))) == 4


def test_nothing_was_printed(worker: WorkerProcess) -> None:
    text = worker.stderr()
    # The one traceback belongs to the cell that ran out of memory.
    assert "Warning" not in text and "[transformers]" not in text
    assert text.count("Traceback") == text.count("RuntimeError") <= 1


def test_random_weights_of_an_encoder(tmp_path: Path) -> None:
    directory = tiny_models.bert(tmp_path, weights=False)
    worker = WorkerProcess()
    cell = Cell(id="e", model=str(directory), precision="bf16", attention="eager", batch_size=3,
                sequence_length=10, threads=2)  # fmt: skip
    load = worker.load(cell)
    assert "random weights" in of(events.Log, worker.seen)[0].text
    assert (load.family, load.weights, load.parameters) == ("encoder", "random", 7344)
    assert (load.weight_bytes, load.attention, load.threads) == (2 * 7344, "eager", 2)
    reported = worker.measure(cell)
    iterations = of(events.Iteration, reported)
    assert len(iterations) == 4 and not of(events.TokenTimings, reported)
    for iteration in iterations:
        assert (iteration.ttft_ns, iteration.tokens, iteration.invalid) == (None, 0, 0)
        assert iteration.e2e_ns > 0
    assert "no new tokens" in of(events.Workload, reported)[0].notes[0]
    # The end of standard input ends it at once.
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    worker.process.wait(WAIT_S)
    assert worker.stderr() == ""


def test_an_encoder_decoder_counts_its_encoder_and_its_nans(tmp_path: Path) -> None:
    file = tiny_models.t5(tmp_path) / "model.safetensors"
    tensors = load_file(file)
    norm = tensors["decoder.final_layer_norm.weight"]
    tensors["decoder.final_layer_norm.weight"] = np.full_like(norm, np.nan)
    save_file(tensors, file, metadata={"format": "pt"})
    worker = WorkerProcess()
    cell = Cell(id="t", model=str(tmp_path), batch_size=2, sequence_length=500, new_tokens=6)
    assert worker.load(cell).family == "seq2seq"
    for iteration in of(events.Iteration, worker.measure(cell)):
        assert iteration.tokens == 6 and iteration.ttft_ns and iteration.encoder_ns
        assert 0 < iteration.encoder_ns < iteration.ttft_ns < iteration.e2e_ns
        wrong = 0 if iteration.role == "measured" else 6 * 2 * tiny_models.VOCABULARY
        assert iteration.invalid == wrong
    assert worker.close() == 0
    assert worker.stderr() == ""


def _rejected(cell: Cell, *, cold: bool = False) -> events.CellRejected:
    worker = WorkerProcess(cold=cold)
    worker.send(commands.LoadModel(cell=cell, started_ns=worker.started_ns, seed=0))
    rejected = worker.until(events.CellRejected)
    worker.send(commands.Prepare(cell=cell), commands.Finish(cell=cell.id))
    worker.until(events.Log)
    if cold:
        assert "libtorch" not in Path(f"/proc/{worker.process.pid}/maps").read_text()
    assert worker.close() == 0
    assert rejected.reason.count("\n") == 0 and rejected.hint
    return rejected


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("model", "hint"),
    [("no-such-model", "gpt2"), ("gpt3", "did you mean gpt2?"), ("./x", "config")],
)
def test_an_unknown_model_is_refused_before_torch_is_imported(model: str, hint: str) -> None:
    rejected = _rejected(Cell(id="c1", model=model), cold=True)
    assert model in rejected.reason and hint in rejected.hint


@pytest.mark.fault(18)
def test_escapes_in_a_name_are_inert() -> None:
    rejected = _rejected(Cell(id="c1", model="evil\x1b]52;c;aGk=\x07\u202emodel"))
    assert "\x1b" not in rejected.reason and "\x07" not in rejected.reason
    assert "\u202e" not in rejected.reason and "\\x1b" in rejected.reason


def test_cuda_that_is_not_there_is_refused(tmp_path: Path) -> None:
    if has_gpu():
        pytest.skip("there is a GPU")
    cell = Cell(id="c1", model=str(tiny_models.gpt2(tmp_path)), device="cuda")
    assert "--device cpu" in _rejected(cell).hint


PARENT = """
import subprocess, sys, time
p = subprocess.Popen([sys.executable, "-m", "txtop.worker"], stdin=int(sys.argv[1]),
                     stdout=subprocess.DEVNULL, pass_fds=[int(sys.argv[1])])
print(p.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.fault(4)
def test_it_ends_with_the_one_that_started_it() -> None:
    # Its standard input stays open here, so only the parent's death can end it.
    read_end, write_end = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(read_end)], stdout=subprocess.PIPE, pass_fds=[read_end]
    )
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # It ignores SIGINT as soon as it is tied to its parent.
        wait_until(lambda: _ignores(pid, signal.SIGINT))
        parent.kill()
        parent.wait()
        wait_until(lambda: not _alive(pid))
    finally:
        parent.kill()
        os.close(read_end)
        os.close(write_end)


def _ignores(pid: int, number: signal.Signals) -> bool:
    _, _, rest = Path(f"/proc/{pid}/status").read_text().partition("SigIgn:")
    return bool(int(rest.split()[0], 16) >> (number - 1) & 1)


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
