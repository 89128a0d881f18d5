"""A model over several devices: the arguments with which Transformers loads it so.

`tp=N` cuts matrices over ranks by the plan of the model's configuration; `pp` and `auto` place
whole layers on the GPUs of one process.
"""

from __future__ import annotations

from typing import Any

from txtop.formatting import format_count
from txtop.models.parallel_rules import explain_missing_parallel, explain_uneven_heads
from txtop.plan.cell import Cell
from txtop.worker.device import describe_accelerator
from txtop.worker.failures import RejectedError

# Both place layers over all GPUs; what the second does not fit there goes to the host.
_DEVICE_MAPS = {"pp": "balanced", "auto": "auto"}

_HOST = {"cpu", "disk"}


def build_load_arguments(cell: Cell, model_class: Any, config: Any, device: Any) -> dict[str, Any]:
    """Return the arguments of from_pretrained() that spread the model as `cell` asks; none if not.

    Raises `RejectedError` if this model, or this device, cannot be spread so.
    """
    if cell.parallel == "none":
        return {}
    if refusal := explain_missing_parallel(cell, describe_accelerator(device)):
        raise RejectedError(*refusal)
    if cell.ranks == 1:
        return {"device_map": _DEVICE_MAPS[cell.parallel]}
    text = config.get_text_config()
    _require_plan(cell, model_class, config, text)
    heads = text.num_attention_heads
    uneven = explain_uneven_heads(cell, heads, getattr(text, "num_key_value_heads", None) or heads)
    if uneven:
        raise RejectedError(*uneven)
    from transformers.distributed.configuration_utils import DistributedConfig

    return {"distributed_config": DistributedConfig(tp_size=cell.ranks)}


def _require_plan(cell: Cell, model_class: Any, config: Any, text: Any) -> None:
    """Raise `RejectedError` if Transformers has no plan for cutting this model."""
    plans = (getattr(part, "base_model_tp_plan", None) for part in (config, text))
    if any(plans):
        return
    import transformers

    raise RejectedError(
        f"{cell.parallel}: transformers {transformers.__version__} has no plan for cutting a"
        f" {model_class.__name__}",
        "a model that has one, as Llama, Qwen or Mistral",
    )


def describe_spread(cell: Cell, model: Any) -> tuple[int, list[str]]:
    """Return the number of devices, or of processes, that hold `model`, and notes on them.

    Raises `RejectedError` if layers that belong on GPUs are not there.
    """
    if cell.ranks > 1:
        return cell.ranks, [f"{cell.ranks} ranks: times are of rank 0; MBU and MFU are not stated"]
    # The library notes nothing where all went to one GPU.
    placed = {str(place) for place in (getattr(model, "hf_device_map", None) or {}).values()}
    on_host = placed & _HOST
    gpus = (placed - on_host) or {"0"}
    if on_host and cell.parallel == "pp":
        raise RejectedError(
            f"pp: the model does not fit on {format_count(len(gpus), 'GPU')}",
            "--parallel auto, or more GPUs",
        )
    over = format_count(len(gpus), "GPU")
    notes = [f"layers over {over}, one after the other; MBU and MFU are not stated"]
    if on_host:
        notes = [f"layers over {over} and the host: they are copied in every step"]
    elif len(gpus) == 1:
        notes = [f"{cell.parallel}: all layers went to one GPU"]
    return len(gpus), notes
