"""The probes of `txtop doctor`: worker, sampler, terminal and disk of this machine.

Apart from the command `doctor`, whose import must stay light.
"""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from txtop.errors import RunError
from txtop.formatting import format_gib
from txtop.protocol.probe_reply import Capability, build_probe_command, decode_probe_reply
from txtop.sanitise import sanitise
from txtop.session.catalog import get_sessions_dir
from txtop.session.writer import check_sessions_folder
from txtop.ui.terminal.capabilities import detect_capabilities

PROBE_TIMEOUT_S = 60
LOW_DISK_BYTES = 1 << 30
MARKS = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}


def probe_capabilities(session_dir: Path | None) -> list[Capability]:
    """Probe worker and sampler side by side, then the terminal and the session folder's disk."""
    with ThreadPoolExecutor(2) as pool:
        probes = list(pool.map(_probe, ("txtop.worker", "txtop.sampler")))
    return [*probes[0], *probes[1], _probe_terminal(), _probe_disk(session_dir)]


def format_capabilities(capabilities: list[Capability]) -> list[str]:
    """Format one line a capability: state, name, detail, and the next step if there is one."""
    lines = []
    for entry in capabilities:
        step = f" -> {entry.next}" if entry.next else ""
        lines.append(
            sanitise(f"{MARKS[entry.state]} {entry.capability}: {entry.detail}{step}", 300)
        )
    return lines


def _probe(module: str) -> list[Capability]:
    part = module.rpartition(".")[2]
    try:
        done = subprocess.run(
            build_probe_command(module),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        return decode_probe_reply(done.stdout)
    except subprocess.TimeoutExpired:
        detail = f"no answer within {PROBE_TIMEOUT_S} s"
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()
        detail = last[-1] if last else f"exit code {error.returncode}"
    except (OSError, ValueError) as error:
        detail = str(error)
    return [Capability(part, "broken", detail, f"{module} --probe")]


def _probe_terminal() -> Capability:
    can = detect_capabilities()
    if not can.screen:
        return Capability("terminal", "missing", f"plain lines: {can.why}")
    colours = "true colour" if can.truecolour else "fewer colours" if can.colour else "no colour"
    detail = f"{colours}, {can.glyphs} glyphs, {can.fps:g} frames per second"
    return Capability("terminal", "ok", detail)


def _probe_disk(session_dir: Path | None) -> Capability:
    folder = (session_dir or get_sessions_dir()).expanduser()
    try:
        check_sessions_folder(folder)
    except RunError as error:
        return Capability("session folder", "broken", error.cause, error.hint)
    place = next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    low = free < LOW_DISK_BYTES
    return Capability(
        "session folder",
        "broken" if low else "ok",
        f"{folder}, {format_gib(free)} GiB free",
        "free some space, or name another with --session-dir" if low else "",
    )
