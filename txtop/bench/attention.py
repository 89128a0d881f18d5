"""The attention implementation: asked for by name, refused where the model has none of it."""

from __future__ import annotations

from typing import Any

from txtop.bench.failures import Rejected
from txtop.plan import ATTENTIONS


def require(model_class: Any, attention: str) -> None:
    """Raises `Rejected` if `model_class` does not offer `attention`."""
    if attention == "sdpa" and not getattr(model_class, "_supports_sdpa", False):
        raise Rejected(f"{model_class.__name__} has no sdpa attention", "--attention eager")


def confirm(model: Any, attention: str) -> str:
    """The implementation the loaded model says it uses; raises `Rejected` if it fell back."""
    used = str(model.config._attn_implementation)
    if used != attention:
        others = " ".join(name for name in ATTENTIONS if name != attention)
        raise Rejected(f"{attention} attention fell back to {used}", f"--attention {others}")
    return used
