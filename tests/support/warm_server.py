"""A process that has done the imports of a program, and forks programs from itself.

`python tests/support/warm_server.py worker|screen|ray SOCKET` serves until its standard input ends.
A request has the descriptors 0 to 2 of the program and its arguments, folder and environment, or
asks for a terminal, whose other end comes back. The exit status follows when the program has ended;
who goes before that takes the program along.
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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("gpt2.modeling_gpt2", "bert.modeling_bert", "t5.modeling_t5")
NUMBER_BYTES = 4


@dataclass
class Request:
    """A program to run. `script` is a file, or else `code` its text."""

    folder: str
    environment: dict[str, str]
    arguments: list[str]
    script: str = ""
    code: str = ""
    terminal: bool = False
    job_control: bool = False
    ignore_hup: bool = False


def import_worker() -> None:
    """Import what a worker imports to load and to measure a tiny model."""
    from txtop.worker.loading import load

    load.configure_environment(1)
    # The other check of torch starts CUDA, which no fork survives.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    import torch  # noqa: F401

    load._hide_torchao()
    import_package("txtop.worker")
    for name in MODELS:
        importlib.import_module(f"transformers.models.{name}")
    # The first model that is loaded would compile a thousand patterns.
    with suppress(ImportError):
        from transformers.conversion_mapping import get_checkpoint_conversion_mapping

        get_checkpoint_conversion_mapping("gpt2")


def import_screen() -> None:
    import_package("txtop.cli")
    import_package("txtop.ui")


def import_ray() -> None:
    import ray  # noqa: F401

    importlib.import_module("txtop.fleet.engines.ray")


def import_package(name: str) -> None:
    path = importlib.import_module(name).__path__
    for module in pkgutil.walk_packages(path, f"{name}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def serve(path: str) -> Request | None:
    """Fork a process for each request until standard input ends.

    Return the request in the forked process, and None at the end.
    """
    programs: dict[int, socket.socket] = {}
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
                    pid, request = fork(client)
                    if request is not None:
                        return request
                    if pid is None:
                        client.close()
                        continue
                    programs[pid] = client
                    selector.register(client, selectors.EVENT_READ, pid)
                elif key.fileobj == wake:
                    os.read(wake, 4096)
                    reap(programs, selector)
                elif key.data is None:
                    for pid in programs:
                        os.kill(pid, signal.SIGKILL)
                    return None
                elif key.data in programs:
                    # A client sends nothing more, so that it can be read means that it is gone.
                    selector.unregister(programs[key.data])
                    os.kill(key.data, signal.SIGKILL)


def reap(programs: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    """Tell the clients of ended programs how they ended."""
    while programs:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        client = programs.pop(pid)
        if client in selector.get_map():
            selector.unregister(client)
            with suppress(BrokenPipeError):
                client.sendall(pack(os.waitstatus_to_exitcode(status)))
        client.close()


def pack(number: int) -> bytes:
    return number.to_bytes(NUMBER_BYTES, "big", signed=True)


def fork(client: socket.socket) -> tuple[int | None, Request | None]:
    """Fork a process for the request of `client`, which is returned there alone.

    The id of the process is None if the client ended before it had asked.
    """
    length, streams, _, _ = socket.recv_fds(client, NUMBER_BYTES, 3)
    body = bytearray()
    while len(body) < int.from_bytes(length, "big") and (part := client.recv(65536)):
        body += part
    if not length or len(body) < int.from_bytes(length, "big"):
        for stream in streams:
            os.close(stream)
        return None, None
    request = Request(**json.loads(body))
    pid, terminal = os.forkpty() if request.terminal else (os.fork(), -1)
    if pid:
        if request.terminal:
            socket.send_fds(client, [pack(pid)], [terminal])
            streams = [terminal]
        for stream in streams:
            os.close(stream)
        return pid, None
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    return 0, request


def run(request: Request) -> None:
    """Take over folder and environment of a request, open the streams anew, and run its program."""
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    streams = [os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)]
    streams.append(os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False))
    sys.stdin, sys.stdout, sys.stderr = streams
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    if request.job_control:
        from support.terminal_process import become_a_shells_job

        become_a_shells_job()
    if request.ignore_hup:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.argv = [request.script or "-c", *request.arguments]
    if request.script:
        runpy.run_path(request.script, run_name="__main__")
    else:
        scope: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(request.code, "<string>", "exec"), scope)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    os.setsid()
    {"worker": import_worker, "screen": import_screen, "ray": import_ray}[sys.argv[1]]()
    gc.collect()
    gc.freeze()
    if (request := serve(sys.argv[2])) is not None:
        run(request)
