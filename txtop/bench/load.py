"""Loading, in phases without holes: import, config, weights, convert, to_device, first_forward,
compile."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Literal

from txtop import events, models, orders
from txtop.bench import machine
from txtop.bench.failures import Rejected
from txtop.bench.phase_clock import RESOLVE, PhaseClock
from txtop.bench.source import resolve
from txtop.plan import Cell

if TYPE_CHECKING:
    import torch

    from txtop.bench.task import Inputs, Task


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to be measured."""

    task: Task
    family: models.Family
    device: torch.device
    vocabulary: int
    positions: int | None
    threads: int
    seed: int


def load(
    order: orders.Load, clock: PhaseClock, worker: str, send: Callable[[events.AnyEvent], None]
) -> Loaded:
    """Loads what `order` names and sends `load`. Raises `Rejected` where the order is at fault."""
    cell = order.cell

    def say(text: str) -> None:
        send(events.Log(t_ns=perf_counter_ns(), text=text, cell=cell.id))

    def progress(done: int, total: int | None) -> None:
        now = perf_counter_ns()
        send(events.Progress(t_ns=now, cell=cell.id, what="download", done=done, total=total))

    clock.enter("import")
    clock.enter(RESOLVE)
    source = resolve(cell.model, cell.weights, order.allowed, say, progress)
    clock.enter("import")
    threads = cell.threads or machine.default_threads()
    _settle_environment(threads)
    import torch

    _without_torchao()
    from txtop.bench import architecture, attention, int8, precision, weights
    from txtop.bench.encoder import Encoder
    from txtop.bench.task import make_inputs
    from txtop.bench.text_generation import TextGeneration, require_generate

    torch.set_num_threads(threads)
    device = _device(cell)
    kind = models.family_of(source.config)
    model_class = architecture.model_class(source, kind)
    attention.require(model_class, cell.attention, cell.precision, device)
    recipe = int8.recipe(cell.precision, kind, device.type)
    if kind != "encoder":
        require_generate(model_class)

    clock.enter("config")
    config = architecture.configuration(model_class, source)
    cached: Literal["cold", "warm", "unknown"] = weights.page_cache(source.weight_files)

    clock.enter("weights")
    dtype = int8.base_dtype(device.type) if recipe else precision.DTYPES[cell.precision]
    implementation, notes = attention.implementation(cell.attention), list(source.notes)
    if source.weights == "random":
        model = weights.random_model(model_class, config, implementation, dtype, order.seed)
    else:
        model, more = weights.pretrained_model(model_class, config, source, implementation, dtype)
        notes += more
    attention.confirm(model, cell.attention)
    parameters = sum(p.numel() for p in model.parameters())
    converted: float | None = None
    if recipe:
        clock.enter("convert")
        recipe, converted = int8.convert(model, recipe)

    clock.enter("to_device")
    if device.type != "cpu":
        model = model.to(device)
        torch.accelerator.synchronize()

    clock.enter("first_forward")
    text_config = config.get_text_config()
    vocabulary = text_config.vocab_size
    task: Task = (Encoder if kind == "encoder" else TextGeneration)(model, device)
    task.warm()
    if cell.compile != "none":
        clock.enter("compile")
        _compile(task, cell, make_inputs(cell, vocabulary, order.seed, device))
    gc.collect()
    # A full collection over all that torch and transformers made takes 190 ms and would land in
    # whichever token is open. Frozen, no collection takes over 0.1 ms.
    gc.freeze()
    notes += precision.notes(model, cell.precision, dtype, converted, device)
    name, identity = _device_names(device)
    event = events.Load(
        t_ns=0,
        cell=cell.id,
        worker=worker,
        load_s=0.0,
        phases={},
        family=kind,
        weights=source.weights,
        source=source.label,
        parameters=parameters,
        weight_bytes=int8.stored_bytes(model),
        page_cache=cached,
        device=device.type,
        device_name=name,
        device_id=identity,
        threads=threads,
        attention=implementation,
        recipe=recipe,
        converted_share=converted,
        versions=_versions(),
        notes=notes,
    )
    event.load_s, event.phases = clock.stop()
    event.t_ns = perf_counter_ns()
    send(event)
    return Loaded(
        task=task,
        family=kind,
        device=device,
        vocabulary=vocabulary,
        positions=models.positions_of(text_config.to_dict()),
        threads=threads,
        seed=order.seed,
    )


def _compile(task: Task, cell: Cell, inputs: Inputs) -> None:
    """Whole calls: the compiler works once with the hooks that look for NaN and once without, CUDA
    graphs are captured in the last."""
    task.compile(cell)
    for check in (True, False, False):
        task.iterate(inputs, check, None, lambda: None)


def _without_torchao() -> None:
    """transformers imports torchao where it finds it: 0.2 s, and lines on standard error. Here it
    is used directly, by int8 alone."""
    import transformers.utils

    setattr(transformers.utils, "is_torchao_available", lambda *_: False)  # noqa: B010


def _settle_environment(threads: int) -> None:
    """Before torch is imported: threads of its libraries, no network, no chatter."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TQDM_DISABLE"] = "1"


def _device(cell: Cell) -> torch.device:
    """What the cell names; `auto` is the first accelerator that there is, else the CPU."""
    name = machine.device_type() if cell.device == "auto" else cell.device
    why = machine.accelerators().get(name)
    if why:
        raise Rejected(f"no {name} device: {why}", "--device cpu, or look at `txtop doctor`")
    import torch

    return torch.device(name)


def _device_names(device: torch.device) -> tuple[str, str | None]:
    """What it is called, and the UUID by which NVML knows it."""
    import torch

    if device.type == "cpu":
        return machine.cpu_name(), None
    if device.type == "mps":
        return f"{machine.cpu_name()} GPU", None
    properties = getattr(torch, device.type).get_device_properties(device)
    return properties.name, f"GPU-{properties.uuid}" if device.type == "cuda" else None


def _versions() -> dict[str, str]:
    import torch
    import transformers

    found = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
    }
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found
