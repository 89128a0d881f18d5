"""A configuration as a program of plain Transformers, as a server's command, and as a plan file.

The program loads and calls the model as the worker does, and prints the figure that was measured.
"""

from __future__ import annotations

import shlex
from contextlib import suppress
from string import Template

from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.tuning import find_result
from txtop.errors import UsageError
from txtop.export.text import tuning
from txtop.models import builtin
from txtop.options.plan_file import encode_plan_file
from txtop.options.run_options import RunOptions
from txtop.plan.cell import Cell
from txtop.plan.knobs import KNOBS
from txtop.plan.speculation import get_lookup
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState

_DTYPES = {"fp32": "float32", "tf32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_RECIPES = {
    "torchao weight-only": "Int8WeightOnlyConfig",
    "torchao dynamic": "Int8DynamicActivationInt8WeightConfig",
}
_BACKENDS = {
    "sdpa:flash": "FLASH_ATTENTION",
    "sdpa:efficient": "EFFICIENT_ATTENTION",
    "sdpa:math": "MATH",
    "sdpa:cudnn": "CUDNN_ATTENTION",
}
_CALLS = 20
_HEAD = Template('''"""$title

Plain Transformers; prints what it reaches here.
"""

import gc
import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "$threads"

import time

import torch
from transformers import $names

torch.set_num_threads($threads)
$numerics$load
# A collection over all that was loaded takes long and would land in some call.
gc.collect()
gc.freeze()
''')
_INPUTS = Template("""ids = torch.randint(
    model.config.get_text_config().vocab_size,
    ($batch, $length),
    generator=torch.Generator().manual_seed($seed),
).to(model.device)
mask = torch.ones_like(ids)
""")
_GENERATE = Template("""
# Greedy decoding of exactly $new tokens, whatever the model's own settings say.
start = model.generation_config.decoder_start_token_id
model.generation_config = GenerationConfig(decoder_start_token_id=start or 0)
settings = GenerationConfig(
    max_new_tokens=$new,
    do_sample=False,
    num_beams=1,
    use_cache=True,
    eos_token_id=None,
$arguments)
$compile

def call(ids=ids, mask=mask):
    with torch.inference_mode()$context:
        return model.generate(inputs=ids, attention_mask=mask, generation_config=settings)
""")
_FORWARD = Template("""$compile

def call(ids=ids, mask=mask):
    with torch.inference_mode()$context:
        return model(input_ids=ids, attention_mask=mask)
""")
_TIMING = Template('''

def measure(calls=$calls):
    """Return all work over all time of some calls, in $unit."""
    begun = time.perf_counter()
    for _ in range(calls):
        call()
$wait    return $work * calls / (time.perf_counter() - begun)


if __name__ == "__main__":
    measure(5)
    print(f"{measure():,.1f} $unit")
''')
# Of the classes of transformers those whose projections may be Conv1D.
_CONV1D_CLASSES = ("GPT2", "OpenAIGPT", "ImageGPT", "DecisionTransformer", "Clvp")
_CONV1D = """
# The projections of GPT-2 are no Linear, which the quantiser looks for.
from transformers.pytorch_utils import Conv1D

for parent in list(model.modules()):
    for name, child in list(parent.named_children()):
        if isinstance(child, Conv1D):
            linear = torch.nn.Linear(*child.weight.shape, device="meta")
            linear.weight = torch.nn.Parameter(child.weight.detach().t().contiguous(), False)
            linear.bias = torch.nn.Parameter(child.bias.detach(), False)
            setattr(parent, name, linear.eval())
"""


