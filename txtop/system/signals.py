"""Handling signals without taking up those that whoever started this process has ignored."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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


def _ignore(number: int, frame: FrameType | None) -> None:
    """Take no notice; unlike `SIG_IGN` it is not inherited by what is started then."""


@contextmanager
def unwind_on_signals() -> Iterator[None]:
    """Make a signal that ends a process unwind the stack, so that nothing it began stays.

    The first one raises `SystemExit`; those that follow do not cut short what ends then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        handle_signals(ENDING, _ignore)
        raise SystemExit(128 + number)

    handlers = handle_signals(ENDING, leave)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
