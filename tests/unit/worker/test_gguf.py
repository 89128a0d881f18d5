"""The head of a GGUF file."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from txtop.worker.failures import RejectedError
from txtop.worker.loading import gguf


def _gguf(architecture: str, key: bytes = b"general.architecture") -> bytes:
    value = architecture.encode()
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", len(key)) + key
    return head + struct.pack("<IQ", 8, len(value)) + value


def test_the_head_of_a_gguf_file(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    for name, model_type in (("llama", "llama"), ("qwen3moe", "qwen3_moe")):
        path.write_bytes(_gguf(name))
        assert gguf.read_model_type(path) == model_type
    for junk in (b"", b"GGUF", b"x" * 100, _gguf("llama", b"general.name"), b"GGUF" + b"\xff" * 99):
        path.write_bytes(junk)
        with pytest.raises(RejectedError):
            gguf.read_model_type(path)
