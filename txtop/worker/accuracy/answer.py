"""One answer of a model, and the checks that all kinds of tasks share."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.worker.failures import RejectedError
from txtop.worker.loading.loaded_model import LoadedModel


@dataclass(frozen=True)
class GivenAnswer:
    """The score of an answer, as in the event `answers`, and the answer in words."""

    score: float
    text: str


def require_room(loaded: LoadedModel, where: str, line: int, tokens: int) -> None:
    """Check that the model reads an item of `tokens` tokens. Raises `RejectedError`."""
    at = f"{where}, line {line}" if line else f"{where}: a document"
    most = loaded.position_limits.prompt
    if most is not None and tokens > most:
        raise RejectedError(
            f"{at} has {tokens:,} tokens and the model reads {most:,}",
            "shorten it or leave it out",
        )
    if not tokens:
        raise RejectedError(f"{at} has no tokens", "leave it out")
