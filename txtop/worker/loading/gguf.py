"""The head of a .gguf file, read only as far as the model type.

The model class is imported before the file is opened by transformers, so the type must be known.
"""

from __future__ import annotations

import struct
from pathlib import Path

from txtop.worker.failures import RejectedError

# GGUF_METADATA_VALUE_TYPE_STRING of the format.
_STRING = 8
# The names that differ between ggml and transformers.
_MODEL_TYPES = {"qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "gemma3": "gemma3_text"}


def read_model_type(path: Path) -> str:
    """Return `general.architecture` as the model type of transformers. Writers put it first.

    Raises `RejectedError` if the file is unreadable or no GGUF.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        magic, version = struct.unpack_from("<4sI", head)
        if magic != b"GGUF" or version < 2:
            raise RejectedError(f"{path.name} is not a GGUF file", "GGUF version 2 or newer")
        # Behind magic, version and the two counts, of tensors and of metadata.
        at = 24
        (length,) = struct.unpack_from("<Q", head, at)
        key = head[at + 8 : at + 8 + length]
        kind, size = struct.unpack_from("<IQ", head, at + 8 + length)
        start = at + 20 + length
        name = head[start : start + size].decode("ascii")
    except (OSError, OverflowError, struct.error, UnicodeDecodeError) as error:
        raise RejectedError(
            f"{path.name} cannot be read as GGUF ({type(error).__name__})"
        ) from None
    if key != b"general.architecture" or kind != _STRING:
        raise RejectedError(
            f"{path.name} does not begin with its architecture", "another .gguf file"
        )
    return _MODEL_TYPES.get(name, name)
