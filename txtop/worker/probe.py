"""The capabilities of the worker on this machine, for `txtop doctor` (`--probe`)."""

from __future__ import annotations

import os
import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.plan.modes import Needs
from txtop.system import cpu, libraries
from txtop.worker.device import check_accelerators, choose_device_type, explain_unused_gpu

if TYPE_CHECKING:
    import torch


def probe() -> list[dict[str, str]]:
    """Return one entry per capability: capability, state (ok, missing, broken), detail, next."""
    entries = [_probe_torch(), _probe_library("transformers"), _probe_gpu(), _probe_cpu_types()]
    entries += [_probe_precisions(), _probe_attention(), _probe_compile()]
    return [*entries, *_probe_modes(), _probe_hub(), _probe_gguf()]


def _build_entry(capability: str, state: str, detail: str, step: str = "") -> dict[str, str]:
    return {"capability": capability, "state": state, "detail": detail, "next": step}


def _probe_torch() -> dict[str, str]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return _build_entry("torch", "broken", str(error), "reinstall torch")
    return _build_entry("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _probe_library(name: str) -> dict[str, str]:
    try:
        return _build_entry(name, "ok", version(name))
    except PackageNotFoundError:
        return _build_entry(name, "broken", "not installed", f"pip install {name}")


def _probe_gpu() -> dict[str, str]:
    import torch

    others = [name for name in ("xpu", "mps") if not check_accelerators()[name]]
    if others:
        return _build_entry(others[0], "ok", "an accelerator that txtop was never tested on")
    why = check_accelerators()["cuda"]
    if not why:
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return _build_entry("cuda", "ok", ", ".join(names))
    state = "broken" if explain_unused_gpu() else "missing"
    if not (torch.version.cuda or torch.version.hip):
        detail, step = "this torch is built for the CPU", "a CUDA build of torch"
        return _build_entry("cuda", state, detail, step)
    if torch.cuda.is_available():
        return _build_entry("cuda", "broken", why, "a torch that is built for this GPU")
    return _build_entry("cuda", state, why, "check the driver: nvidia-smi")


def _probe_cpu_types() -> dict[str, str]:
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    features = cpu.read_cpu_features()
    units = ("avx512_bf16", "amx_bf16", "amx_int8", "avx512_vnni")
    present = [name for name in units if name in features]
    return _build_entry(
        "cpu kernels", "ok", f"{capability}; {', '.join(present) or 'no bf16 or int8 units'}"
    )


def _choose_device() -> torch.device:
    import torch

    return torch.device(choose_device_type())


def _probe_precisions() -> dict[str, str]:
    from txtop.worker.loading import int8

    device = _choose_device().type
    recipes = int8.list_recipes(device)
    slow = " (fp16 is slow on a CPU)" if device == "cpu" else ""
    plain = f"fp32, bf16, fp16{slow}"
    if not recipes:
        return _build_entry("precisions", "missing", f"{plain}; no int8", "pip install torchao")
    return _build_entry("precisions", "ok", ", ".join([plain, *recipes]))


def _probe_modes() -> list[dict[str, str]]:
    """List each precision that needs a library or units of its own, and each scheme of files."""
    from txtop.models import precision_needs, quantised
    from txtop.plan.modes import MODES
    from txtop.worker.device import describe_accelerator

    device = describe_accelerator(_choose_device())
    entries = []
    for mode in MODES:
        if mode.stored_only:
            reason = f"impossible: not made from plain weights, stored so ({mode.stored_only})"
            entries.append(_build_entry(mode.name, "missing", reason))
        elif mode.recipes:
            reason = precision_needs.explain_device(mode.name, mode.needs, device)
            entries.append(_judge_needs(mode.name, reason, mode.needs))
    for method, scheme in quantised.METHODS.items():
        reason = precision_needs.explain_device(method, scheme.needs, device)
        entry = _judge_needs(f"stored {method}", reason, scheme.needs)
        if scheme.widens and entry["state"] == "ok":
            entry["detail"] += "; dequantised at load: transformers has no kernels for it"
        entries.append(entry)
    return entries


def _judge_needs(name: str, impossible: str, needs: Needs) -> dict[str, str]:
    """Build the entry of a precision: ok with versions, missing with the command, or impossible."""
    if impossible:
        return _build_entry(name, "missing", f"impossible here: {impossible}")
    versions = {library: libraries.find_version(library) for library in needs.libraries}
    if lacking := [library for library, number in versions.items() if number is None]:
        return _build_entry(name, "missing", f"needs {' and '.join(lacking)}", needs.install)
    return _build_entry(name, "ok", ", ".join(f"{k} {v}" for k, v in versions.items()))


def _probe_attention() -> dict[str, str]:
    from txtop.worker.loading import attention

    names, lacking = attention.list_implementations(_choose_device())
    without = f"; without {', '.join(lacking)}" if lacking else ""
    return _build_entry("attention", "ok", ", ".join(names) + without)


def _probe_compile() -> dict[str, str]:
    """Check for the compiler that Inductor needs: Triton on a GPU, C++ on a CPU.

    Triton compiles a C file for each kernel, against the header of Python.
    """
    if _choose_device().type == "cuda":
        if find_spec("triton") is None:
            return _build_entry("compile", "missing", "no triton", "pip install triton")
        named = os.environ.get("CC")
        if not any(map(shutil.which, [named] if named else ["gcc", "clang"])):
            lacking = "triton needs a C compiler"
            return _build_entry("compile", "missing", lacking, "install gcc or set CC")
        if not Path(sysconfig.get_path("include"), "Python.h").is_file():
            step = "the headers of this Python: python3-dev, python3-devel"
            return _build_entry("compile", "missing", "triton needs Python.h", step)
        return _build_entry("compile", "ok", "default, reduce-overhead, max-autotune by triton")
    compiler = next(filter(shutil.which, [os.environ.get("CXX", ""), "g++", "clang++"]), None)
    if compiler is None:
        return _build_entry("compile", "missing", "no C++ compiler", "install g++ or set CXX")
    return _build_entry("compile", "ok", f"default, reduce-overhead, max-autotune by {compiler}")


def _probe_hub() -> dict[str, str]:
    from txtop.worker.loading.hub import is_reachable

    if is_reachable():
        return _build_entry("hub", "ok", "the Hugging Face Hub answers")
    step = "built-in names run with random weights; others need a local path"
    return _build_entry("hub", "missing", "the Hugging Face Hub cannot be reached", step)


def _probe_gguf() -> dict[str, str]:
    return _probe_library("gguf")
