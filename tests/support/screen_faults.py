"""Faults of a drawn screen that a reader sees at once: text over a plot, words cut in two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# A piece of a line or of an area in braille; the blank one draws nothing.
PLOT = "\u2801-\u28ff"
_WORD = re.compile(r"[^\W_]+")
# The end of a text inside a frame, or of the screen: frames and plots may stand behind it.
_EDGE = re.compile(r"([^\W_]+)(?= ?(?:│|$))")
_CUT = re.compile(r"([^\W_]+)…")
# A number that lost its word or unit, and a bracket that lost its end.
_HALF = re.compile(r"(?:(?<=[ (])[±~−]?[0-9][0-9.,]*|[(\[][^()\[\]…]*|…)…")
_TOUCHES = re.compile(rf"[{PLOT}][^\W_]|[^\W_][{PLOT}]")
_ENCLOSED = re.compile(rf"[{PLOT}] ?[^\W_](?:[^\n│{PLOT}]*[^\W_])? ?[{PLOT}]")


def list_words(lines: Iterable[str]) -> set[str]:
    """Return the words that stand whole: neither at an edge nor before a mark."""
    vocabulary = set()
    for line in lines:
        inside = _EDGE.sub("", _CUT.sub("", line))
        vocabulary |= set(_WORD.findall(inside))
    return vocabulary


def list_texts_over_plots(lines: Sequence[str]) -> list[str]:
    """Return the places where a text touches a line of a plot, or stands in one."""
    return [
        match[0]
        for line in lines
        for pattern in (_TOUCHES, _ENCLOSED)
        for match in pattern.finditer(line)
    ]


def list_cut_words(lines: Sequence[str], vocabulary: set[str]) -> list[str]:
    """Return the words before a mark that are none of `vocabulary`: one was cut in two."""
    return [m[1] for line in lines for m in _CUT.finditer(line) if m[1] not in vocabulary]


def list_half_phrases(lines: Iterable[str]) -> list[str]:
    """Return what a mark leaves without sense: a number alone, an open bracket, a second mark."""
    return [match[0] for line in lines for match in _HALF.finditer(line)]


def list_words_cut_by_an_edge(lines: Sequence[str], vocabulary: set[str]) -> list[str]:
    """Return the words at an edge that are none of `vocabulary`, as one without room would be.

    Numbers and batches are left out: labels of axes and of cells end there.
    """
    ends = [match[1] for line in lines for match in _EDGE.finditer(line)]
    return [
        word for word in ends if not word.removeprefix("b").isdigit() and word not in vocabulary
    ]
