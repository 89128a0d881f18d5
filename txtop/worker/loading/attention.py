"""The attention implementations: their names, and the checks that one is available here.

See docs/method.md, "Attention kernels".
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from txtop.worker.failures import RejectedError

_BACKENDS = {
    "sdpa:flash": SDPBackend.FLASH_ATTENTION,
    "sdpa:efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa:math": SDPBackend.MATH,
    "sdpa:cudnn": SDPBackend.CUDNN_ATTENTION,
}
_ON_A_CPU = ("eager", "sdpa", "sdpa:flash", "sdpa:math", "flex")
# The private class attributes by which transformers itself checks an implementation.
_SUPPORT = {
    "sdpa": "_supports_sdpa",
    "flash_attention_2": "_supports_flash_attn",
    "flash_attention_3": "_supports_flash_attn",
    "flex_attention": "_supports_flex_attn",
}
# torch 2.13 generates C++ for the bias of these that names an undeclared variable.
_BIASED = ("t5", "mt5", "umt5")
_PACKAGES = {"flash_attention_2": "flash-attn", "flash_attention_3": "flash-attn 3 (hopper)"}


def resolve_implementation(attention: str) -> str:
    """Return the name of `attention` in transformers; `use_kernel` selects the kernel of sdpa."""
    return "flex_attention" if attention == "flex" else attention.partition(":")[0]


def use_kernel(attention: str) -> AbstractContextManager[None]:
    """Return a context in which sdpa uses only the kernel that `attention` names, if any."""
    backend = _BACKENDS.get(attention)
    return nullcontext() if backend is None else sdpa_kernel(backend)


def require_attention(
    model_class: Any, attention: str, precision: str, device: torch.device
) -> None:
    """Check that the model, this machine and the precision allow `attention`.

    The kernel behind sdpa does not matter for loading; `require_kernel` checks it.

    Raises `RejectedError` if they do not.
    """
    name = resolve_implementation(attention)
    support = _SUPPORT.get(name)
    if support is not None and not getattr(model_class, support, False):
        raise RejectedError(
            f"{model_class.__name__} has no {attention} attention", "--attention eager"
        )
    if name != "sdpa":
        require_kernel(attention, device)
    if name == "flex_attention" and device.type == "cpu":
        kind = getattr(model_class.config_class, "model_type", "")
        if kind in _BIASED:
            raise RejectedError(
                f"flex on a CPU cannot compile the relative positions of {kind}", "--attention sdpa"
            )
    if name in _PACKAGES:
        if precision == "fp32":
            raise RejectedError(f"{attention} knows fp16 and bf16, not fp32", "--precisions bf16")
        if not _installed(name):
            raise RejectedError(
                f"{attention} needs the package {_PACKAGES[name]}", "--attention sdpa"
            )


def require_kernel(attention: str, device: torch.device) -> None:
    """Check that `device` has the kernel of `attention`.

    Raises `RejectedError` if it does not.
    """
    if device.type == "cpu" and attention not in _ON_A_CPU:
        hint = f"on a CPU: {', '.join(_ON_A_CPU)}"
        raise RejectedError(f"{attention} has no kernels for a CPU", hint)


def list_implementations(device: torch.device) -> tuple[list[str], list[str]]:
    """Return the implementations available on `device`, and those that lack a package."""
    on_cuda = [*_BACKENDS, "flex"]
    names = list(_ON_A_CPU) if device.type == "cpu" else ["eager", "sdpa", *on_cuda]
    if device.type == "cpu":
        return names, []
    return (
        names + [name for name in _PACKAGES if _installed(name)],
        [name for name in _PACKAGES if not _installed(name)],
    )


def _installed(name: str) -> bool:
    from transformers import utils

    check = "is_flash_attn_2_available" if name.endswith("2") else "is_flash_attn_3_available"
    return bool(getattr(utils, check)())


def confirm_implementation(model: Any, attention: str) -> None:
    """Check that the loaded model reports `attention` as its implementation.

    Raises `RejectedError` if it fell back to another.
    """
    used = str(model.config._attn_implementation)
    if used != resolve_implementation(attention):
        raise RejectedError(f"{attention} attention fell back to {used}", "--attention eager")
