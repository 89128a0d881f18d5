"""A process that has imported torch, transformers and the worker, and forks workers from itself.

`python tests/support/warm_server.py SOCKET` serves until its standard input ends. A client sends its
standard streams, arguments, folder and environment, and gets the exit status when the worker ends; a
client that goes takes its worker along. The first argument is the script that the worker runs.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("gpt2.modeling_gpt2", "bert.modeling_bert", "t5.modeling_t5")


def preload() -> None:
    """Import what a worker imports to load and to measure a tiny model."""
    from txtop.worker.loading import load

    load.configure_environment(1)
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    import torch  # noqa: F401

    load._hide_torchao()
    import txtop.worker

    for module in pkgutil.walk_packages(txtop.worker.__path__, "txtop.worker."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in MODELS:
        importlib.import_module(f"transformers.models.{name}")
    gc.collect()
    gc.freeze()


def serve(path: str) -> None:
    """Fork a worker for each client until standard input ends."""
    workers: dict[int, socket.socket] = {}
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(path)
        listener.listen()
        for source in (listener, wake, sys.stdin.fileno()):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    client, _ = listener.accept()
                    workers[pid := start(client)] = client
                    selector.register(client, selectors.EVENT_READ, pid)
                elif key.fileobj == wake:
                    os.read(wake, 4096)
                    reap(workers, selector)
                elif key.data is None:
                    for pid in workers:
                        os.kill(pid, signal.SIGKILL)
                    return
                elif key.data in workers:
                    # The client sends nothing more, so that it can be read means that it is gone.
                    selector.unregister(workers[key.data])
                    os.kill(key.data, signal.SIGKILL)


def reap(workers: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    """Tell the clients of ended workers how they ended."""
    while workers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        client = workers.pop(pid)
        if client in selector.get_map():
            selector.unregister(client)
            client.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
        client.close()


def start(client: socket.socket) -> int:
    """Fork a worker for `client`, and return its process."""
    length, streams, _, _ = socket.recv_fds(client, 4, 3)
    body = bytearray()
    while len(body) < int.from_bytes(length, "big"):
        body += client.recv(65536)
    pid = os.fork()
    if pid:
        for stream in streams:
            os.close(stream)
        return pid
    code: object = 0
    try:
        become_worker(streams, json.loads(body))
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def become_worker(streams: list[int], asked: dict[str, object]) -> None:
    """Take over the streams and the environment of a client, and run the script."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[arg-type]
    sys.argv = list(asked["arguments"])  # type: ignore[call-overload]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.setsid()
    preload()
    serve(sys.argv[1])
