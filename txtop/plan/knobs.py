"""The table of a cell's knobs: the names, labels, values and comparison rule of each.

Command line, plan file, matrix builder, A/B arms, labels, tables, comparison and exports read it. A
new knob is an entry here and a field of `Cell`, which gives its type and its default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from txtop.formatting import format_count
from txtop.plan.cell import Cell
from txtop.plan.model_names import shorten_model_name
from txtop.plan.modes import TYPED, describe
from txtop.plan.parallel import label_parallel, parse_parallel
from txtop.plan.prompt_file import PromptFile, parse_prompt_file
from txtop.plan.quantization import label_quantization, parse_quantization
from txtop.plan.speculation import parse_speculative, shorten_speculative
from txtop.system.device_names import DEVICE_KINDS, parse_device

Section = Literal["What to measure", "Where"]


def _identity(value: Any) -> Any:
    return value


@dataclass(frozen=True, kw_only=True)
class Knob:
    """One field of `Cell` and its names elsewhere."""

    field: str
    """The field of `Cell`; also its name in `ab` and in an arm."""
    option: str
    """The option of `run` without its dashes; also the key in a plan file and in a preset."""
    title: str
    """The heading of its row in the matrix builder."""
    heading: str = ""
    """The heading of its column in a printed table; empty for no column."""
    live: tuple[str, int] | None = None
    """Heading and width of its column in the live table; `None` for no column."""
    ahead: tuple[str, int] | None = None
    """Heading and width of its column in the builder's list of cells; `None` for no column."""
    row: str = ""
    """Its field in a row of the live table, if that has another name."""
    help: str
    """Its line in `txtop run --help` and `txtop ab --help`."""
    list_help: str = ""
    """The end of its line in `txtop run --help` alone: forms that only a list has."""
    hint: str = ""
    """Its line in the matrix builder."""
    explain: Callable[[Any], str] | None = None
    """Its line there for a value under the cursor; "" for `hint`."""
    section: Section = "What to measure"
    """Its group in `txtop run --help`."""
    parse: Callable[[str, str], Any] | None = None
    """Reads a value that was typed; its first argument names the option, for a message."""
    several: bool = True
    """`run` accepts several values and measures each."""
    label: Callable[[Any], str] = str
    """Formats a value for a label that tells cells apart: `batch 8`, `512 tokens`."""
    brief: Callable[[Any], str] | None = None
    """Formats a value for a label in a narrow column, `b8`; `None` for `label`."""
    default_label: str = ""
    """The label of the default, if it is not `label` of its value."""
    note: Callable[[Any], str] = str
    """Formats a value for logs and notes: `length 512`."""
    in_column: Callable[[Any], str] = str
    """Formats a value under the heading of its column."""
    choices: tuple[str, ...] = ()
    """The values that may be typed where the field of `Cell` holds others as well."""
    quiet: bool = True
    """The default is left out of the label of what arms share."""
    offers: tuple[Any, ...] | None = None
    """The values in the matrix builder; `None` for those of its type, `()` for no row."""
    must_agree: bool = True
    """Cells with different values are never compared with each other."""
    work: Callable[[Any], Any] = _identity
    """Returns the part of a value that must agree."""

    @cached_property
    def default(self) -> Any:
        """Return the default of the field of `Cell`."""
        return next(f.default for f in msgspec.structs.fields(Cell) if f.name == self.field)

    @cached_property
    def type(self) -> Any:
        """Return the type of a value, without the `None` of an optional field."""
        if self.choices:
            return Literal[*self.choices]
        hint = _HINTS[self.field]
        if get_origin(hint) in (Union, UnionType):
            (hint,) = (member for member in get_args(hint) if member is not NoneType)
        return hint

    @property
    def values(self) -> tuple[Any, ...]:
        """Return all values of a knob with a fixed set of them, else `()`."""
        return get_args(self.type)

    @property
    def column(self) -> str:
        """Return the name of its field in a row of the live table."""
        return self.row or self.field

    @property
    def is_number(self) -> bool:
        return self.type is int

    @property
    def single(self) -> str:
        """Return its option of `ab`, without the dashes."""
        return self.field.replace("_", "-")

    @property
    def flag(self) -> str:
        """Return its option of `run`, with the dashes."""
        return f"--{self.option.replace('_', '-')}"

    def of(self, cell: Cell) -> Any:
        """Return its value in `cell`; the default length where the prompts have their own."""
        if self.field == "sequence_length" and cell.prompts is not None:
            return self.default
        return getattr(cell, self.field)

    def call(self, cell: Cell) -> str:
        """Return the label of its value in `cell`."""
        if self.field == "model":
            return cell.model_name
        value = self.of(cell)
        return (
            self.default_label
            if self.default_label and value == self.default
            else self.label(value)
        )


