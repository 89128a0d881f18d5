"""Standard output and error: characters that their encoding lacks, and output that is not taken.

Every command starts and ends here, so it must stay light.
"""

import codecs
import errno
import os
import sys
from contextlib import suppress

ERRORS = "txtop"
# The rest of a field in ASCII, and the spaces up to the next column.
_COLUMN_GAP = r"(?P<field>(?:[!-~]| (?! ))*)(?P<spaces> {2,})"
_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE)
# As narrow as what they replace where that can be read.
_ASCII = {
    "≤": "<=",
    "≥": ">=",
    "\u2014": "-",
    "\u2013": "-",
    "\u2212": "-",
    "\u00b7": "-",
    "\u2026": "...",
    "\u00b1": "+-",
    "\u00d7": "x",
    "\u2192": ">",
    "\u2713": "+",
    "\u2717": "x",
    "\u2248": "~",
    "\u25b2": "^",
}


def open_closed_streams() -> None:
    """Give each standard stream that the caller closed, as `<&-` does, the null device.

    Otherwise the next file that is opened has its number, and receives what is printed.
    """
    for name, number, flags in (
        ("stdin", 0, os.O_RDONLY),
        ("stdout", 1, os.O_WRONLY),
        ("stderr", 2, os.O_WRONLY),
    ):
        if getattr(sys, name) is not None:
            continue
        null = os.open(os.devnull, flags)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        os.set_inheritable(number, True)
        mode = "r" if flags == os.O_RDONLY else "w"
        setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def make_streams_forgiving() -> None:
    """Let both streams print every text: a character that one cannot encode gets an ASCII form."""
    codecs.register_error(ERRORS, _spell_in_ascii)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors=ERRORS)  # type: ignore[union-attr]


def _spell_in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    spelling = "".join(_ASCII.get(character, "?") for character in text)
    wider = len(spelling) - len(text)
    # Imported for such a text alone: it takes as long as all else that `--version` does.
    import re

    gap = re.compile(_COLUMN_GAP).match(error.object, error.end)
    if wider <= 0 or gap is None or len(gap["spaces"]) <= wider:
        return spelling, error.end
    # The next column begins where it would have, as the gap before it gives way.
    return spelling + gap["field"], gap.end("field") + wider


def finish_output(code: int) -> int:
    """Write out what is left of standard output, and return `code`; 1 if that cannot be done."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        return report_lost_output(error)
    return code


def is_lost_output(error: OSError) -> bool:
    """Return True for the error of a stream that takes no more: it names no file."""
    return error.filename is None and error.errno in _LOST


def report_lost_output(error: OSError) -> int:
    """Print why standard output takes no more, and discard the rest. Return the exit code.

    A reader that has seen enough, as `head` has, is no error: nothing is printed.
    """
    discard(sys.stdout)
    if isinstance(error, BrokenPipeError):
        discard(sys.stderr)
        return 1
    with suppress(OSError):
        print(
            f"txtop: cannot write standard output ({error.strerror}): free some space, or send it"
            " elsewhere",
            file=sys.stderr,
        )
    return 1


def discard(stream: object) -> None:
    """Point a stream at the null device, or else Python reports its loss once more at exit."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[attr-defined]
        os.close(null)