def build_snippet(state: SessionState, own: CellState) -> str:
    """Build the program of a configuration that was measured.

    Raises:
        UsageError: it was not loaded, or needs what plain Transformers does not have.
    """
    load, cell = own.load, own.cell
    if load is None:
        raise UsageError("the configuration was not loaded", "txtop resume finishes the session")
    lacks = cell.speculative if cell.assistant else ""
    if cell.quantizes_cache or cell.cache == "offloaded":
        lacks = cell.cache
    if cell.prompts is not None:
        lacks = "the prompts of a file"
    if cell.parallel != "none":
        lacks = f"--parallel {cell.parallel}"
    if cell.model.endswith(".gguf"):
        lacks = "a .gguf file"
    if lacks:
        raise UsageError(f"no program for {lacks}", "the command of txtop measures it again")
    is_simple = load.recipe.startswith("torch-dynamic") or load.recipe in _RECIPES
    if cell.precision not in _DTYPES and not is_simple:
        raise UsageError(
            f"no program for {cell.precision}", "the command of txtop measures it again"
        )
    encodes = own.family == "encoder"
    names = [_get_class(own)] + ([] if encodes else ["GenerationConfig"])
    names += ["AutoConfig"] if load.weights == "random" else []
    if not encodes and cell.cache == "static" and cell.compile != "none":
        names.append("CompileConfig")
    kernel = _BACKENDS.get(cell.attention)
    context = f", sdpa_kernel(SDPBackend.{kernel})" if kernel else ""
    head = _HEAD.substitute(
        title=tuning.describe_winner(state, own),
        threads=load.threads,
        names=", ".join(sorted(names)),
        numerics=_build_numerics(cell, kernel),
        load=_build_load(state, own),
    )
    inputs = _INPUTS.substitute(
        batch=cell.batch_size, length=cell.sequence_length, seed=state.plan.seed
    )
    body = (_FORWARD if encodes else _GENERATE).substitute(
        new=cell.new_tokens,
        arguments=_build_arguments(cell),
        compile=_build_compile(cell, encodes=encodes),
        context=context,
    )
    on_gpu = load.device != "cpu"
    timing = _TIMING.substitute(
        calls=_CALLS,
        unit="seq/s" if encodes else "tok/s",
        wait="        torch.accelerator.synchronize()\n" if on_gpu else "",
        work=cell.batch_size * (1 if encodes else cell.new_tokens),
    )
    return head + inputs + body + timing


def _get_class(own: CellState) -> str:
    """Return the class that was measured; an older recording does not name it."""
    if own.load is not None and own.load.model_class:
        return own.load.model_class
    classes = {"causal": "AutoModelForCausalLM", "seq2seq": "AutoModelForSeq2SeqLM"}
    return classes.get(own.family or "", "AutoModel")


def _build_numerics(cell: Cell, kernel: str | None) -> str:
    lines = ""
    if kernel:
        lines += "from torch.nn.attention import SDPBackend, sdpa_kernel\n\n"
    if cell.precision == "tf32":
        lines += 'torch.set_float32_matmul_precision("high")\n'
    return lines


def _build_load(state: SessionState, own: CellState) -> str:
    """Build the lines that load the model in its precision, on its device."""
    load, cell = own.load, own.cell
    assert load is not None
    attention = "flex_attention" if cell.attention == "flex" else own.attention.partition(":")[0]
    dtype = _DTYPES.get(cell.precision) or ("float32" if load.device == "cpu" else "bfloat16")
    source, make = _build_source(state, own)
    lines = source + (
        f"    dtype=torch.{dtype},\n    attn_implementation={attention!r},\n{make}).eval()\n"
    )
    may_differ = not load.model_class or state.plan.allowed.remote_code
    conv1d = _CONV1D if may_differ or load.model_class.startswith(_CONV1D_CLASSES) else "\n"
    if load.recipe.startswith("torch-dynamic"):
        lines += conv1d + (
            "torch.ao.quantization.quantize_dynamic(\n"
            "    model, {torch.nn.Linear}, dtype=torch.qint8, inplace=True\n)\n"
        )
    elif load.recipe in _RECIPES:
        name = _RECIPES[load.recipe]
        lines += conv1d + (
            f"from torchao.quantization import {name}, quantize_\n\n"
            f"quantize_(model, {name}(set_inductor_config=False))\n"
        )
    if load.device != "cpu":
        lines += f"model = model.to({load.device!r})\n"
    return lines


def _build_source(state: SessionState, own: CellState) -> tuple[str, str]:
    """Build the beginning of the call that makes the model, and its last arguments.

    Random weights are drawn, from a configuration that needs no network where it is a built-in one.
    """
    assert own.load is not None
    known_model, name = builtin.find_builtin(own.cell.model), _get_class(own)
    model = known_model.hub_id if known_model is not None else own.cell.model
    trust = "trust_remote_code=True" if state.plan.allowed.remote_code else ""
    if own.load.weights != "random":
        argument = f"    {trust},\n" if trust else ""
        return f"model = {name}.from_pretrained(\n    {model!r},\n", argument
    if known_model is not None:
        values = "".join(f"    {key}={value!r},\n" for key, value in known_model.config.items())
        lines = f"config = AutoConfig.for_model(\n    {known_model.model_type!r},\n{values})\n"
    else:
        arguments = ", ".join(filter(None, [repr(model), trust]))
        lines = f"config = AutoConfig.from_pretrained({arguments})\n"
    make = "from_config" if name.startswith("Auto") else "_from_config"
    note = f"# Random weights, as measured; trained ones: {name}.from_pretrained({model!r}, ...)\n"
    return f"{note}{lines}model = {name}.{make}(\n    config,\n", ""


