"""The tasks with known answers that the cells of a plan answer beside being timed."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TaskKind = Literal["choice", "match", "label", "pairs", "retrieval", "fill"]
BUILT_IN = "builtin:"
"""The beginning of the path of a task that ships with txtop; its name follows."""
MAX_TASKS = 32
DEFAULT_ACCURACY_MARGIN = 0.01
"""The smallest loss of accuracy that matters, as a share of 1."""
KIND_NOUNS: dict[TaskKind, str] = {
    "choice": "multiple choice",
    "match": "exact match",
    "label": "classification",
    "pairs": "similarity of pairs",
    "retrieval": "retrieval",
    "fill": "fill-mask",
}


TASK_FAMILIES: dict[TaskKind, Literal["causal", "encoder"]] = {
    "choice": "causal",
    "match": "causal",
    "label": "encoder",
    "pairs": "encoder",
    "retrieval": "encoder",
    "fill": "encoder",
}
"""The family of models that can answer each kind."""


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A task: its `name` beside others, the `path` of its file, and what is in it.

    The path is absolute, or that of a built-in one. `sha256` is that of the file, `items` the
    number of its questions.
    """

    name: Annotated[str, Meta(max_length=200)]
    path: Annotated[str, Meta(max_length=4_000)]
    kind: TaskKind
    items: Annotated[int, Meta(gt=0, le=10_000_000)]
    sha256: Annotated[str, Meta(max_length=64)]
