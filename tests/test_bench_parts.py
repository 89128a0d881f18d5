"""The parts of the worker that need no torch, in this process."""

from __future__ import annotations

import errno
import json
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import tiny

from txtop.plan.cell import Cell, Weights
from txtop.plan.plan import Allowed
from txtop.protocol import codec, commands, events
from txtop.worker import failures
from txtop.worker.command_queue import Cancelled, CommandQueue
from txtop.worker.event_writer import STEP_BATCH_NS, EventWriter
from txtop.worker.failures import RejectedError
from txtop.worker.loading import gguf, hub, source
from txtop.worker.loading.phase_timer import RESOLVE, PhaseTimer
from txtop.worker.tasks.token_timer import TokenTimer


def test_the_prompt_is_no_token_and_gaps_sum_to_the_last_token() -> None:
    sent: list[tuple[int, list[int]]] = []
    clock = TokenTimer(lambda first, gaps: sent.append((first, gaps)), lambda: None)
    clock.start()
    clock.put("prompt")
    for _ in range(5):
        time.sleep(0.002)
        clock.put("token")
    clock.end()
    clock.flush()
    clock.flush()
    assert len(clock.gaps_ns) == 5
    assert clock.start_ns + sum(clock.gaps_ns) == clock.last_ns
    assert sent == [(0, clock.gaps_ns)]


def test_steps_travel_in_batches_of_50_to_100_ms() -> None:
    assert 50_000_000 <= STEP_BATCH_NS <= 100_000_000
    sent: list[tuple[int, list[int]]] = []
    clock = TokenTimer(lambda first, gaps: sent.append((first, gaps)), lambda: None)
    clock.start()
    clock.put("prompt")
    for _ in range(30):
        time.sleep(0.01)
        clock.put("token")
    clock.flush()
    assert [gap for _, gaps in sent for gap in gaps] == clock.gaps_ns
    assert [first for first, _ in sent] == [
        sum(len(g) for _, g in sent[:i]) for i in range(len(sent))
    ]
    assert all(sum(gaps) >= STEP_BATCH_NS for _, gaps in sent[:-1])
    assert 2 <= len(sent) <= 6


def test_a_streamer_that_is_a_step_late_is_found_out() -> None:
    # In time: token k comes after pass k. Late: after pass k + 1, the last one without a pass.
    for passes, late in (([1, 2, 3], False), ([2, 3, 3], True), ([2, 3, 4], True)):
        clock = TokenTimer(None, lambda: None)
        clock.start()
        clock.put("prompt")
        for count in passes:
            clock.forwards = count
            clock.put("token")
        assert clock.late is late


def test_phases_have_no_holes_and_leave_the_search_for_the_model_out() -> None:
    entered: list[str] = []
    started = time.perf_counter_ns() - 500_000_000
    clock = PhaseTimer(started, entered.append)
    for name, seconds in (("import", 0.01), (RESOLVE, 0.2), ("import", 0.01), ("weights", 0.05)):
        clock.enter(name)
        time.sleep(seconds)
    load_s, phases = clock.stop()
    assert entered == ["import", RESOLVE, "import", "weights"]
    assert set(phases) == {"import", "weights"}
    assert sum(phases.values()) == pytest.approx(load_s, rel=1e-6)
    assert phases["import"] == pytest.approx(0.52, abs=0.05)
    assert load_s == pytest.approx(0.57, abs=0.06)


@pytest.mark.parametrize("ahead_s", [-601, 2**32])
def test_a_start_on_another_clock_is_not_used(ahead_s: int) -> None:
    clock = PhaseTimer(time.perf_counter_ns() + ahead_s * 10**9, lambda _: None)
    clock.enter("import")
    assert clock.stop()[0] < 1.0


def test_cancel_overtakes_the_iterations_of_its_cell() -> None:
    inbox = CommandQueue()
    inbox.check()
    inbox.accept(commands.Iterate(cell="c1", role="measured", index=0))
    inbox.accept(commands.Iterate(cell="c2", role="measured", index=0))
    inbox.accept(commands.Finish(cell="c1"))
    inbox.accept(commands.Cancel(cell="c1"))
    with pytest.raises(Cancelled):
        inbox.check()
    left = [inbox.get(0.1) for _ in range(3)]
    assert [type(order) for order in left] == [commands.Iterate, commands.Finish, commands.Cancel]
    inbox.check()
    assert inbox.get(0.01) is None


