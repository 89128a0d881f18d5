"""Keeping the current directory out of what Python imports, here and in every child.

`python -m` and an empty part of `PYTHONPATH` put it first: in a downloaded repository a `numpy.py`
would run, and a harmless `random.py` would hide the library's. This module imports what Python has
loaded before it, and nothing else.
"""

import os
import sys


def leave_out_current_directory() -> None:
    """Remove the current directory from `sys.path`, and from that of all descendants.

    Where `PYTHONPATH` names it by an absolute path, or Python's installation has it, it was meant
    and stays. txtop itself may have been found in it; its modules are found by its package then.
    """
    # Read when Python starts; torch's compiler starts processes of its own, too.
    os.environ["PYTHONSAFEPATH"] = "1"
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    meant = [part for part in parts if os.path.isabs(part)]
    if "PYTHONPATH" in os.environ:
        os.environ["PYTHONPATH"] = os.pathsep.join(meant)
    try:
        current = os.getcwd()
    except OSError:
        return
    installed = (
        sys.path.index(library) if (library := os.path.dirname(os.__file__)) in sys.path else 0
    )
    sys.path[:] = [
        entry
        for i, entry in enumerate(sys.path)
        if i >= installed or entry in meant or os.path.abspath(entry or current) != current
    ]
