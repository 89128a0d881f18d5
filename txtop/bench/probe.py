"""What models can be measured with here: the facts behind `txtop doctor`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def probe() -> list[dict[str, str]]:
    """One entry a capability: capability, state (ok, missing, broken), detail, next."""
    found = [_torch(), _library("transformers"), _gpu_device(), _fast_cpu_types()]
    return [*found, _hub(), _gguf()]


def _entry(capability: str, state: str, detail: str, step: str = "") -> dict[str, str]:
    return {"capability": capability, "state": state, "detail": detail, "next": step}


def _torch() -> dict[str, str]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return _entry("torch", "broken", str(error), "reinstall torch")
    return _entry("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _library(name: str) -> dict[str, str]:
    try:
        return _entry(name, "ok", version(name))
    except PackageNotFoundError:
        return _entry(name, "broken", "not installed", f"pip install {name}")


def _gpu_device() -> dict[str, str]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return _entry("cuda", "ok", ", ".join(names))
    if torch.version.cuda is None:
        return _entry("cuda", "missing", "this torch is built for the CPU", "a CUDA build of torch")
    detail = f"torch for CUDA {torch.version.cuda} finds no device"
    return _entry("cuda", "missing", detail, "check the driver: nvidia-smi")


def _fast_cpu_types() -> dict[str, str]:
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    try:
        text = Path("/proc/cpuinfo").read_text()
        flags = set(text.split("flags", 1)[1].split("\n", 1)[0].split())
    except (OSError, IndexError):
        flags = set()
    wanted = ("avx512_bf16", "amx_bf16", "amx_int8", "avx512_vnni")
    has = [name for name in wanted if name in flags]
    return _entry("cpu kernels", "ok", f"{capability}; {', '.join(has) or 'no bf16 or int8 units'}")


def _hub() -> dict[str, str]:
    from txtop.bench.hub import reachable

    if reachable():
        return _entry("hub", "ok", "the Hugging Face Hub answers")
    step = "built-in names run with random weights; others need a local path"
    return _entry("hub", "missing", "the Hugging Face Hub cannot be reached", step)


def _gguf() -> dict[str, str]:
    return _library("gguf")