def test_a_reader_that_does_not_read_never_holds_up_the_writer() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    emitter = EventWriter(write_end, "w")
    start = time.monotonic()
    for index in range(2000):
        emitter.send(events.Log(t_ns=index, text="x" * 200))
    assert time.monotonic() - start < 1.0
    assert emitter.pending
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(os.fdopen(read_end, "rb")))
    reader.start()
    emitter.drain(10.0)
    assert not emitter.pending
    os.close(write_end)
    reader.join()
    seen = [codec.decode_event(line) for line in got]
    assert [event.t_ns for event in seen if event] == list(range(2000))
    assert {event.src for event in seen if event} == {"w"}


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("error", "status", "wanted", "sticky"),
    [
        (MemoryError(), "oom", None, False),
        (MemoryError("Unable to allocate 2.00 TiB for an array with shape"), "oom", 2 << 40, False),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
                "memory: you tried to allocate 4000000000000 bytes. Error code 12"
            ),
            "oom", 4_000_000_000_000, False,
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.50 GiB."), "oom", 41 << 29, False),
        (RuntimeError("CUDA error: device-side assert triggered"), "failed", None, True),
        (RuntimeError("CUDA error: an illegal memory access"), "failed", None, True),
        (AssertionError("Torch not compiled with CUDA enabled"), "failed", None, False),
        (ValueError("\x1b[31mred\nsecond line"), "failed", None, False),
        (KeyError(), "failed", None, False),
    ],
)  # fmt: skip
def test_failures_are_told_apart(
    error: BaseException, status: str, wanted: int | None, sticky: bool
) -> None:
    failure = failures.classify(error)
    assert (failure.status, failure.wanted_bytes, failure.sticky) == (status, wanted, sticky)
    assert failure.reason and failure.hint
    assert "\n" not in failure.reason and "\x1b" not in failure.reason


def _gguf(architecture: str, key: bytes = b"general.architecture") -> bytes:
    value = architecture.encode()
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", len(key)) + key
    return head + struct.pack("<IQ", 8, len(value)) + value


