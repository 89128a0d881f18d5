"""The capabilities of the worker on this machine, for `txtop doctor` (`--probe`)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from txtop.protocol.probe_reply import Capability
from txtop.system import compiler, cpu
from txtop.worker.device import check_accelerators, choose_device_type, explain_unused_gpu

if TYPE_CHECKING:
    import torch


_COMPILES = "default, decode, reduce-overhead, max-autotune"


def probe() -> Iterator[Capability]:
    """Yield one capability after the other, those first that import nothing.

    Without a torch that can be imported, the rest is not tried.
    """
    yield _probe_library("transformers")
    yield _probe_gguf()
    torch = _probe_torch()
    yield torch
    if torch.state == "broken":
        return
    yield _probe_gpu()
    yield _probe_cpu_types()
    yield from _probe_precisions()
    yield _probe_attention()
    yield _probe_caches()
    yield _probe_compile()
    yield _probe_hub()


def _probe_torch() -> Capability:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Capability("torch", "broken", str(error), "reinstall torch")
    return Capability("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _probe_library(name: str) -> Capability:
    try:
        return Capability(name, "ok", version(name))
    except PackageNotFoundError:
        return Capability(name, "broken", "not installed", f"pip install {name}")


def _probe_gpu() -> Capability:
    import torch

    others = [name for name in ("xpu", "mps") if not check_accelerators()[name]]
    if others:
        return Capability(others[0], "ok", "an accelerator that txtop was never tested on")
    why = check_accelerators()["cuda"]
    if not why:
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Capability("cuda", "ok", ", ".join(names))
    state: Literal["missing", "broken"] = "broken" if explain_unused_gpu() else "missing"
    if not (torch.version.cuda or torch.version.hip):
        detail, step = "this torch is built for the CPU", "a CUDA build of torch"
        return Capability("cuda", state, detail, step)
    if torch.cuda.is_available():
        return Capability("cuda", "broken", why, "a torch that is built for this GPU")
    return Capability("cuda", state, why, "check the driver: nvidia-smi")


def _probe_cpu_types() -> Capability:
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    features = cpu.read_cpu_features()
    units = ("avx512_bf16", "amx_bf16", "amx_int8", "avx512_vnni")
    present = [name for name in units if name in features]
    return Capability(
        "cpu kernels", "ok", f"{capability}; {', '.join(present) or 'no bf16 or int8 units'}"
    )


def _choose_device() -> torch.device:
    import torch

    return torch.device(choose_device_type())


def _probe_precisions() -> Iterator[Capability]:
    from txtop.worker import precision_probe
    from txtop.worker.device import describe_accelerator

    device = describe_accelerator(_choose_device())
    versions = [f"{name} {number}" for name, number in precision_probe.list_versions().items()]
    yield Capability("quantisers", "ok", ", ".join(versions) or "none is installed")
    yield from precision_probe.probe_precisions(device)
    yield from precision_probe.probe_schemes(device)


def _probe_attention() -> Capability:
    from txtop.worker.loading import attention

    names, lacking = attention.list_implementations(_choose_device())
    without = f"; without {', '.join(lacking)}" if lacking else ""
    return Capability("attention", "ok", ", ".join(names) + without)


def _probe_caches() -> Capability:
    from txtop.models.decoding_rules import CACHES, explain_missing_cache
    from txtop.plan.cell import Cell
    from txtop.worker.device import describe_accelerator

    accelerator = describe_accelerator(_choose_device())
    missing = {
        name: explain_missing_cache(Cell(id="", model="", cache=name), "causal", accelerator)
        for name in CACHES
    }
    able = [name for name, refusal in missing.items() if refusal is None]
    lacking = [name for name in missing if name not in able]
    without = f"; without {', '.join(lacking)}" if lacking else ""
    packages = {kind.package for name, kind in CACHES.items() if name in lacking} - {""}
    step = f"pip install {' '.join(sorted(packages))}" if packages else ""
    return Capability("kv caches", "ok", ", ".join(able) + without, step)


def _probe_compile() -> Capability:
    kind = _choose_device().type
    if missing := compiler.explain_missing_compiler(kind):
        return Capability("compile", "missing", *missing)
    maker = "triton" if kind == "cuda" else compiler.find_cpp_compiler()
    return Capability("compile", "ok", f"{_COMPILES} by {maker}")


def _probe_hub() -> Capability:
    from txtop.worker.loading.hub import is_reachable

    if is_reachable():
        return Capability("hub", "ok", "the Hugging Face Hub answers")
    step = "built-in names run with random weights; others need a local path"
    return Capability("hub", "missing", "the Hugging Face Hub cannot be reached", step)


def _probe_gguf() -> Capability:
    return _probe_library("gguf")
