"""The model class and the configuration of a source, without importing any other class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from txtop.models.purpose import Purpose, get_class_name
from txtop.worker.failures import RejectedError
from txtop.worker.loading.source import ModelSource

_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers")


def import_model_class(source: ModelSource, purpose: Purpose) -> Any:
    """Import the one class that `source` needs.

    It belongs to the import phase: a later import would count in the next phase.

    Raises `RejectedError` if there is no such class.
    """
    import transformers
    from transformers.models.auto import modeling_auto

    if source.own_code:
        return _import_repository_class(source, purpose)
    model_type = source.config.get("model_type")
    names = getattr(modeling_auto, purpose.table).get(model_type)
    if names is None:
        raise _explain_missing_class(source)
    # Where a model type has several classes, config.json says which it is.
    options = (names,) if isinstance(names, str) else names
    own = get_class_name(source.config)
    return getattr(transformers, own if own in options else options[0])


def _explain_missing_class(source: ModelSource) -> RejectedError:
    """Return why this transformers has no class for `source`, and the next step."""
    import transformers
    from transformers.models.auto import modeling_auto

    tables: Any = modeling_auto
    version = f"transformers {transformers.__version__}"
    model_type, name = source.config.get("model_type"), get_class_name(source.config)
    if "auto_map" in source.config:
        return RejectedError(
            f"{source.label}: {version} does not know model type {model_type!r},"
            " and the repository brings code of its own",
            "--trust-remote-code runs it, if you trust who wrote it",
        )
    if not model_type:
        return RejectedError(f"{source.label}: no model_type in config.json", "another model")
    if model_type not in tables.CONFIG_MAPPING_NAMES:
        return RejectedError(
            f"{source.label}: {version} does not know model type {model_type!r}",
            "a newer transformers may: pip install -U transformers",
        )
    return RejectedError(
        f"{source.label}: txtop cannot measure {name or f'model type {model_type!r}'}",
        "a text model: one that makes text, fills masks, classifies or embeds it",
    )


def list_unmeasured(source: ModelSource, model_class: Any, purpose: Purpose) -> list[str]:
    """Return notes on what of the checkpoint is not measured: another class, further modules."""
    name = get_class_name(source.config)
    if purpose.notes or not name or name == model_class.__name__:
        return list(purpose.notes)
    return [f"measured as {model_class.__name__}: config.json names {name}"]


def prepare_one_pass(model: Any) -> int | None:
    """Set a model up for passes that make no tokens: without a KV cache, for any batch.

    Return the id that must end each sequence: the classifier of an encoder-decoder reads there.
    """
    config = model.config.get_text_config()
    config.use_cache = False
    head = type(model).__name__.endswith("ForSequenceClassification")
    if head and config.pad_token_id is None:
        # The head of a decoder reads the last token that is no padding and wants to know padding.
        config.pad_token_id = 0
    if not (head and model.config.is_encoder_decoder):
        return None
    end = config.eos_token_id
    last: int | None = end[0] if isinstance(end, list) else end
    return last


def _import_repository_class(source: ModelSource, purpose: Purpose) -> Any:
    """Import the class that the repository brings.

    Raises `RejectedError` if it brings none for `purpose`, or if its code fails.
    """
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    offered = source.config["auto_map"]
    keys = dict.fromkeys((*purpose.own, *(("AutoModel",) if purpose.family == "encoder" else ())))
    name = next(
        (offered[key] for key in keys if isinstance(offered, dict) and key in offered), None
    )
    if not isinstance(name, str):
        raise RejectedError(f"{source.label} brings no class of its own for {' or '.join(keys)}")
    try:
        return get_class_from_dynamic_module(name, str(source.directory), local_files_only=True)
    except (ImportError, OSError, AttributeError, SyntaxError, ValueError) as error:
        raise RejectedError(
            f"{source.label}: its own code fails: {type(error).__name__}: {error}"
        ) from None


def build_config(model_class: Any, source: ModelSource) -> Any:
    """Build the configuration object of `source`.

    Raises `RejectedError` if its class refuses the values.
    """
    config_class = model_class.config_class
    try:
        if source.directory is None:
            values = {k: v for k, v in source.config.items() if k != "model_type"}
            return config_class(**values)
        arguments = {"gguf_file": source.gguf} if source.gguf else {}
        config = config_class.from_pretrained(source.directory, local_files_only=True, **arguments)
        _require_sizes(config.get_text_config())
        return config
    except Exception as error:
        raise _refuse_config(source, _join_lines(error)) from None


@contextmanager
def naming_config_faults(model_class: Any, config: Any, source: ModelSource) -> Iterator[None]:
    """Raise `RejectedError` for a model that cannot be built from `config`.

    The library looks a value up as it builds a layer, and of one that it does not know says the
    value alone: `KeyError: 'foo'`. Whether the configuration is to blame is tried only then, on the
    meta device, in which no weight takes memory.
    """
    import torch

    try:
        yield
    except Exception as error:
        try:
            with torch.device("meta"):
                model_class._from_config(config)
        except type(error) as same:
            text = f"{type(same).__name__}: {_join_lines(same)}"
            raise _refuse_config(source, f"no model can be built from it, {text}") from None
        raise


def _refuse_config(source: ModelSource, reason: str) -> RejectedError:
    where = f"{source.directory}/config.json" if source.directory else source.label
    return RejectedError(
        f"{where}: configuration refused ({reason})", "correct it, or download it again"
    )


def _require_sizes(config: Any) -> None:
    """Raise `ValueError` for a size without which nothing is left to measure."""
    for name in _SIZES:
        size = getattr(config, name, None)
        if isinstance(size, int) and size < 1:
            raise ValueError(f"{name} is {size}")


def require_generation_config(source: ModelSource) -> None:
    """Raise `RejectedError` if the library would refuse the model for its generation_config.json.

    Its settings are not used; one that is missing or not JSON is passed over by the library, too.
    """
    from transformers import GenerationConfig

    if source.directory is None or source.weights == "random" or source.gguf:
        return
    try:
        GenerationConfig.from_pretrained(source.directory, local_files_only=True)
    except OSError:
        return
    except Exception as error:
        raise RejectedError(
            f"{source.directory}/generation_config.json: refused ({_join_lines(error)})",
            "correct it, or remove it: txtop does not use its settings",
        ) from None


def _join_lines(error: Exception) -> str:
    """Return the text of an error of a library, which may have several lines, as one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:200] or type(error).__name__
