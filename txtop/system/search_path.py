"""Keeping the current directory out of what is imported and loaded, here and in every child.

`python -m` and an empty part of `PYTHONPATH` put it first: in a downloaded repository a `numpy.py`
would run, and a harmless `random.py` would hide the library's. This module imports what Python has
loaded before it, and nothing else.
"""

import os
import sys

# An empty or relative part of each is the current directory or lies in it: for Python's modules,
# for the loader's libraries (NVML), and for commands (the compiler that torch.compile calls).
PATH_LISTS = ("PYTHONPATH", "LD_LIBRARY_PATH", "PATH")


def leave_out_current_directory() -> None:
    """Remove the current directory from `sys.path`, and from the lists that descendants inherit.

    Where one names it by an absolute path, or Python's installation has it, it was meant and stays.
    So does the folder that txtop itself was imported from, for the children alone: they run the
    same txtop.
    """
    # Without docstrings, which the libraries read, transformers cannot be imported.
    os.environ.pop("PYTHONOPTIMIZE", None)
    # Read when Python starts; torch's compiler starts processes of its own, too.
    os.environ["PYTHONSAFEPATH"] = "1"
    for name in PATH_LISTS:
        if name in os.environ:
            _write_path_list(name, _read_absolute_parts(name))
    try:
        current = os.getcwd()
    except OSError:
        return
    meant = _read_absolute_parts("PYTHONPATH")
    installed = (
        sys.path.index(library) if (library := os.path.dirname(os.__file__)) in sys.path else 0
    )
    sys.path[:] = [
        entry
        for i, entry in enumerate(sys.path)
        if i >= installed or entry in meant or os.path.abspath(entry or current) != current
    ]
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if root == current and root not in sys.path:
        _write_path_list("PYTHONPATH", [*meant, root])


def build_module_command(module: str, *arguments: str) -> list[str]:
    """Build the command line of a Python process that runs `module` and looks in no folder of its
    caller. Every process of txtop is started by it.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def _read_absolute_parts(name: str) -> list[str]:
    parts = os.environ.get(name, "").split(os.pathsep)
    return [part for part in parts if os.path.isabs(part)]


def _write_path_list(name: str, parts: list[str]) -> None:
    # An empty PATH would be the current directory again.
    if parts:
        os.environ[name] = os.pathsep.join(parts)
    else:
        os.environ.pop(name, None)
