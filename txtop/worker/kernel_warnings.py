"""The reasons that torch gives, as warnings, before it raises that sdpa has no kernel."""

from __future__ import annotations

import re
import warnings
from collections import deque
from collections.abc import Iterable
from typing import Any

MAX_TEXTS = 40
_NO_KERNEL = re.compile(r"No available kernel\.|No viable backend for scaled_dot_product_attention")
# A heading; the warnings up to the next one are the reasons.
_HEADING = re.compile(r"(\w+).*(?:kernel|attention) not used because", re.IGNORECASE)
_HEADINGS = {"sdpa:flash": "flash", "sdpa:efficient": "memory", "sdpa:cudnn": "cudnn"}
_ORIGIN = re.compile(r"\s*\(Triggered internally at .*\)\s*$", re.DOTALL)


def is_missing_kernel(error: BaseException) -> bool:
    """Return True if torch raised `error` because sdpa has no kernel for its arguments."""
    return isinstance(error, RuntimeError) and _NO_KERNEL.search(str(error)) is not None


def find_reason(attention: str, texts: Iterable[str]) -> str:
    """Return the reason why the kernel of `attention` was not used, empty if none is given.

    Of several answers of torch the last one counts.
    """
    own = _HEADINGS.get(attention)
    reasons: list[str] = []
    listens = False
    for text in texts:
        text = " ".join(_ORIGIN.sub("", text).split()).rstrip(".")
        heading = _HEADING.match(text)
        if heading:
            listens = own in (None, heading[1].lower())
            reasons = [] if listens else reasons
        elif listens:
            reasons.append(text)
    return "; ".join(dict.fromkeys(reasons))


class KernelWarnings:
    """The newest warnings of this process, which still go to standard error as well."""

    def __init__(self) -> None:
        self.texts: deque[str] = deque(maxlen=MAX_TEXTS)

    def install(self) -> None:
        """Keep every warning from now on, also those that Python would show only once."""
        warnings.filterwarnings("always", message=".*(kernel|[Aa]ttention|SDPA|sdp|cuDNN|dtype)")
        show = warnings.showwarning

        def keep(message: Warning | str, *others: Any, **named: Any) -> None:
            self.texts.append(str(message))
            show(message, *others, **named)

        warnings.showwarning = keep