_HINTS = get_type_hints(Cell)


def _threads(count: int) -> str:
    return format_count(count, "thread")


def _name_prompts(file: PromptFile | str | None) -> str:
    # The row of a cell has the name already.
    if file is None:
        return "random tokens"
    return file if isinstance(file, str) else file.name


def _get_prompts_work(file: PromptFile | None) -> tuple[str, str] | None:
    return None if file is None else file.work


# In the order of `txtop run --help` and of a command that measures a cell again.
KNOBS = (
    Knob(
        field="model",
        option="models",
        title="models",
        heading="model",
        help="built-in names, local paths, .gguf files, Hub names; default gpt2",
        hint="built-in; + types a path or a Hub name",
        label=shorten_model_name,
        note=shorten_model_name,
        quiet=False,
    ),
    Knob(
        field="precision",
        option="precisions",
        title="precision",
        heading="prec",
        ahead=("prec", 8),
        help="default fp32; a checkpoint that is stored quantised keeps its own",
        hint="int8 = best int8 recipe for this device",
        explain=describe,
        choices=TYPED,
        quiet=False,
    ),
    Knob(
        field="attention",
        option="attention",
        title="attention",
        heading="attn",
        live=("attn", 7),
        ahead=("attention", 10),
        help="default sdpa",
        hint="the kernel; sdpa is the one that PyTorch chooses",
        quiet=False,
    ),
    Knob(
        field="batch_size",
        option="batch_sizes",
        title="batch",
        heading="batch",
        ahead=("batch", 6),
        row="batch",
        help="sequences per batch; default 1",
        list_help="also 1,8,32 or 1-64*2 or 16-64+16",
        hint="sequences per batch; type digits to add",
        label="batch {}".format,
        brief="b{}".format,
        note="batch {}".format,
        quiet=False,
        offers=(1, 2, 4, 8, 16, 32, 64),
    ),
    Knob(
        field="sequence_length",
        option="sequence_lengths",
        title="length",
        heading="len",
        live=("len", 5),
        ahead=("length", 7),
        row="length",
        help="prompt tokens; T5: tokens of the encoder; default 128",
        hint="prompt tokens; T5: tokens of the encoder",
        label="{} tokens".format,
        note="length {}".format,
        offers=(32, 128, 256, 512, 1024, 2048),
    ),
    Knob(
        field="new_tokens",
        option="new_tokens",
        title="new tokens",
        heading="new",
        live=("new", 5),
        ahead=("tokens", 7),
        row="tokens",
        help="default 32; an encoder ignores it",
        hint="generated per request (encoders: none)",
        label="{} new".format,
        note="tokens {}".format,
        offers=(8, 32, 128, 512),
    ),
    Knob(
        field="device",
        option="device",
        title="device",
        help="also cuda:1, or a UUID of nvidia-smi -L; default auto: the GPU if there is one",
        hint="auto: the GPU where there is one",
        section="Where",
        parse=parse_device,
        default_label="device auto",
        offers=DEVICE_KINDS,
        several=False,
        must_agree=False,
    ),
    Knob(
        field="threads",
        option="threads",
        title="threads",
        heading="threads",
        live=("thr", 5),
        ahead=("threads", 8),
        help="threads of the model on a CPU; default all cores but one",
        hint="CPU threads of the model; auto: all cores but one",
        section="Where",
        label=_threads,
        default_label="usual threads",
        note="threads {}".format,
        must_agree=False,
    ),
    Knob(
        field="parallel",
        option="parallel",
        title="parallel",
        heading="parallel",
        live=("parallel", 10),
        help="a model over several devices: tp=2 (ranks), on GPUs pp and auto; default none",
        section="Where",
        parse=parse_parallel,
        label=label_parallel,
        note=label_parallel,
        offers=(),
    ),
    Knob(
        field="compile",
        option="compile",
        title="compile",
        heading="compile",
        help="torch.compile; decode: its steps alone; a load phase of its own; default none",
        label="compile {}".format,
        default_label="not compiled",
        note="compile {}".format,
        offers=(),
    ),
    Knob(
        field="cache",
        option="cache",
        title="cache",
        heading="cache",
        live=("cache", 10),
        help="the KV cache; quantized:int4 and :int8 need hqq, offloaded a GPU; default dynamic",
        label="{} cache".format,
        note="{} cache".format,
        offers=(),
    ),
    Knob(
        field="speculative",
        option="speculative",
        title="speculative",
        heading="speculative",
        live=("drafts", 10),
        help="draft tokens, verify them in one pass: prompt-lookup:10, assistant=MODEL",
        parse=parse_speculative,
        label=shorten_speculative,
        in_column=shorten_speculative,
        default_label="plain decoding",
        note=shorten_speculative,
        offers=(),
    ),
    Knob(
        field="prompts",
        option="prompts",
        title="prompts",
        heading="prompts",
        live=("prompts", 14),
        help="your own texts: a .txt with a prompt a line, or .jsonl; default random tokens",
        parse=parse_prompt_file,
        label=_name_prompts,
        default_label="random tokens",
        note=_name_prompts,
        in_column=_name_prompts,
        offers=(),
        work=_get_prompts_work,
    ),
    Knob(
        field="chat_template",
        option="chat_template",
        title="chat template",
        heading="template",
        live=("template", 9),
        help="of prompts: auto (where the model has one) or off; default auto",
        label="chat template {}".format,
        note="chat template {}".format,
        offers=(),
    ),
    Knob(
        field="prefix_cache",
        option="prefix_cache",
        title="prefix cache",
        heading="prefixes",
        live=("prefixes", 9),
        help="continuous: what prompts begin with alike is computed once; default off",
        label="prefix cache {}".format,
        note="prefix cache {}".format,
        offers=(),
    ),
    Knob(
        field="weights",
        option="weights",
        title="weights",
        help="random: the real architecture, seeded; default auto",
        several=False,
        label="{} weights".format,
        offers=(),
        must_agree=False,
    ),
    Knob(
        field="quantization",
        option="quantization",
        title="quantization",
        help="a library's quantisation configuration: a JSON file, or its text",
        parse=parse_quantization,
        label=label_quantization,
        default_label="no quantization",
        note=label_quantization,
        offers=(),
    ),
)
BY_FIELD = {knob.field: knob for knob in KNOBS}
BY_OPTION = {knob.option: knob for knob in KNOBS}
BY_COLUMN = {knob.column: knob for knob in KNOBS}


def order_knobs(
    *, first: Sequence[str] = (), last: Sequence[str] = (), without: Iterable[str] = ()
) -> tuple[Knob, ...]:
    """Return all knobs: those of the fields `first`, the rest in the table's order, then `last`."""
    middle = [f for f in BY_FIELD if f not in (*first, *last, *without)]
    return tuple(BY_FIELD[name] for name in (*first, *middle, *last))


def find_varying(cells: Sequence[Cell], knobs: Iterable[Knob]) -> list[Knob]:
    """Return the knobs whose values differ between `cells`."""
    return [knob for knob in knobs if len({knob.of(cell) for cell in cells}) > 1]


def as_list(value: Any) -> list[Any]:
    """Return no value (`None`), one value or several as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def describe_change(change: Mapping[str, Any]) -> str:
    """Return changed knobs as options of one cell: `--precision bf16 --cache static`."""
    return " ".join(f"--{BY_FIELD[field].single} {value}" for field, value in change.items())
