"""The task of decoders and encoder-decoders: text from generate(), timed by its streamer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from time import perf_counter_ns
from typing import Any

import torch

from txtop.errors import TxtopError
from txtop.plan.cell import Cell
from txtop.plan.speculation import get_lookup
from txtop.worker.failures import RejectedError
from txtop.worker.loading import attention, kv_cache
from txtop.worker.tasks.encoder_timer import EncoderTimer
from txtop.worker.tasks.task import IterationResult, LogitsCheck, ModelInputs, make_inputs
from txtop.worker.tasks.token_timer import OnSteps, OnTokens, TokenTimer


class TextGenerationTask:
    """Greedy generation of a fixed number of new tokens, without the settings of the model."""

    encodes = False

    def __init__(self, model: Any, device: torch.device) -> None:
        from transformers import GenerationConfig

        self._model = model
        self._device = device
        self._lagging = False
        self._compiled = False
        self._assistant: Any = None
        self._encoder_timer = (
            EncoderTimer(model.get_encoder(), device) if model.config.is_encoder_decoder else None
        )
        # The configuration of the model (sampling, beams, early stopping, suppressed tokens) is
        # replaced: generate() would fill every unset field of ours from it.
        start = getattr(model.generation_config, "decoder_start_token_id", None)
        text = model.config.get_text_config(decoder=True)
        start = start if start is not None else getattr(text, "decoder_start_token_id", None)
        neutral: Any = GenerationConfig()
        neutral.decoder_start_token_id = start if start is not None else 0
        model.generation_config = neutral

    def assist(self, assistant: Any) -> None:
        """Let the model `assistant` draft tokens in the cells that ask for one.

        Its own settings of generation are replaced: the library's defaults say how many it drafts.
        """
        from transformers import GenerationConfig

        assistant.generation_config = GenerationConfig()
        self._assistant = assistant

    def warm(self) -> None:
        """Generate two tokens from a prompt of eight, and detect a streamer that lags a step."""
        cell = Cell(id="", model="", sequence_length=8, new_tokens=2)
        vocabulary = self._model.config.get_text_config().vocab_size
        inputs = make_inputs(cell, vocabulary, 0, self._device)
        self.iterate(inputs, True, None, lambda: None)

    def compile(self, cell: Cell) -> None:
        """Compile the model as `cell` asks, on its first call.

        With a static cache generate() compiles the decode steps itself. A dynamic cache grows with
        each token, so the whole forward pass is compiled for any length; for `decode` that of one
        token alone, and the prompt takes the plain one.
        """
        self._compiled = True
        if cell.cache != "dynamic":
            return
        plain = self._model.forward
        compiled = torch.compile(plain, mode=_get_mode(cell), dynamic=True)
        if cell.compile != "decode":
            self._model.forward = compiled
            return
        name = "decoder_input_ids" if self._model.config.is_encoder_decoder else "input_ids"

        @wraps(plain)
        def forward(*args: Any, **named: Any) -> Any:
            ids = named.get(name)
            is_step = ids is not None and ids.shape[1] == 1
            return (compiled if is_step else plain)(*args, **named)

        self._model.forward = forward

    def begin_cell(self) -> None:
        """Forget the static caches of earlier cells.

        generate() makes each as long as the longest before it, so a short cell after a long one
        would attend over the whole of the long one's.
        """
        # Private: transformers has no other way to make it forget.
        self._model._previous_max_cache_length = -1

    @property
    def lags(self) -> bool:
        """Return True if the streamer was found to be a step late: token times are then unknown."""
        return self._lagging

    def iterate(
        self,
        inputs: ModelInputs,
        check: bool,
        on_steps: OnSteps | None,
        after_step: Callable[[], None],
        on_tokens: OnTokens | None = None,
    ) -> IterationResult:
        """Run generate() once. E2E ends with the last token on the host, as TPOT requires.

        With `check`, hooks count NaN and Inf, forward passes (token k must come after pass k) and
        the tokens that were drafted, and the bytes of the KV cache are counted.

        Raises `TxtopError` if generate() returned another number of tokens than requested.
        """
        cell = inputs.cell
        drafts = cell.speculative != "none"
        clock = TokenTimer(
            None if self._lagging else on_steps, after_step, on_tokens, drafts=drafts
        )
        logits, passes = LogitsCheck(), _PassCounter(clock, inputs)
        named: dict[str, Any] = {"assistant_model": self._assistant} if cell.assistant else {}
        handles = []
        cache_bytes: int | None = None
        # Before the clock starts: a program builds it once.
        settings = build_generation_config(
            cell, self._model.config, compiled=self._compiled, keep_cache=check
        )
        if check:
            handles.append(self._model.register_forward_hook(logits))
            handles.append(self._model.register_forward_pre_hook(passes, with_kwargs=True))
        try:
            with torch.inference_mode(), attention.use_kernel(inputs.cell.attention):
                clock.start()
                made = self._model.generate(
                    inputs=inputs.ids,
                    attention_mask=inputs.mask,
                    generation_config=settings,
                    streamer=clock,
                    **named,
                )
                returned_ns = perf_counter_ns()
            if check:
                cache_bytes = kv_cache.count_cache_bytes(made.get("past_key_values"))
        finally:
            for handle in handles:
                handle.remove()
        self._lagging |= clock.late
        if clock.tokens != cell.new_tokens:
            got = f"{clock.tokens} tokens instead of {cell.new_tokens}"
            raise TxtopError(f"generate() gave {got}", "this model's generation is its own")
        result = self._result(clock, returned_ns, logits.invalid)
        return replace(
            result,
            cache_bytes=cache_bytes,
            steps=len(clock.gaps_ns) if drafts else None,
            drafted=passes.drafted if drafts and check else None,
        )

    def _result(self, clock: TokenTimer, returned_ns: int, invalid: int) -> IterationResult:
        if not self._lagging:
            clock.flush()
        end_ns = returned_ns if self._lagging else clock.last_ns
        return IterationResult(
            start_ns=clock.start_ns,
            e2e_ns=end_ns - clock.start_ns,
            ttft_ns=None if self._lagging else clock.gaps_ns[0],
            tokens=clock.tokens,
            encoder_ns=self._encoder_timer.read_ns() if self._encoder_timer else None,
            lag=self._lagging,
            invalid=invalid,
        )


class _PassCounter:
    """A forward hook that counts passes, and the tokens that were drafted for them.

    A draft that reaches beyond the tokens to be made counts as far as it could have been kept.
    """

    def __init__(self, clock: TokenTimer, inputs: ModelInputs) -> None:
        self.drafted = 0
        self._clock = clock
        self._prompt = inputs.ids.shape[1]
        self._wanted = inputs.cell.new_tokens

    def __call__(self, _module: Any, _args: Any, named: dict[str, Any]) -> None:
        first = self._clock.forwards == 0
        self._clock.forwards += 1
        ids = named.get("input_ids")
        if ids is not None:
            draft = ids.shape[1] - (self._prompt if first else 1)
            self.drafted += max(0, min(draft, self._wanted - self._clock.tokens - 1))


def _get_mode(cell: Cell) -> str:
    return "default" if cell.compile == "decode" else cell.compile


def build_generation_config(
    cell: Cell, model_config: Any, *, compiled: bool, keep_cache: bool = False
) -> Any:
    """Build the configuration of greedy generation of exactly `cell.new_tokens` tokens.

    With `keep_cache` generate() returns a dictionary that holds the KV cache, too.
    """
    from transformers import CompileConfig, GenerationConfig

    by_generate = compiled and cell.cache == "static"
    config: Any = None
    if by_generate:
        config = CompileConfig(mode=_get_mode(cell), dynamic=False)
        # Private: without it generate() compiles on accelerators only.
        config._compile_all_devices = True
    return GenerationConfig(
        max_new_tokens=cell.new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=None,
        prompt_lookup_num_tokens=get_lookup(cell.speculative),
        compile_config=config,
        disable_compile=not by_generate,
        return_dict_in_generate=keep_cache,
        **kv_cache.build_cache_arguments(cell, model_config),
    )


def require_generate(model_class: Any) -> None:
    """Check that `model_class` can generate text.

    Raises `RejectedError` if it cannot.
    """
    if not getattr(model_class, "can_generate", lambda: False)():
        raise RejectedError(f"{model_class.__name__} cannot generate text", "another model")
