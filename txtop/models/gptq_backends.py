"""The kernels for GPTQ and AWQ that the installed gptqmodel knows.

Their names are read from its source: the import takes seconds, and a wrong name would be found only
after the weights were loaded.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from txtop.errors import did_you_mean

_MEMBER = re.compile(r'^\s+[A-Z0-9_]+ = "([a-z0-9_]+)"', re.MULTILINE)


@lru_cache(maxsize=1)
def list_backends() -> tuple[str, ...]:
    """Return the names, empty where the library is missing or keeps them elsewhere."""
    spec = find_spec("gptqmodel")
    if spec is None or spec.origin is None:
        return ()
    try:
        text = (Path(spec.origin).parent / "utils" / "backend.py").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ()
    return tuple(_MEMBER.findall(text))


def explain_unknown_backend(method: str, backend: object) -> tuple[str, str] | None:
    """Return reason and hint if no kernel of the `method` gptq or awq is called `backend`."""
    names = list_backends()
    if backend is None or not names or str(backend).lower() in names:
        return None
    own = [name for name in names if name.startswith(f"{method}_")]
    reason = f"gptqmodel has no kernel {str(backend)[:40]!a} for {method}"
    return reason, did_you_mean(str(backend).lower(), own, f"known: {', '.join(['auto', *own])}")
