"""Handling signals without taking up those that whoever started this process has ignored."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any


def handle_signals(
    numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]
) -> dict[int, Any]:
    """Handle signals, but for those that are ignored. Return the former handlers of the others.

    `nohup` ignores SIGHUP and a shell SIGINT of a background job: what starts so stays so.
    """
    return {
        number: signal.signal(number, handler)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
