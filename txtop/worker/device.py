"""The devices that this process can use."""

from __future__ import annotations


def check_accelerators() -> dict[str, str]:
    """Return, for cuda, xpu (Intel) and mps (Apple), why it is unusable here; "" if it is usable.

    On ROCm torch reports the device type as cuda.
    """
    import torch

    on_cuda = torch.version.cuda or torch.version.hip
    return {
        "cuda": _explain_unusable(
            torch.cuda.is_available(),
            "no GPU is visible" if on_cuda else "torch is built without CUDA",
        ),
        "xpu": _explain_unusable(torch.xpu.is_available(), "this torch finds none"),
        "mps": _explain_unusable(torch.backends.mps.is_available(), "this torch finds none"),
    }


def choose_device_type() -> str:
    """Return the first accelerator type that is usable here, else `cpu`."""
    return next((name for name, why in check_accelerators().items() if not why), "cpu")


def _explain_unusable(usable: bool, why: str) -> str:
    return "" if usable else why