def test_the_head_of_a_gguf_file(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    for name, model_type in (("llama", "llama"), ("qwen3moe", "qwen3_moe")):
        path.write_bytes(_gguf(name))
        assert gguf.read_model_type(path) == model_type
    for junk in (b"", b"GGUF", b"x" * 100, _gguf("llama", b"general.name"), b"GGUF" + b"\xff" * 99):
        path.write_bytes(junk)
        with pytest.raises(RejectedError):
            gguf.read_model_type(path)


def _resolve(model: str, weights: Weights = "auto") -> tuple[source.ModelSource, list[str]]:
    said: list[str] = []
    return source.resolve_model(model, weights, Allowed(), said.append, lambda *_: None), said


def test_a_local_directory_with_weights(tmp_path: Path) -> None:
    found, said = _resolve(str(tiny.gpt2(tmp_path)))
    assert (found.weights, said) == ("pretrained", [])
    assert found.weight_files == [tmp_path / "model.safetensors"]
    assert _resolve(str(tmp_path), "random")[0].weights == "random"


def test_a_local_directory_with_a_configuration_alone(tmp_path: Path) -> None:
    tiny.gpt2(tmp_path, weights=False)
    found, said = _resolve(str(tmp_path))
    assert found.weights == "random" and len(said) == 1 and "random weights" in said[0]
    assert _resolve(str(tmp_path), "random") == (found, [])
    with pytest.raises(RejectedError) as refused:
        _resolve(str(tmp_path), "pretrained")
    assert "--weights random" in refused.value.hint


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere", "~/nowhere", "a.gguf", "a b", "a/b/c"])
def test_names_that_can_be_nothing(model: str) -> None:
    with pytest.raises(RejectedError) as refused:
        _resolve(model)
    assert refused.value.hint


class FakeHub(BaseHTTPRequestHandler):
    """Answers as the Hub does for one good repository; others are gated, limited, or not there."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.asked.append(self.path)
        if "gated" in self.path:
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif "limited" in self.path:
            self._send(429, b"{}")
        elif "broken" in self.path:
            self._send(500, b"{}")
        elif self.path.startswith("/api/models/someone/"):
            names = ["config.json"] if "pickles" in self.path else list(self.files)
            siblings = [{"rfilename": n, "size": len(self.files[n])} for n in names]
            info = {"id": "someone/good", "modelId": "someone/good", "sha": "a" * 40}
            self._send(200, json.dumps({**info, "siblings": siblings, "tags": []}).encode())
        elif self.path.startswith("/someone/good/resolve/"):
            body = self.files[self.path.rpartition("/")[2]]
            self._send(200, body, {"X-Repo-Commit": "a" * 40, "ETag": f'"{hash(body):x}"'})
        elif self.path == "/":
            self._send(200, b"")
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    # What the code under test writes into the environment is undone with the rest.
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")


@pytest.fixture
def fake_hub(
    tmp_path: Path, empty_cache: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[FakeHub]]:
    directory = tiny.gpt2(tmp_path / "good")
    FakeHub.files = {path.name: path.read_bytes() for path in directory.iterdir()}
    FakeHub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield FakeHub
    server.shutdown()
    server.server_close()


def test_a_hub_repository_is_downloaded_once(fake_hub: type[FakeHub]) -> None:
    steps: list[tuple[int, int | None]] = []
    say: list[str] = []
    found = source.resolve_model(
        "someone/good", "auto", Allowed(), say.append, lambda *step: steps.append(step)
    )
    assert found.weights == "pretrained" and found.label == "hub: someone/good"
    assert [file.name for file in found.weight_files] == ["model.safetensors"]
    total = sum(map(len, fake_hub.files.values()))
    assert steps[0] == (0, total) and steps[-1] == (total, total)
    fake_hub.asked.clear()
    assert _resolve("someone/good")[0].directory == found.directory
    assert fake_hub.asked == []


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("repo", "reason", "hint"),
    [
        ("someone/gated", "gated", "HF_TOKEN"),
        ("someone/limited", "limits the rate", "HF_TOKEN"),
        ("someone/broken", "answered 500", "later"),
        ("someone/pickles", "no safetensors", "another model"),
        ("nobody/gpt2-mediun", "none of that name", "did you mean gpt2-medium?"),
    ],
)
def test_what_the_hub_refuses(fake_hub: type[FakeHub], repo: str, reason: str, hint: str) -> None:
    with pytest.raises(RejectedError, match=reason) as refused:
        _resolve(repo)
    assert hint in refused.value.hint


@pytest.mark.fault(27)
def test_a_full_disk_while_downloading(
    fake_hub: type[FakeHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    with pytest.raises(RejectedError, match="disk is full") as refused:
        _resolve("someone/good")
    assert "HF_HOME" in refused.value.hint


@pytest.fixture
def silent_hub(empty_cache: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Takes connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


def _timed(call: Callable[[], object]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


@pytest.mark.fault(27)
def test_a_hub_that_does_not_answer_costs_2_s_once(silent_hub: None) -> None:
    found: list[tuple[source.ModelSource, list[str]]] = []
    assert _timed(lambda: found.append(_resolve("gpt2"))) < 2.5
    assert found[0][0].weights == "random"
    assert found[0][1][0] == hub.OFFLINE_NOTICE and "random weights" in found[0][1][1]
    # From now on the run is offline, and nothing is asked any more.
    assert _timed(lambda: found.append(_resolve("gpt2"))) < 0.2
    with pytest.raises(RejectedError, match="offline") as refused:
        _resolve("gpt2", "pretrained")
    assert "--weights random" in refused.value.hint
    with pytest.raises(RejectedError, match="no-such-model") as refused:
        _resolve("no-such-model")
    assert "--weights random" not in refused.value.hint and refused.value.hint
    assert _resolve("gpt2", "random")[1] == []


def test_the_order_of_a_cell_survives_the_pipe() -> None:
    order = commands.LoadModel(cell=Cell(id="c1", model="gpt2"), started_ns=1, seed=2)
    assert commands.decode_command(commands.encode_command(order)) == order
