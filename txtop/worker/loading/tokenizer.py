"""The tokenizer of a model, from its own files alone."""

from __future__ import annotations

from typing import Any

from txtop.worker.loading.source import ModelSource


def load_tokenizer(source: ModelSource) -> Any:
    """Load the tokenizer of `source` without a network. Raises whatever the library raises."""
    from transformers import AutoTokenizer

    arguments = {"gguf_file": source.gguf} if source.gguf else {}
    return AutoTokenizer.from_pretrained(
        source.directory, local_files_only=True, trust_remote_code=source.own_code, **arguments
    )
