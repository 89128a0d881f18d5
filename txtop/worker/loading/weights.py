"""The weights of a model: read from its files, or seeded random values for its architecture."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from txtop.worker.failures import RejectedError
from txtop.worker.loading import precision
from txtop.worker.loading.prequantised import LibraryLoad
from txtop.worker.loading.source import ModelSource

_SCALE = 0.02
# Copying one block of values is five times as fast as drawing them all. With a prime length the
# rows of every matrix differ.
_BLOCK = 1_000_003
_PAGE = 4096


def build_random_model(
    model_class: Any, config: Any, attention: str, dtype: torch.dtype, seed: int
) -> Any:
    """Build the architecture of `config` in `dtype`: matrices normal(0, 0.02), norms 1, biases 0.

    The initialisation of the library is skipped: it takes 3 s for gpt2.
    """
    from transformers.initialization import no_init_weights

    with no_init_weights():
        model = model_class._from_config(config, dtype=dtype, attn_implementation=attention)
    precision.keep_in_fp32(model, dtype)
    model.tie_weights()
    _draw(dict(model.named_parameters()), seed)
    return model.eval()


def spread_model(model: Any, attention: str, dtype: torch.dtype, spreads: Mapping[str, Any]) -> Any:
    """Return `model` anew, spread as the arguments `spreads` of from_pretrained() say."""
    return (
        type(model)
        .from_pretrained(
            None,
            config=model.config,
            state_dict=model.state_dict(),
            dtype=dtype,
            attn_implementation=attention,
            **spreads,
        )
        .eval()
    )


def _draw(parameters: Mapping[str, torch.Tensor], seed: int) -> None:
    """Set `parameters`, by name, to values that `seed` alone determines, whatever else is set."""
    generator = torch.Generator().manual_seed(seed)
    block = torch.empty(_BLOCK).normal_(0.0, _SCALE, generator=generator)
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.dim() > 1:
                _tile(parameter, block.to(parameter.dtype))
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)


def _tile(parameter: torch.Tensor, block: torch.Tensor) -> None:
    flat = parameter.view(-1)
    for start in range(0, flat.numel(), _BLOCK):
        part = flat[start : start + _BLOCK]
        part.copy_(block[: part.numel()])


def load_pretrained_model(
    model_class: Any,
    config: Any,
    source: ModelSource,
    attention: str,
    dtype: torch.dtype,
    seed: int,
    library: LibraryLoad | None,
    spreads: Mapping[str, Any] | None,
) -> tuple[Any, tuple[str, ...]]:
    """Load the model of `source` in `dtype`.

    Return it with the names of the parameters that its files lack. These get the values of `seed`:
    the library draws them anew in every load.

    `library` is how a library of quantisation loads it, None for plain weights. `spreads` are the
    arguments that spread it over devices.

    Raises `RejectedError` if over half of the weights are missing in the file, or if one of them
    has another shape; of a quantised checkpoint none may be missing.
    """
    arguments: dict[str, Any] = (
        {"gguf_file": source.gguf} if source.gguf else {"use_safetensors": not source.pickled}
    )
    arguments |= spreads or {}
    if library is not None:
        arguments |= library.arguments
    model, info = model_class.from_pretrained(
        source.directory,
        config=config,
        dtype=dtype,
        attn_implementation=attention,
        local_files_only=True,
        trust_remote_code=source.own_code,
        output_loading_info=True,
        # Without it the library says that something does not fit, and not what.
        ignore_mismatched_sizes=True,
        **arguments,
    )
    _require_fitting_shapes(info.get("mismatched_keys") or (), source)
    parameters = dict(model.named_parameters())
    drawn = {name: parameters[name] for name in sorted(info["missing_keys"]) if name in parameters}
    if library is not None and (lacking := sorted(info["missing_keys"])):
        raise RejectedError(
            f"{source.label} lacks weights of its scheme: {', '.join(lacking)[:200]}",
            "download the model again, or the model it was made from",
        )
    if len(drawn) > len(parameters) // 2:
        raise RejectedError(f"{source.label} lacks most weights of a {model_class.__name__}")
    if drawn and spreads:
        raise RejectedError(
            f"{source.label} lacks {', '.join(drawn)[:200]}, which cannot be drawn in parts",
            "--parallel none",
        )
    if drawn:
        _draw(drawn, seed)
    # A packed weight of a library is no plain tensor to look into.
    touch_pages(p for p in parameters.values() if type(p) is nn.Parameter)
    return model.eval(), tuple(drawn)


def _require_fitting_shapes(mismatched: Iterable[Any], source: ModelSource) -> None:
    """Raise `RejectedError` for a weight that has another shape in the file than in the model.

    `mismatched` holds (name, shape in the file, shape in the model).
    """
    for name, stored, built in sorted(mismatched, key=str):
        shapes = [" x ".join(map(str, shape)) for shape in (stored, built)]
        raise RejectedError(
            f"{source.directory}/config.json does not fit its weights: {name} is {shapes[0]} in the"
            f" file and {shapes[1]} by the configuration",
            "correct config.json (as vocab_size), or download both again",
        )


def touch_pages(parameters: Iterable[torch.Tensor]) -> None:
    """Read one byte of every page, so that all reading counts in the weights phase.

    from_pretrained() maps a file of the same dtype lazily. Its bytes would otherwise be read in the
    first forward pass.
    """
    for parameter in parameters:
        flat = parameter.detach()
        if flat.is_contiguous() and flat.numel():
            flat.view(-1).view(torch.uint8)[::_PAGE].sum()


def classify_page_cache(files: list[Path]) -> Literal["cold", "warm", "unknown"]:
    """Return warm if over 90 % of the pages of `files` are in memory, cold if under 10 %."""
    if not files:
        return "unknown"
    resident = pages = 0
    try:
        for path in files:
            count, total = _resident_pages(path)
            resident, pages = resident + count, pages + total
    except (OSError, ValueError):
        return "unknown"
    share = resident / max(pages, 1)
    return "warm" if share > 0.9 else "cold" if share < 0.1 else "unknown"


def _resident_pages(path: Path) -> tuple[int, int]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as view:
        pages = -(-len(view) // mmap.PAGESIZE)
        flags = (ctypes.c_ubyte * pages)()
        start = ctypes.addressof(ctypes.c_char.from_buffer(view))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(len(view)), flags):
            raise OSError(ctypes.get_errno(), "mincore")
        return sum(flag & 1 for flag in flags), pages
