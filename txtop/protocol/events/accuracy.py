"""Events of tasks with known answers: the items, and what each cell answers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from txtop.protocol.events.base import Event, Name, Natural, Real, Text

Score = Annotated[float, Meta(ge=-1e9, le=1e9)]


class TaskQuestions(Event, kw_only=True, tag="questions"):
    """Items of `task` in the order in which every cell answers them, from number `first` on.

    `lines` are their lines in the file; `asked` and `right`, the question and its answer, are cut.
    Pairs of sentences have the similarity to reach in `targets`, choices what a guess of each
    reaches in `chances`.
    """

    task: Name
    first: Natural
    lines: list[Natural]
    asked: list[Text]
    right: list[Text]
    targets: list[Score] = []
    chances: list[Score] = []


class TaskAnswers(Event, kw_only=True, tag="answers"):
    """Answers of `cell` to items of `task`, from number `first` on.

    A score is 1 for a right answer and 0 for a wrong one; of a query the share of its documents
    that was found, of a pair of sentences the cosine. `answers` are the answers in words, cut.
    """

    cell: Name
    task: Name
    first: Natural
    scores: list[Score]
    answers: list[Text]


class TaskAnswered(Event, kw_only=True, tag="answered"):
    """The end of answering `task` by `cell`, which `failed` for a reason or took `took_s`.

    With `may_pass` `resume` tries again.
    """

    cell: Name
    task: Name
    failed: Text = ""
    may_pass: bool = False
    took_s: Real = 0.0
    notes: list[Text] = []
