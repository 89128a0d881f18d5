"""The kernels for GPTQ and AWQ that the installed gptqmodel knows.

Of those for AWQ Transformers takes some alone, by older names. All are read from the sources: the
imports take seconds, and a wrong name would be found only after the weights were loaded.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from txtop.errors import did_you_mean

_AWQ_CLASS = re.compile(r"^class AwqBackend\b.*?(?=^\S)", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r'^\s+[A-Z0-9_]+ = "([a-z0-9_]+)"', re.MULTILINE)


@lru_cache(maxsize=2)
def list_backends(method: str) -> tuple[str, ...]:
    """Return the names for `method`, empty where a library is missing or keeps them elsewhere."""
    names = tuple(_MEMBER.findall(_read_source("gptqmodel", "backend.py")))
    if method != "awq":
        return names
    block = _AWQ_CLASS.search(_read_source("transformers", "quantization_config.py"))
    taken = _MEMBER.findall(block[0]) if block else ()
    return tuple(name for name in names if name in taken)


def _read_source(library: str, file: str) -> str:
    """Return the text of a file of the library's `utils`, "" if there is none."""
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        return ""
    try:
        return (Path(spec.origin).parent / "utils" / file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def explain_unknown_backend(method: str, backend: object) -> tuple[str, str] | None:
    """Return reason and hint if no kernel of the `method` gptq or awq is called `backend`."""
    names = list_backends(method)
    if backend is None or not names or str(backend).lower() in names:
        return None
    own = [name for name in names if method == "awq" or name.startswith(f"{method}_")]
    reason = f"there is no kernel {str(backend)[:40]!a} for {method}"
    choices = ", ".join(dict.fromkeys(["auto", *own]))
    return reason, did_you_mean(str(backend).lower(), own, f"known: {choices}")
