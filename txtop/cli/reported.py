"""The one place where errors become a line on standard error and an exit code.

Apart from the argument parser, so that `txtop` alone opens its screen without it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from txtop import settings
from txtop.errors import TxtopError
from txtop.system import streams


def run_reported(run: Callable[[], object], *, debug: bool = False) -> int:
    """Call `run` and return its exit code; an error becomes one line on standard error."""
    try:
        for problem in settings.load_settings().problems:
            _print_error(problem, 0)
        result = run()
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if isinstance(error, OSError) and streams.is_lost_output(error):
            return streams.report_lost_output(error)
        if debug:
            traceback.print_exc()
        return _report_error(error)


def _report_error(error: Exception) -> int:
    """Print an error in one line and return its exit code."""
    if isinstance(error, TxtopError):
        return _print_error(str(error), error.exit_code)
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return _print_error("a path begins with ~ and a name that no user has: write it from /", 2)
    return _print_error(f"{type(error).__name__}: {error} (--debug shows where)", 1)


def _print_error(text: str, code: int) -> int:
    from txtop.sanitise import sanitise

    print(f"txtop: {sanitise(text)}", file=sys.stderr)
    return code
