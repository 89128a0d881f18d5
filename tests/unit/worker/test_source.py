"""The parts of the worker that need no torch, in this process."""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from support import tiny_models
from txtop.plan.cell import Weights
from txtop.plan.plan import Allowed
from txtop.worker.failures import RejectedError
from txtop.worker.loading import hub, source


def _resolve(model: str, weights: Weights = "auto") -> tuple[source.ModelSource, list[str]]:
    lines: list[str] = []
    return source.resolve_model(model, weights, Allowed(), lines.append, lambda *_: None), lines


def test_a_local_directory_with_weights(tmp_path: Path) -> None:
    resolved, lines = _resolve(str(tiny_models.gpt2(tmp_path)))
    assert (resolved.weights, lines) == ("pretrained", [])
    assert resolved.weight_files == [tmp_path / "model.safetensors"]
    assert _resolve(str(tmp_path), "random")[0].weights == "random"


def test_a_local_directory_with_a_configuration_alone(tmp_path: Path) -> None:
    tiny_models.gpt2(tmp_path, weights=False)
    resolved, lines = _resolve(str(tmp_path))
    assert resolved.weights == "random" and len(lines) == 1 and "random weights" in lines[0]
    assert _resolve(str(tmp_path), "random") == (resolved, [])
    with pytest.raises(RejectedError) as refused:
        _resolve(str(tmp_path), "pretrained")
    assert "--weights random" in refused.value.hint


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere", "~/nowhere", "a.gguf", "a b", "a/b/c"])
def test_names_that_can_be_nothing(model: str) -> None:
    with pytest.raises(RejectedError) as refused:
        _resolve(model)
    assert refused.value.hint


class FakeHub(BaseHTTPRequestHandler):
    """A Hub with one good repository; others are gated, limited, or missing."""

    files: ClassVar[dict[str, bytes]] = {}
    requested: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.requested.append(self.path)
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
    directory = tiny_models.gpt2(tmp_path / "good")
    FakeHub.files = {path.name: path.read_bytes() for path in directory.iterdir()}
    FakeHub.requested = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield FakeHub
    server.shutdown()
    server.server_close()


def test_a_hub_repository_is_downloaded_once(fake_hub: type[FakeHub]) -> None:
    steps: list[tuple[int, int | None]] = []
    say: list[str] = []
    resolved = source.resolve_model(
        "someone/good", "auto", Allowed(), say.append, lambda *step: steps.append(step)
    )
    assert resolved.weights == "pretrained" and resolved.label == "hub: someone/good"
    assert [file.name for file in resolved.weight_files] == ["model.safetensors"]
    total = sum(map(len, fake_hub.files.values()))
    assert steps[0] == (0, total) and steps[-1] == (total, total)
    fake_hub.requested.clear()
    assert _resolve("someone/good")[0].directory == resolved.directory
    assert fake_hub.requested == []


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
def silent_hub(empty_cache: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Start a Hub that takes connections and never answers; yield where they wait."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield server


def _count_asked(hub: socket.socket) -> int:
    """Take the connections that wait and return how many there were."""
    count = 0
    with suppress(BlockingIOError):
        while True:
            hub.accept()[0].close()
            count += 1
    return count


@pytest.mark.fault(27)
def test_a_hub_that_does_not_answer_costs_2_s_once(
    silent_hub: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub.PROBE_TIMEOUT_S == 2.0
    monkeypatch.setattr(hub, "PROBE_TIMEOUT_S", 1.0)
    resolved, lines = _resolve("gpt2")
    assert resolved.weights == "random"
    assert lines[0] == hub.OFFLINE_NOTICE and "random weights" in lines[1]
    assert _count_asked(silent_hub) == 1
    # From now on the run is offline, and nothing is asked any more.
    assert _resolve("gpt2")[1] == lines[1:], "a log has one reason for random weights"
    with pytest.raises(RejectedError, match="offline") as refused:
        _resolve("gpt2", "pretrained")
    assert "--weights random" in refused.value.hint
    with pytest.raises(RejectedError, match="no-such-model") as refused:
        _resolve("no-such-model")
    assert "--weights random" not in refused.value.hint and refused.value.hint
    assert _resolve("gpt2", "random")[1] == []
    assert _count_asked(silent_hub) == 0


def _interrupt(cache: Path) -> None:
    """Take one of the shards of someone/good out of the cache, as an interrupted download does."""
    (snapshot,) = cache.glob("models--someone--good/snapshots/*")
    (snapshot / "model-00002-of-00002.safetensors").unlink()
    for blob in (snapshot.parents[1] / "blobs").iterdir():
        if not any(file.resolve() == blob.resolve() for file in snapshot.iterdir()):
            blob.unlink()


@pytest.mark.fault(47)
def test_an_interrupted_download_is_finished_where_the_hub_is_at_hand_and_else_names_the_rest(
    fake_hub: type[FakeHub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = fake_hub.files.pop("model.safetensors")
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    fake_hub.files |= {name: body + bytes(n) for n, name in enumerate(names)}
    index = {"weight_map": dict(zip("ab", names, strict=True))}
    fake_hub.files["model.safetensors.index.json"] = json.dumps(index).encode()
    assert len(_resolve("someone/good")[0].weight_files) == 2
    _interrupt(tmp_path / "cache")
    fake_hub.requested.clear()
    resolved, _ = _resolve("someone/good")
    assert [file.name for file in resolved.weight_files] == names
    assert any(names[1] in path for path in fake_hub.requested)
    _interrupt(tmp_path / "cache")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(RejectedError, match=f"not complete .{names[1]} missing") as refused:
        _resolve("someone/good")
    assert "Hub" in refused.value.hint
    snapshot = next((tmp_path / "cache").glob("models--someone--good/snapshots/*"))
    with pytest.raises(RejectedError, match=names[1]) as refused:
        _resolve(str(snapshot))
    assert refused.value.hint == "someone/good as the model fetches them"
    assert _resolve(str(snapshot), "random")[0].weights == "random"
