"""Marks for tests that need a newer library than txtop itself does."""

from __future__ import annotations

import dataclasses

import pytest
from transformers.generation import ContinuousBatchingConfig

_FIELDS = {field.name for field in dataclasses.fields(ContinuousBatchingConfig)}

needs_continuous = pytest.mark.skipif(
    "page_size" not in _FIELDS, reason="transformers before 5.18 has another continuous batching"
)
