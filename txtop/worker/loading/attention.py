"""The attention implementations: their names, and the checks that one is available here.

See docs/method.md, "Attention kernels".
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from txtop.models.attention_kernels import CPU_ATTENTIONS, explain_missing_kernel
from txtop.plan.cell import Cell
from txtop.worker.device import describe_accelerator
from txtop.worker.failures import RejectedError

_BACKENDS = {
    "sdpa:flash": SDPBackend.FLASH_ATTENTION,
    "sdpa:efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa:math": SDPBackend.MATH,
    "sdpa:cudnn": SDPBackend.CUDNN_ATTENTION,
}
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


def choose_attention(model_class: Any, cell: Cell) -> tuple[Cell, list[str]]:
    """Return `cell` with an attention that the model has, and a note if that is not the default.

    One that was asked for is never replaced: `require_attention` refuses it.
    """
    lacks = not getattr(model_class, _SUPPORT["sdpa"], False)
    if cell.attention != "sdpa" or cell.attention_asked or not lacks:
        return cell, []
    note = f"attention eager: {model_class.__name__} has no sdpa, the default"
    return msgspec.structs.replace(cell, attention="eager"), [note]


def require_attention(model_class: Any, attention: str, device: torch.device) -> None:
    """Check that the model has `attention`, and that its package is installed.

    `require_kernel` checks the rest.

    Raises `RejectedError` if they do not.
    """
    name = resolve_implementation(attention)
    support = _SUPPORT.get(name)
    if support is not None and not getattr(model_class, support, False):
        raise RejectedError(
            f"{model_class.__name__} has no {attention} attention", "--attention eager"
        )
    if name == "flex_attention" and device.type == "cpu":
        kind = getattr(model_class.config_class, "model_type", "")
        if kind in _BIASED:
            raise RejectedError(
                f"flex on a CPU cannot compile the relative positions of {kind}", "--attention sdpa"
            )
    if name in _PACKAGES and not _installed(name):
        raise RejectedError(
            f"{attention} needs the package {_PACKAGES[name]} or kernels", "--attention sdpa"
        )


def require_kernel(cell: Cell, config: Mapping[str, Any], device: torch.device) -> None:
    """Check that `device` has a kernel for the attention of `cell`.

    Raises `RejectedError` if it has none.
    """
    missing = explain_missing_kernel(cell, describe_accelerator(device), config)
    if missing:
        raise RejectedError(*missing)


def list_implementations(device: torch.device) -> tuple[list[str], list[str]]:
    """Return the implementations available on `device`, and those that lack a package."""
    if device.type == "cpu":
        return list(CPU_ATTENTIONS), []
    accelerator = describe_accelerator(device)
    names = ["eager", "sdpa", *_BACKENDS, "flex", *_PACKAGES]
    # In the precision that every attention knows, so that the device alone decides.
    plain = Cell(id="", model="", precision="fp16")
    cells = {name: msgspec.structs.replace(plain, attention=name) for name in names}
    able = [name for name in names if not explain_missing_kernel(cells[name], accelerator, None)]
    lacking = [name for name in able if name in _PACKAGES and not _installed(name)]
    return [name for name in able if name not in lacking], lacking


def _installed(name: str) -> bool:
    from transformers import utils

    check = "is_flash_attn_2_available" if name.endswith("2") else "is_flash_attn_3_available"
    # Without the package transformers takes the same kernels from the Hub by `kernels`.
    return bool(getattr(utils, check)() or getattr(utils, "is_kernels_available", bool)())


def confirm_implementation(model: Any, attention: str) -> None:
    """Check that the loaded model reports `attention` as its implementation.

    Raises `RejectedError` if it fell back to another.
    """
    used = str(model.config._attn_implementation)
    name = resolve_implementation(attention)
    if used not in (name, _list_hub_kernels().get(name)):
        raise RejectedError(f"{attention} attention fell back to {used}", "--attention eager")


def _list_hub_kernels() -> dict[str, str]:
    """Return the kernel on the Hub that replaces each flash attention without its package."""
    from transformers import modeling_flash_attention_utils

    return getattr(modeling_flash_attention_utils, "FLASH_ATTN_KERNEL_FALLBACK", {})
