"""The task of decoders and encoder-decoders: text from generate(), timed by its streamer."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import torch

from txtop.errors import TxtopError
from txtop.plan.cell import Cell
from txtop.worker.failures import RejectedError
from txtop.worker.loading import attention
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

    def warm(self) -> None:
        """Generate two tokens from a prompt of eight, and detect a streamer that lags a step."""
        cell = Cell(id="", model="", sequence_length=8, new_tokens=2)
        vocabulary = self._model.config.get_text_config().vocab_size
        inputs = make_inputs(cell, vocabulary, 0, self._device)
        self.iterate(inputs, True, None, lambda: None)

    def compile(self, cell: Cell) -> None:
        """Compile the model as `cell` asks, on its first call.

        With a static cache generate() compiles the decode steps itself. A dynamic cache grows with
        each token, so the whole forward pass is compiled for any length.
        """
        self._compiled = True
        if cell.cache == "dynamic":
            forward = torch.compile(self._model.forward, mode=cell.compile, dynamic=True)
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

        With `check`, hooks count NaN and Inf, and forward passes: token k must come after pass k.

        Raises `TxtopError` if generate() returned another number of tokens than requested.
        """
        clock = TokenTimer(None if self._lagging else on_steps, after_step, on_tokens)
        logits = LogitsCheck()
        handles = []
        if check:
            handles.append(self._model.register_forward_hook(logits))
            handles.append(self._model.register_forward_pre_hook(_build_step_hook(clock)))
        try:
            with torch.inference_mode(), attention.use_kernel(inputs.cell.attention):
                clock.start()
                self._model.generate(
                    inputs=inputs.ids,
                    attention_mask=inputs.mask,
                    generation_config=build_generation_config(inputs.cell, compiled=self._compiled),
                    streamer=clock,
                )
                returned_ns = perf_counter_ns()
        finally:
            for handle in handles:
                handle.remove()
        self._lagging |= clock.late
        if len(clock.gaps_ns) != inputs.cell.new_tokens:
            got = f"{len(clock.gaps_ns)} tokens instead of {inputs.cell.new_tokens}"
            raise TxtopError(f"generate() gave {got}", "this model's generation is its own")
        return self._result(clock, returned_ns, logits.invalid)

    def _result(self, clock: TokenTimer, returned_ns: int, invalid: int) -> IterationResult:
        if not self._lagging:
            clock.flush()
        end_ns = returned_ns if self._lagging else clock.last_ns
        return IterationResult(
            start_ns=clock.start_ns,
            e2e_ns=end_ns - clock.start_ns,
            ttft_ns=None if self._lagging else clock.gaps_ns[0],
            tokens=len(clock.gaps_ns),
            encoder_ns=self._encoder_timer.read_ns() if self._encoder_timer else None,
            lag=self._lagging,
            invalid=invalid,
        )


def _build_step_hook(clock: TokenTimer) -> Callable[..., None]:
    def count(*_: Any) -> None:
        clock.forwards += 1

    return count


def build_generation_config(cell: Cell, *, compiled: bool) -> Any:
    """Build the configuration of greedy generation of exactly `cell.new_tokens` tokens."""
    from transformers import CompileConfig, GenerationConfig

    by_generate = compiled and cell.cache == "static"
    config: Any = None
    if by_generate:
        config = CompileConfig(mode=cell.compile, dynamic=False)
        # Private: without it generate() compiles on accelerators only.
        config._compile_all_devices = True
    return GenerationConfig(
        max_new_tokens=cell.new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=None,
        cache_implementation="static" if cell.cache == "static" else None,
        compile_config=config,
        disable_compile=not by_generate,
    )


def require_generate(model_class: Any) -> None:
    """Check that `model_class` can generate text.

    Raises `RejectedError` if it cannot.
    """
    if not getattr(model_class, "can_generate", lambda: False)():
        raise RejectedError(f"{model_class.__name__} cannot generate text", "another model")
