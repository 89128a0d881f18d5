"""The cell: one configuration of model, device and work, measured as a unit.

Every layer reads it, so it imports nothing of txtop but names of models, the description of
serving and that of a file of prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from txtop.formatting import format_count, format_share
from txtop.plan import modes
from txtop.plan.model_names import shorten_model_name
from txtop.plan.parallel import Parallel, count_ranks
from txtop.plan.prompt_file import ChatTemplate, PrefixCache, PromptFile, TokenCounts
from txtop.plan.serving import Positive, Scenario, Serving
from txtop.plan.speculation import Speculative, get_assistant
from txtop.system.device_names import Device

if TYPE_CHECKING:
    Precision = str
else:
    Precision = Literal[*modes.TYPED]
"""A precision as it is typed."""
PrecisionName = Annotated[str, Meta(min_length=1, max_length=80)]
"""A precision as typed, or the scheme of a checkpoint that is stored quantised."""
Attention = Literal[
    "eager",
    "sdpa",
    "sdpa:flash",
    "sdpa:efficient",
    "sdpa:math",
    "sdpa:cudnn",
    "flash_attention_2",
    "flash_attention_3",
    "flex",
]
Compile = Literal["none", "default", "decode", "reduce-overhead", "max-autotune"]
Cache = Literal[
    "dynamic", "static", "quantized:fp8", "quantized:int8", "quantized:int4", "offloaded"
]
Weights = Literal["auto", "pretrained", "random"]
Quantization = Annotated[str, Meta(max_length=4000)]
Count = Annotated[int, Meta(ge=0, le=10_000_000)]
GRAPH_COMPILES = ("reduce-overhead", "max-autotune")
"""The modes of torch.compile that capture CUDA graphs, which need fixed addresses."""
# A loaded model takes these with each call; a change of any other field needs another worker.
# A compiled graph is made for one set of the first five.
_OF_A_GRAPH = ("compile", "cache", "batch_size", "sequence_length", "new_tokens")
_OF_PROMPTS = ("prompts", "chat_template", "prefix_cache")
_OF_A_CALL = (
    "id",
    "alias",
    "base",
    "scenario",
    "serving",
    "speculative",
    *_OF_PROMPTS,
    *_OF_A_GRAPH,
)


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration.

    `sequence_length` counts prompt tokens (T5: tokens of the encoder's input). In the scenario
    `static` every iteration is one full batch and `serving` is `None`; in the others requests
    arrive one by one, as `serving` describes. `attention_asked` is set if `sdpa` was asked for;
    where it is only the default, a model that has none of it is measured with `eager`. `alias`
    names the model where the last part of `model` does not tell it from the others of the plan.
    `quantization` is a whole configuration of a library in JSON, "" for none. `base` is the plain
    model of the plan that a stored quantised one was made of, as far as configurations tell.

    With `prompts` the inputs are the texts of a file. `sequence_length` then has no meaning in a
    plan; once a tokenizer has read them it is the mean of their tokens, rounded.
    """

    id: str
    model: str
    precision: PrecisionName = "fp32"
    attention: Attention = "sdpa"
    attention_asked: bool | UnsetType = UNSET
    batch_size: Positive = 1
    sequence_length: Positive = 128
    new_tokens: Positive = 32
    device: Device = "auto"
    threads: Positive | None = None
    parallel: Parallel = "none"
    weights: Weights = "auto"
    quantization: Quantization = ""
    compile: Compile = "none"
    cache: Cache = "dynamic"
    speculative: Speculative = "none"
    prompts: PromptFile | None = None
    chat_template: ChatTemplate = "auto"
    prefix_cache: PrefixCache = "off"
    scenario: Scenario = "static"
    serving: Serving | None = None
    alias: str | UnsetType = UNSET
    base: str | UnsetType = UNSET

    def put_on(self, device: str) -> Cell:
        """Return the cell on `device`, or as it is for an empty one."""
        return msgspec.structs.replace(self, device=device) if device else self

    def ask_attention(self) -> Cell:
        """Return the cell with its attention asked for, not chosen by default."""
        asked = self.attention == "sdpa"
        return msgspec.structs.replace(self, attention_asked=asked) if asked else self

    def count_prompts(self, tokens: Sequence[int], new_tokens: Sequence[int]) -> Cell:
        """Return the cell with the tokens of its prompts, and what they ask for, if any does."""
        if self.prompts is None or not tokens:
            return self
        counts = TokenCounts.of(tokens)
        asked = TokenCounts.of(new_tokens) if new_tokens else None
        return msgspec.structs.replace(
            self,
            prompts=msgspec.structs.replace(self.prompts, tokens=counts, new_tokens=asked),
            sequence_length=max(1, round(counts.mean)),
        )

    @property
    def group(self) -> str:
        """Return a key for what a worker loads: cells with equal keys share one worker.

        The kernels behind sdpa are chosen for each call, so cells that differ in them share. A
        compiled cell has a worker of its own: after a second shape the compiler makes sizes
        dynamic, and the measured code would depend on the cells measured before. So has one with
        an assistant, which is loaded beside the model.
        """
        kept = [field for field in self.__struct_fields__ if field not in _OF_A_CALL]
        if self.compile != "none":
            kept += _OF_A_GRAPH
        if self.assistant:
            kept.append("speculative")
        parts = {field: getattr(self, field) for field in kept}
        parts["attention"] = self.attention.partition(":")[0]
        return "|".join(map(str, parts.values()))

    @property
    def quantizes_cache(self) -> bool:
        """Return whether keys and values are stored in fewer bits, which changes the output."""
        return self.cache.startswith("quantized:")

    @property
    def ranks(self) -> int:
        """Return the processes that measure it together, each with a part of the model."""
        return count_ranks(self.parallel)

    @property
    def assistant(self) -> str:
        """Return the model that drafts tokens for this one; empty without one."""
        return get_assistant(self.speculative)

    @property
    def model_name(self) -> str:
        """Return the shortest ending of a path or Hub name that is no other model's of the plan."""
        return self.alias or shorten_model_name(self.model)

    @property
    def slots(self) -> int:
        """Return the number of sequences in flight: a batch's, or the most that a server holds."""
        if self.serving is None:
            return self.batch_size
        return 1 if self.scenario == "single" else self.serving.max_batch

    @property
    def asks_all(self) -> bool:
        """Return whether the load is closed-loop: clients ask again once they are answered."""
        return self.serving is not None and not self.serving.open_loop

    @property
    def server(self) -> Cell:
        """Return the cell without its load; equal for different loads of one server."""
        serving = self.serving and msgspec.structs.replace(
            self.serving, requests=1, rate=None, share=None, concurrency=None, slo=None
        )
        return msgspec.structs.replace(self, id="", serving=serving)

    @property
    def offered(self) -> str:
        """Return the load as `dynamic 4/s` or `continuous 8 clients`; empty for full batches."""
        serving = self.serving
        if serving is None:
            return ""
        if serving.share is not None:
            return f"{self.scenario} at {format_share(serving.share)}"
        if serving.rate is not None:
            return f"{self.scenario} {serving.rate:.7g}/s"
        clients = serving.concurrency or 1
        return f"{self.scenario} {format_count(clients, 'client')}"

    @property
    def work(self) -> str:
        """Return the load if there is one, else `batch 8`."""
        return self.offered or f"batch {self.batch_size}"
