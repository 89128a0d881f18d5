"""Speculative decoding as it is asked for: several tokens are drafted, one pass verifies them all.

It is apart from the cell because command line, arms and plan files read its text.
"""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from txtop.errors import UsageError
from txtop.plan.model_names import shorten_model_name

MAX_DRAFT = 100
_LOOKUP, _ASSISTANT = "prompt-lookup:", "assistant="
_PATTERN = rf"^(none|{_LOOKUP}([1-9]\d?|100)|{_ASSISTANT}\S.{{0,1000}})$(?!\n)"

Speculative = Annotated[str, Meta(pattern=_PATTERN)]
"""`none`; `prompt-lookup:N`, up to N tokens that followed the last ones before; or
`assistant=MODEL`, the tokens of a smaller model.
"""


def parse_speculative(where: str, text: str) -> str:
    """Return the speculation that `text` names. Raises `UsageError`, which begins with `where`."""
    if re.match(_PATTERN, text):
        return text
    raise UsageError(
        f"{where} cannot be {text[:40]!a}",
        f"none, {_LOOKUP}10 (1 to {MAX_DRAFT} tokens), or {_ASSISTANT}MODEL",
    )


def get_lookup(speculative: str) -> int | None:
    """Return the most tokens that a prompt lookup drafts, `None` if there is none."""
    return int(speculative.removeprefix(_LOOKUP)) if speculative.startswith(_LOOKUP) else None


def get_assistant(speculative: str) -> str:
    """Return the model that drafts tokens; empty without one."""
    assisted = speculative.startswith(_ASSISTANT)
    return speculative.removeprefix(_ASSISTANT) if assisted else ""


def build_assisted(model: str) -> str:
    """Return the speculation in which `model` drafts the tokens."""
    return _ASSISTANT + model


def shorten_speculative(speculative: str) -> str:
    """Return the speculation with the last part of its assistant's name alone."""
    assistant = get_assistant(speculative)
    return build_assisted(shorten_model_name(assistant)) if assistant else speculative
