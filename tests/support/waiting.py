"""The one way in which tests wait for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WAIT_S = 60.0
"""Many times what anything takes that is waited for: only what never comes takes as long."""


def wait_until(seen: Callable[[], T], what: object = "", within_s: float = WAIT_S) -> T:
    """Return what `seen` returns as soon as it is true; fail with `what` if that never comes.

    `what` may be a function, whose result then says how far it came.
    """
    give_up_s = time.monotonic() + within_s
    while not (value := seen()):
        if time.monotonic() > give_up_s:
            raise AssertionError(f"never came: {what() if callable(what) else what}")
        time.sleep(0.02)
    return value
