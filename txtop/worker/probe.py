"""The capabilities of the worker on this machine, for `txtop doctor` (`--probe`)."""

from __future__ import annotations

import os
import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.system import cpu
from txtop.worker import device as machine

if TYPE_CHECKING:
    import torch


def probe() -> list[dict[str, str]]:
    """Return one entry per capability: capability, state (ok, missing, broken), detail, next."""
    entries = [_torch(), _library("transformers"), _gpu_device(), _fast_cpu_types()]
    entries += [_precisions(), _attention(), _compile()]
    return [*entries, _hub(), _gguf()]


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

    others = [name for name in ("xpu", "mps") if not machine.check_accelerators()[name]]
    if others:
        return _entry(others[0], "ok", "an accelerator that txtop was never tested on")
    why = machine.check_accelerators()["cuda"]
    if not why:
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return _entry("cuda", "ok", ", ".join(names))
    if not (torch.version.cuda or torch.version.hip):
        state = "broken" if machine.explain_unused_gpu() else "missing"
        return _entry("cuda", state, "this torch is built for the CPU", "a CUDA build of torch")
    if torch.cuda.is_available():
        return _entry("cuda", "broken", why, "a torch that is built for this GPU")
    state = "broken" if machine.explain_unused_gpu() else "missing"
    return _entry("cuda", state, why, "check the driver: nvidia-smi")


def _fast_cpu_types() -> dict[str, str]:
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    features = cpu.read_cpu_features()
    units = ("avx512_bf16", "amx_bf16", "amx_int8", "avx512_vnni")
    present = [name for name in units if name in features]
    return _entry(
        "cpu kernels", "ok", f"{capability}; {', '.join(present) or 'no bf16 or int8 units'}"
    )


def _device() -> torch.device:
    import torch

    return torch.device(machine.choose_device_type())


def _precisions() -> dict[str, str]:
    from txtop.worker.loading import int8

    device = _device().type
    recipes = int8.list_recipes(device)
    slow = " (fp16 is slow on a CPU)" if device == "cpu" else ""
    plain = f"fp32, bf16, fp16{slow}"
    if not recipes:
        return _entry("precisions", "missing", f"{plain}; no int8", "pip install torchao")
    return _entry("precisions", "ok", ", ".join([plain, *recipes]))


def _attention() -> dict[str, str]:
    from txtop.worker.loading import attention

    names, lacking = attention.list_implementations(_device())
    without = f"; without {', '.join(lacking)}" if lacking else ""
    return _entry("attention", "ok", ", ".join(names) + without)


def _compile() -> dict[str, str]:
    """Check for the compiler that Inductor needs: Triton on a GPU, C++ on a CPU.

    Triton compiles a C file for each kernel, against the header of Python.
    """
    if _device().type == "cuda":
        if find_spec("triton") is None:
            return _entry("compile", "missing", "no triton", "pip install triton")
        named = os.environ.get("CC")
        if not any(map(shutil.which, [named] if named else ["gcc", "clang"])):
            lacking = "triton needs a C compiler"
            return _entry("compile", "missing", lacking, "install gcc or set CC")
        if not Path(sysconfig.get_path("include"), "Python.h").is_file():
            step = "the headers of this Python: python3-dev, python3-devel"
            return _entry("compile", "missing", "triton needs Python.h", step)
        return _entry("compile", "ok", "default, reduce-overhead, max-autotune by triton")
    compiler = next(filter(shutil.which, [os.environ.get("CXX", ""), "g++", "clang++"]), None)
    if compiler is None:
        return _entry("compile", "missing", "no C++ compiler", "install g++ or set CXX")
    return _entry("compile", "ok", f"default, reduce-overhead, max-autotune by {compiler}")


def _hub() -> dict[str, str]:
    from txtop.worker.loading.hub import is_reachable

    if is_reachable():
        return _entry("hub", "ok", "the Hugging Face Hub answers")
    step = "built-in names run with random weights; others need a local path"
    return _entry("hub", "missing", "the Hugging Face Hub cannot be reached", step)


def _gguf() -> dict[str, str]:
    return _library("gguf")
