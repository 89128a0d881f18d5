"""Ask worker, sampler, terminal and disk what they can do here.

Apart from the command `doctor`, whose import must stay light.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from txtop.sanitise import sanitise
from txtop.session.catalog import get_sessions_dir
from txtop.ui.terminal.capabilities import detect_capabilities

PROBE_TIMEOUT_S = 60


LOW_DISK_BYTES = 1 << 30


MARKS = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}


def probe_capabilities(session_dir: Path | None) -> list[dict[str, str]]:
    """One entry a capability: capability, state (ok, missing, broken), detail, next."""
    with ThreadPoolExecutor(2) as pool:
        probes = list(pool.map(_probe, ("txtop.worker", "txtop.sampler")))
    return [*probes[0], *probes[1], _terminal(), _disk(session_dir)]


def format_capabilities(found: list[dict[str, str]]) -> list[str]:
    """For a person: state, capability, detail, and the next step where there is one."""
    said = []
    for entry in found:
        step = f" -> {entry['next']}" if entry.get("next") else ""
        mark = MARKS.get(entry["state"], entry["state"])
        said.append(sanitise(f"{mark} {entry['capability']}: {entry['detail']}{step}", 300))
    return said


def _probe(module: str) -> list[dict[str, str]]:
    part = module.rpartition(".")[2]
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, "--probe"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        entries: list[dict[str, Any]] = json.loads(done.stdout)["capabilities"]
        return [{k: str(v or "") for k, v in entry.items()} for entry in entries]
    except subprocess.TimeoutExpired:
        detail = f"no answer within {PROBE_TIMEOUT_S} s"
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()
        detail = last[-1] if last else f"exit code {error.returncode}"
    except (OSError, ValueError, KeyError) as error:
        detail = str(error)
    return [{"capability": part, "state": "broken", "detail": detail, "next": f"{module} --probe"}]


def _terminal() -> dict[str, str]:
    can = detect_capabilities()
    if not can.screen:
        detail = f"plain lines: {can.why}"
        return {"capability": "terminal", "state": "missing", "detail": detail, "next": ""}
    colours = "true colour" if can.truecolour else "fewer colours" if can.colour else "no colour"
    detail = f"{colours}, {can.glyphs} glyphs, {can.fps:g} frames a second"
    return {"capability": "terminal", "state": "ok", "detail": detail, "next": ""}


def _disk(session_dir: Path | None) -> dict[str, str]:
    folder = session_dir or get_sessions_dir()
    place = next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    low = free < LOW_DISK_BYTES
    return {
        "capability": "session folder",
        "state": "broken" if low else "ok",
        "detail": f"{folder}, {free / 2**30:.1f} GiB free",
        "next": "free some space, or name another with --session-dir" if low else "",
    }
