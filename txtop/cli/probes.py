"""The probes of `txtop doctor`: worker, sampler, terminal and disk of this machine.

Apart from the command `doctor`, whose import must stay light.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from tempfile import TemporaryFile

from txtop.errors import RunError
from txtop.formatting import format_gib
from txtop.protocol.probe_reply import Capability, build_probe_command, decode_capability
from txtop.sanitise import sanitise
from txtop.session.catalog import get_sessions_dir
from txtop.session.writer import check_sessions_folder
from txtop.ui.terminal.capabilities import detect_capabilities

PROBE_TIMEOUT_S = 60
LOW_DISK_BYTES = 1 << 30
MARKS = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}


def probe_capabilities(session_dir: Path | None) -> Iterator[Capability]:
    """Yield each capability as soon as it is known.

    The terminal and the session folder's disk come first, then the answers of worker and sampler,
    which probe side by side and take seconds.
    """
    answers: Queue[Capability | None] = Queue()
    modules = ("txtop.sampler", "txtop.worker")
    for module in modules:
        threading.Thread(target=_probe, args=(module, answers.put), daemon=True).start()
    yield _probe_terminal()
    yield _probe_disk(session_dir)
    running = len(modules)
    while running:
        answer = answers.get()
        if answer is None:
            running -= 1
        else:
            yield answer


def format_capability(entry: Capability) -> str:
    """Format one line: state, name, detail, and the next step if there is one."""
    step = f" -> {entry.next}" if entry.next else ""
    return sanitise(f"{MARKS[entry.state]} {entry.capability}: {entry.detail}{step}", 300)


def _probe(module: str, put: Callable[[Capability | None], None]) -> None:
    """Put what a probe prints, what was wrong with it, and `None` at its end."""
    try:
        detail = _read_probe(module, put)
    except (OSError, ValueError) as error:
        detail = str(error)
    if detail:
        put(Capability(module.rpartition(".")[2], "broken", detail, f"{module} --probe"))
    put(None)


def _read_probe(module: str, put: Callable[[Capability], None]) -> str:
    """Put each line of a probe; return why it did not end well, or an empty text.

    Raises `OSError` or `ValueError` for a probe that cannot be started or prints something else.
    """
    with (
        TemporaryFile() as complaints,
        subprocess.Popen(
            build_probe_command(module),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process,
    ):
        late = threading.Timer(PROBE_TIMEOUT_S, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            answered = False
            for line in process.stdout:
                put(decode_capability(line))
                answered = True
            code = process.wait()
        finally:
            is_late = not late.is_alive()
            late.cancel()
            process.kill()
        if is_late:
            return f"no answer within {PROBE_TIMEOUT_S} s"
        if code:
            complaints.seek(0)
            last = complaints.read().decode(errors="replace").strip().splitlines()
            return last[-1] if last else f"exit code {code}"
        return "" if answered else "the probe printed nothing"


def _probe_terminal() -> Capability:
    can = detect_capabilities()
    if not can.screen:
        return Capability("terminal", "missing", f"plain lines: {can.why}")
    is_true = can.depth == "TRUECOLOR"
    colours = "true colour" if is_true else "fewer colours" if can.colour else "no colour"
    detail = f"{colours}, {can.glyphs} glyphs, {can.fps:g} frames per second"
    return Capability("terminal", "ok", detail)


def _probe_disk(session_dir: Path | None) -> Capability:
    folder = (session_dir or get_sessions_dir()).expanduser()
    try:
        place = check_sessions_folder(folder)
    except RunError as error:
        return Capability("session folder", "broken", error.cause, error.hint)
    free = shutil.disk_usage(place).free
    low = free < LOW_DISK_BYTES
    return Capability(
        "session folder",
        "broken" if low else "ok",
        f"{folder}, {format_gib(free)} GiB free",
        "free some space, or name another with --session-dir" if low else "",
    )
