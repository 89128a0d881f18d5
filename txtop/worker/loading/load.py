"""Load a model in phases without gaps.

The phases are import, config, weights, convert, to_device, first_forward and compile. See
docs/method.md, "Load and memory".
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Literal

import msgspec

from txtop.models import builtin, decoding_rules, model_config
from txtop.models.local_accelerator import choose_threads
from txtop.models.purpose import find_purpose
from txtop.plan.cell import Cell
from txtop.plan.modes import BY_NAME
from txtop.protocol import commands, events
from txtop.worker import memory
from txtop.worker.device import (
    confine_process,
    explain_unused_gpu,
    find_device,
)
from txtop.worker.failures import RejectedError
from txtop.worker.loading.load_event import build_event
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.phase_timer import RESOLVE, PhaseTimer
from txtop.worker.loading.source import ModelSource, resolve_model

if TYPE_CHECKING:
    import torch


# What the factors of a product are, where that is not the dtype of the weights.
_ARITHMETIC = {"tf32": "tf32", "fp8": "fp8", "int8:bnb": "int8"}
CacheState = Literal["cold", "warm", "part", ""]


def load_model(
    command: commands.LoadModel,
    clock: PhaseTimer,
    worker: str,
    send: Callable[[events.AnyEvent], None],
) -> LoadedModel:
    """Load the model that `command` names, run it once, and send the event `load`.

    Raises `RejectedError` if the command cannot be carried out here.
    """
    cell = command.cell

    def log(text: str, level: Literal["info", "warning"] = "info") -> None:
        send(events.Log(t_ns=perf_counter_ns(), text=text, level=level, cell=cell.id))

    def log_model(text: str) -> None:
        # It names the model itself, and others load it too.
        send(events.Log(t_ns=perf_counter_ns(), text=text))

    def progress(done: int, total: int | None) -> None:
        now = perf_counter_ns()
        send(events.Progress(t_ns=now, cell=cell.id, what="download", done=done, total=total))

    clock.enter("import")
    clock.enter(RESOLVE)
    source = resolve_model(cell.model, cell.weights, command.allowed, log_model, progress)
    drafter: ModelSource | None = None
    if cell.assistant:
        drafter = resolve_model(cell.assistant, cell.weights, command.allowed, log_model, progress)
    clock.enter("import")
    confine_process(cell.device)
    threads = choose_threads(cell)
    configure_environment(threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    if cell.prompts is not None:
        _check_prompts(cell, source, clock)

    def enter(phase: str) -> None:
        clock.enter(phase)
        if phase == "weights" and (total := source.weight_bytes):
            now = perf_counter_ns()
            send(events.Progress(t_ns=now, cell=cell.id, what="load", done=0, total=total))

    if not needs_library(cell, source):
        _hide_torchao()
    loaded = read_model(cell, source, command.seed, threads, enter)
    assistant = None
    if drafter is not None:
        assistant = _read_assistant(cell, drafter, loaded, enter)
        loaded.task.warm()
    unused = _explain_cpu(cell, loaded.device)
    if unused:
        log(unused, "warning")
    from txtop.worker.loading import geometry, storages

    compile_cache: CacheState = ""
    if cell.compile != "none":
        clock.enter("compile")
        compile_cache = _compile(loaded, cell)
    gc.collect()
    # A full collection over the objects of torch and transformers takes 190 ms and would land in
    # some token. With those frozen no collection takes over 0.1 ms.
    gc.freeze()
    event = build_event(loaded, cell, worker)
    event.resident_bytes = memory.read_host_bytes()
    event.mapped_bytes = memory.read_mapped_bytes()
    event.compile_cache = compile_cache
    if (counts := geometry.count_experts(loaded.model)) is not None:
        event.experts, event.experts_per_token = counts
        event.active_parameters = loaded.counted.all - loaded.counted.asleep
    if assistant is not None:
        event.assistant_parameters = assistant.counted.all
        event.assistant_bytes = storages.count_stored_bytes(assistant.model)
        event.notes += [f"{cell.assistant}: {note}" for note in assistant.source.notes]
        if assistant.source.weights == "random":
            event.notes.append("the assistant has random weights: hardly a draft is right")
    event.notes += [unused] if unused else []
    if compile_cache in ("warm", "part"):
        event.notes.append(f"the compiler's cache was {compile_cache}: a first load takes longer")
    event.load_s, event.phases = clock.stop()
    event.t_ns = perf_counter_ns()
    send(event)
    return loaded


def _check_prompts(cell: Cell, source: ModelSource, clock: PhaseTimer) -> None:
    """Encode the prompts of `cell` before weights are read; the time is no part of the load.

    Raises `RejectedError` for prompts that the model cannot read. What a table of positions keeps
    for padding is known once it is loaded.
    """
    from txtop.worker.loading import prompt_ids

    family = find_purpose(source.config, source.directory).family
    clock.enter(RESOLVE)
    encoded = prompt_ids.encode_prompts(cell, source, family)
    positions = model_config.find_max_positions(source.config)
    refusal = prompt_ids.explain_too_long(cell, encoded, family, positions, positions)
    clock.enter("import")
    if refusal:
        raise RejectedError(*refusal)


def read_model(
    cell: Cell, source: ModelSource, seed: int, threads: int, enter: Callable[[str], None]
) -> LoadedModel:
    """Read the weights of `source` in the precision and on the device of `cell`; run them once.

    `enter` is called with each phase, last with that of the first forward pass. Call
    `configure_environment` first: torch reads the environment on import.

    Raises `RejectedError` if the model cannot be loaded as `cell` asks.
    """
    import torch

    from txtop.worker.loading import (
        architecture,
        attention,
        drawn_parts,
        geometry,
        int8,
        kv_cache,
        numerics,
        precision,
        prequantised,
        quantisers,
        spread,
        storages,
        weights,
    )
    from txtop.worker.tasks.encoder import EncoderTask
    from txtop.worker.tasks.text_generation import TextGenerationTask, require_generate

    torch.set_num_threads(threads)
    numerics.set_fp32_products(cell.precision)
    device = find_device(cell.device)
    purpose = find_purpose(source.config, source.directory)
    kind = purpose.family
    model_class = architecture.import_model_class(source, purpose)
    precision.require_precision(cell, device)
    library = prequantised.find_library_load(cell, source, device)
    cell, notes = attention.choose_attention(model_class, cell)
    attention.require_attention(model_class, cell.attention, device)
    attention.require_kernel(cell, source.config, device)
    made = quantisers.find_recipe(cell.precision, device.type)
    recipe = ""
    if made is None and library is None:
        recipe = int8.choose_recipe(
            cell.precision, kind, device.type, compiled=cell.compile != "none"
        )
    require_decoding(cell, kind)
    if kind != "encoder":
        require_generate(model_class)

    enter("config")
    config = architecture.build_config(model_class, source)
    kv_cache.require_cache(cell, model_class, kind, config, device)
    if kind != "encoder":
        architecture.require_generation_config(source)
    spreads = spread.build_load_arguments(cell, model_class, config, device)
    page_cache = weights.classify_page_cache(source.weight_files)

    enter("weights")
    if library is not None:
        dtype = library.dtype
    elif made is not None and made.base:
        dtype = precision.DTYPES[made.base]
    else:
        converts = recipe or made is not None
        dtype = int8.choose_base_dtype(device) if converts else precision.DTYPES[cell.precision]
    implementation = attention.resolve_implementation(cell.attention)
    drawn: tuple[str, ...] = ()
    with architecture.naming_config_faults(model_class, config, source):
        if source.weights == "random":
            model = weights.build_random_model(model_class, config, implementation, dtype, seed)
            if spreads:
                model = weights.spread_model(model, implementation, dtype, spreads)
        else:
            model, drawn = weights.load_pretrained_model(
                model_class, config, source, implementation, dtype, seed, library, spreads
            )
    parts = drawn_parts.name_parts(drawn, (name for name, _ in model.named_parameters()))
    attention.confirm_implementation(model, cell.attention)
    end_token = architecture.prepare_one_pass(model) if kind == "encoder" else None
    if library is None:
        counted = geometry.count_parameters(model, kind)
    else:
        counted = geometry.count_parameters(prequantised.build_plain(model_class, config), kind)
    converted: float | None = None
    if recipe:
        enter("convert")
        recipe, converted = int8.convert(model, recipe)
    arithmetic = "int8" if recipe and "weight-only" not in recipe else ""
    if made is not None:
        arithmetic = made.arithmetic
        enter("convert")
        int8.replace_conv1d(model)
        recipe = quantisers.convert(model, made, device)
        converted = storages.compute_share(
            storages.list_products(model), BY_NAME[cell.precision].bits
        )

    enter("to_device")
    # A quantiser has put its weights where they belong, in layouts of that device, and so have
    # the parts of a model that is spread.
    ranks = 1
    if spreads:
        device = model.device
        ranks, more = spread.describe_spread(cell, model)
        notes = [*notes, *more]
    elif device.type != "cpu" and library is None:
        model = model.to(device)
        torch.accelerator.synchronize()

    enter("first_forward")
    task = (
        EncoderTask(model, device, end_token)
        if kind == "encoder"
        else (TextGenerationTask(model, device))
    )
    # Some quantisers widen their weights in the first pass, others pack them anew.
    task.warm()
    if library is not None:
        recipe = library.describe()
        converted = prequantised.require_scheme(model, cell, library)
    arithmetic = arithmetic or _ARITHMETIC.get(cell.precision, "")
    sizes = None
    if ranks == 1:
        sizes = geometry.build_geometry(model, kind, counted, dtype, arithmetic)
    text_config = config.get_text_config()
    return LoadedModel(
        task=task,
        model=model,
        source=source,
        family=kind,
        device=device,
        vocabulary=text_config.vocab_size,
        stated_positions=model_config.find_max_positions(text_config.to_dict()),
        threads=threads,
        seed=seed,
        counted=counted,
        geometry=sizes,
        dtype=dtype,
        attention=implementation,
        recipe=recipe,
        converted=converted,
        page_cache=page_cache,
        drawn=drawn,
        drawn_parts=tuple(parts),
        end_token=end_token,
        notes=[*architecture.list_unmeasured(source, model_class, purpose), *notes],
        ranks=ranks,
    )


def require_decoding(cell: Cell, family: builtin.Family) -> None:
    """Check that a model of `family` has the decode steps that `cell` asks for.

    Raises `RejectedError` if it has none, or if they cannot be speculative.
    """
    if cell.compile == "decode" and family == "encoder":
        raise RejectedError("an encoder has no decode step", "--compile default")
    missing = decoding_rules.explain_missing_speculation(cell, family)
    if missing:
        raise RejectedError(*missing)


def _read_assistant(
    cell: Cell, source: ModelSource, loaded: LoadedModel, enter: Callable[[str], None]
) -> LoadedModel:
    """Read the model that drafts tokens for `loaded`, in the same precision, on the same device.

    Raises `RejectedError` if it has another vocabulary or makes no text.
    """
    own = msgspec.structs.replace(cell, model=cell.assistant, speculative="none")
    assistant = read_model(own, source, loaded.seed, loaded.threads, enter)
    if assistant.family != "causal":
        raise RejectedError(f"the assistant {cell.assistant} is no decoder", "a smaller decoder")
    if assistant.vocabulary != loaded.vocabulary:
        raise RejectedError(
            f"the assistant has {assistant.vocabulary:,} tokens, the model {loaded.vocabulary:,}",
            "a smaller model of the same family",
        )
    loaded.task.assist(assistant.model)
    return assistant


def _explain_cpu(cell: Cell, device: torch.device) -> str:
    """Return a note if `auto` fell back to the CPU of a machine with a GPU, else ""."""
    if cell.device != "auto" or device.type != "cpu":
        return ""
    why = explain_unused_gpu()
    return f"on the CPU: torch cannot use the NVIDIA GPU of this machine: {why}" if why else ""


def _compile(loaded: LoadedModel, cell: Cell) -> CacheState:
    """Compile the model by running whole calls. Return if the disk had its graphs.

    The compiler runs once with the hooks that look for NaN and once without them; the last call
    captures CUDA graphs.
    """
    from torch._dynamo.utils import counters

    from txtop.worker.tasks.task import make_inputs

    inputs = make_inputs(cell, loaded.vocabulary, loaded.seed, loaded.device, loaded.end_token)
    loaded.task.compile(cell)
    for check in (True, False, False):
        loaded.task.iterate(inputs, check, None, lambda: None)
    # Private: torch counts the graphs that its cache on the disk had and had not.
    hits, misses = (counters["inductor"][f"fxgraph_cache_{name}"] for name in ("hit", "miss"))
    if hits and misses:
        return "part"
    return "warm" if hits else "cold"


def needs_library(cell: Cell, source: ModelSource) -> bool:
    """Return whether Transformers loads the model by a library of quantisation."""
    stored = source.weights == "pretrained" and source.quantisation is not None
    return stored or bool(cell.quantization)


def _hide_torchao() -> None:
    """Keep transformers from importing torchao, which takes 0.2 s and prints to standard error.

    The recipes use torchao directly; only what is loaded by a library needs it in transformers. It
    cannot be shown again in the same process.
    """
    import transformers.utils

    setattr(transformers.utils, "is_torchao_available", lambda *_: False)  # noqa: B010


def configure_environment(threads: int) -> None:
    """Set the threads of the libraries and silence them. Call it before torch is imported."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TQDM_DISABLE"] = "1"