def _build_arguments(cell: Cell) -> str:
    lines = ""
    if cell.cache == "static":
        lines += '    cache_implementation="static",\n'
    if (lookup := get_lookup(cell.speculative)) is not None:
        lines += f"    prompt_lookup_num_tokens={lookup},\n"
    if cell.cache == "static" and cell.compile != "none":
        mode = "default" if cell.compile == "decode" else cell.compile
        lines += f'    compile_config=CompileConfig(mode="{mode}", dynamic=False),\n'
    else:
        lines += "    disable_compile=True,\n"
    return lines


def _build_compile(cell: Cell, *, encodes: bool) -> str:
    if cell.compile == "none":
        return ""
    if not encodes and cell.cache == "static":
        # Without it generate() compiles on accelerators only.
        return "settings.compile_config._compile_all_devices = True\n"
    mode = "default" if cell.compile == "decode" else cell.compile
    dynamic = ", dynamic=True" if not encodes else ""
    compiled = f'torch.compile(model.forward, mode="{mode}"{dynamic})'
    if cell.compile != "decode":
        return f"model.forward = {compiled}\n"
    return (
        "from functools import wraps\n\n"
        f"plain, step = model.forward, {compiled}\n\n\n"
        "@wraps(plain)\ndef forward(*args, **named):\n"
        '    ids = named.get("decoder_input_ids", named.get("input_ids"))\n'
        "    is_step = ids is not None and ids.shape[1] == 1\n"
        "    return (step if is_step else plain)(*args, **named)\n\n\n"
        "model.forward = forward\n"
    )


def build_program(state: SessionState, own: CellState) -> str:
    """Build the program of a configuration; empty where there is none."""
    with suppress(UsageError):
        return build_snippet(state, own)
    return ""


def build_serve_command(own: CellState) -> str:
    """Return the `transformers serve` line of a configuration; empty where there is none."""
    cell, load = own.cell, own.load
    plain = cell.cache == "dynamic" and cell.speculative == "none" and ":" not in cell.attention
    if load is None or own.family != "causal" or cell.precision not in _DTYPES or not plain:
        return ""
    if cell.precision == "tf32" or cell.compile not in ("none", "default"):
        return ""
    known_model = builtin.find_builtin(cell.model)
    # A server that is told nothing takes every core.
    threads = [f"OMP_NUM_THREADS={load.threads}"] if load.device == "cpu" else []
    parts = [*threads, "transformers", "serve", known_model.hub_id if known_model else cell.model]
    parts += ["--dtype", _DTYPES[cell.precision], "--attn-implementation", own.attention]
    parts += ["--device", load.device]
    parts += ["--compile"] if cell.compile == "default" else []
    parts += ["--continuous-batching"] if cell.batch_size > 1 else []
    return shlex.join(parts)


def build_plan_options(state: SessionState, own: CellState) -> RunOptions:
    """Return the options of `run` that measure a configuration again."""
    given: dict[str, object] = {}
    for knob in KNOBS:
        value = knob.of(own.cell)
        if value != knob.default or knob.field == "model":
            given[knob.option] = [value] if knob.several else value
    if state.plan.seed:
        given["seed"] = state.plan.seed
    if state.plan.allowed.pickles:
        given["allow_pickles"] = True
    if state.plan.allowed.remote_code:
        given["trust_remote_code"] = True
    return RunOptions(**given)


def to_plan_file(state: SessionState, own: CellState) -> bytes:
    """Return the plan file that measures a configuration again."""
    return encode_plan_file(build_plan_options(state, own))


def format_recommendation(state: SessionState, name: str) -> list[str]:
    """Format what the session `name` recommends, and how to use it; empty if it tunes nothing."""
    result = find_result(state)
    lines = tuning.format_tuning(state)
    if result is None:
        return lines
    serve, program = build_serve_command(result.winner), build_program(state, result.winner)
    return lines + tuning.format_use(state, serve, name, has_program=bool(program))


def _require_winner(state: SessionState) -> CellState:
    result = find_result(state)
    if result is not None:
        return result.winner
    if state.race is None:
        raise UsageError("no configuration is named in this session", "txtop tune MODEL names one")
    whys = [tuning.summarise_result(state, state.race), *tuning.explain_absence(state, state.race)]
    name = sanitise(state.header.session, 80) if state.header is not None else "NAME"
    hint = f"txtop show {name} says why each candidate left"
    if not state.is_done:
        hint = f"txtop resume {name} goes on"
    raise UsageError(f"in this race {'; '.join(whys)}", hint)


def to_python(state: SessionState, _finals: FinalMetrics) -> bytes:
    """Return the program of the winner.

    Raises:
        UsageError: there is none, or no program for it.
    """
    return build_snippet(state, _require_winner(state)).encode()


def to_plan(state: SessionState, _finals: FinalMetrics) -> bytes:
    """Return the plan file that measures the winner again. Raises `UsageError` without one."""
    return to_plan_file(state, _require_winner(state))
