"""The fixtures that several tests of the worker share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.inline_worker import InlineWorker, run_inline


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[InlineWorker]:
    """Run a worker in the process of the test."""
    with run_inline(monkeypatch) as inline:
        yield inline
