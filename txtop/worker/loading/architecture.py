"""The model class and the configuration of a source, without importing any other class."""

from __future__ import annotations

from typing import Any

from txtop.models import builtin
from txtop.worker.failures import RejectedError
from txtop.worker.loading.source import ModelSource

# The keys of `auto_map` that a repository may use for its own classes.
_OWN = {
    "causal": ("AutoModelForCausalLM",),
    "encoder": ("AutoModel", "AutoModelForMaskedLM"),
    "seq2seq": ("AutoModelForSeq2SeqLM",),
}
# The tables of transformers from model type to class name.
_NAMES = {
    "causal": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "encoder": "MODEL_MAPPING_NAMES",
    "seq2seq": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
}


def import_model_class(source: ModelSource, kind: builtin.Family) -> Any:
    """Import the one class that `source` needs.

    It belongs to the import phase: a later import would count in the next phase.

    Raises `RejectedError` if there is no such class.
    """
    import transformers
    from transformers.models.auto import modeling_auto

    if source.own_code:
        return _import_repository_class(source, kind)
    names = getattr(modeling_auto, _NAMES[kind])
    model_type = source.config.get("model_type")
    name = names.get(model_type)
    if name is None:
        what = f"model type {model_type!r}" if model_type else "no model_type in config.json"
        needs = " (it brings code of its own)" if "auto_map" in source.config else ""
        raise RejectedError(
            f"{source.label}: {what} is not a text model of this transformers{needs}",
            "--trust-remote-code runs it, if you trust who wrote it"
            if needs
            else f"transformers {transformers.__version__} is installed",
        )
    return getattr(transformers, name if isinstance(name, str) else name[0])


def _import_repository_class(source: ModelSource, kind: builtin.Family) -> Any:
    """Import the class that the repository brings.

    Raises `RejectedError` if it brings none for `kind`, or if its code fails.
    """
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    offered = source.config["auto_map"]
    name = next(
        (offered[key] for key in _OWN[kind] if isinstance(offered, dict) and key in offered), None
    )
    if not isinstance(name, str):
        raise RejectedError(
            f"{source.label} brings no class of its own for {' or '.join(_OWN[kind])}"
        )
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
        return config_class.from_pretrained(source.directory, local_files_only=True, **arguments)
    except Exception as error:
        # The strict classes of huggingface_hub have errors of their own, over several lines.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines)[:200] or type(error).__name__
        where = f"{source.directory}/config.json" if source.directory else source.label
        raise RejectedError(
            f"{where}: configuration refused ({reason})", "correct it, or download it again"
        ) from None
