"""The program that a process runs: of an interpreter the module or the script, not the interpreter.

Other arguments are left out: they may hold passwords.
"""

from __future__ import annotations

import re
from pathlib import Path

from txtop.sanitise import sanitise

PROC = Path("/proc")
_INTERPRETER = re.compile(r"(pypy|python)[0-9.]*")
# Options of Python that take the next argument.
_WITH_ARGUMENT = ("-W", "-X")
_NAME_CHARACTERS = 60


def read_program(pid: int, name: str, proc: Path = PROC) -> str:
    """Return `name` and what it runs, as `python train.py`; `name` alone where that is unknown."""
    if not _INTERPRETER.fullmatch(name):
        return name
    try:
        raw = (proc / str(pid) / "cmdline").read_bytes()
    except OSError:
        return name
    arguments = iter(raw.decode(errors="replace").split("\0")[1:])
    for argument in arguments:
        if argument in _WITH_ARGUMENT:
            next(arguments, "")
        elif argument == "-m":
            return f"{name} {sanitise(next(arguments, ''), _NAME_CHARACTERS)}".strip()
        elif argument == "-c":
            return name
        elif not argument.startswith("-"):
            script = sanitise(argument.rpartition("/")[2], _NAME_CHARACTERS)
            return f"{name} {script}".strip()
    return name
