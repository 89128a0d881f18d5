"""The items of a task by kind, as docs/tasks.md describes their JSON."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from txtop.plan.task import TaskKind

Filled = Annotated[str, Meta(min_length=1, max_length=1 << 20)]
MASK = "[MASK]"


class ItemBase(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An item of any kind. `line` is its line in the file, from 1 on."""

    line: int = 0

    @property
    def asked(self) -> str:
        """The question as a person reads it."""
        raise NotImplementedError

    @property
    def right(self) -> str:
        """The right answer as a person reads it."""
        raise NotImplementedError

    @property
    def inputs(self) -> tuple[str, ...]:
        """The texts that make a question: two items with the same are one question.

        Spaces around a question make no other one.
        """
        return (self.asked.strip(),)

    def find_fault(self) -> str:
        """Return what is wrong beyond the types of the fields; empty if nothing is."""
        return ""


class ChoiceItem(ItemBase):
    """A question with choices, of which the likeliest continuation is taken.

    `answer` is the right choice itself or its place, from 0 on. `space` is put between question and
    choice.
    """

    question: Filled
    choices: Annotated[list[Filled], Meta(min_length=2, max_length=64)]
    answer: int | str
    space: str = " "

    @property
    def asked(self) -> str:
        return self.question

    @property
    def right(self) -> str:
        return self.choices[self.place]

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.question.strip(), self.space, *sorted(self.choices))

    @property
    def place(self) -> int:
        """The place of the right choice."""
        return self.answer if isinstance(self.answer, int) else self.choices.index(self.answer)

    def find_fault(self) -> str:
        if fault := _find_repeat("choices", self.choices):
            return fault
        if isinstance(self.answer, str):
            return "" if self.answer in self.choices else "answer is none of the choices"
        in_range = 0 <= self.answer < len(self.choices)
        return "" if in_range else f"answer is not between 0 and {len(self.choices) - 1}"


class MatchItem(ItemBase):
    """A prompt whose greedy continuation must be the answer, or one of several.

    The continuation ends before the first of `until`, after `max_tokens`, or at the model's own
    end. Spaces around it do not count.
    """

    prompt: Filled
    answer: Filled | Annotated[list[Filled], Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=1, le=4096)] = 32
    until: tuple[Filled, ...] = ("\n",)

    @property
    def asked(self) -> str:
        return self.prompt

    @property
    def right(self) -> str:
        return self.answers[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.prompt.strip(), str(self.max_tokens), *self.until)

    @property
    def answers(self) -> list[str]:
        """All answers that are right."""
        return [self.answer] if isinstance(self.answer, str) else self.answer

    def find_fault(self) -> str:
        stops = []
        for answer in self.answers:
            stop = next((stop for stop in self.until if stop in answer.strip()), None)
            if stop is None:
                return ""
            stops.append(stop)
        return f"answer has {stops[0][:40]!a}, before which the text ends (until)"


class LabelItem(ItemBase):
    """A text, or a pair of texts, whose class the model's head names.

    `label` is the name of the class in config.json or its number.
    """

    text: Filled
    label: int | str
    text_pair: str | None = None

    @property
    def asked(self) -> str:
        return self.text if self.text_pair is None else f"{self.text} | {self.text_pair}"

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(text.strip() for text in (self.text, self.text_pair) if text is not None)

    @property
    def right(self) -> str:
        return str(self.label)


class PairItem(ItemBase):
    """Two sentences and how similar they are, on any scale."""

    a: Filled
    b: Filled
    score: Annotated[float, Meta(ge=-1e9, le=1e9)]

    @property
    def asked(self) -> str:
        return f"{self.a} | {self.b}"

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(sorted((self.a.strip(), self.b.strip())))

    @property
    def right(self) -> str:
        return f"{self.score:g}"


class QueryItem(ItemBase):
    """A query and the documents that answer it, to be ranked among all documents of the file.

    The item is answered in so far as they are among the first `k`.
    """

    query: Filled
    relevant: Annotated[list[Filled], Meta(min_length=1, max_length=1000)]
    k: Annotated[int, Meta(ge=1, le=1000)] = 10

    @property
    def asked(self) -> str:
        return self.query

    @property
    def right(self) -> str:
        return self.relevant[0]

    def find_fault(self) -> str:
        return _find_repeat("relevant", self.relevant)


class DocumentItem(ItemBase):
    """A document that answers none of the queries."""

    document: Filled


class FillItem(ItemBase):
    """A sentence with one `[MASK]` and the word that belongs there."""

    text: Filled
    answer: Filled

    @property
    def asked(self) -> str:
        return self.text

    @property
    def right(self) -> str:
        return self.answer

    def find_fault(self) -> str:
        count = self.text.count(MASK)
        return "" if count == 1 else f"text has {count} times {MASK}, not once"


def _find_repeat(field: str, values: list[str]) -> str:
    """Return the fault of a list that has a value twice; empty if it has not."""
    if len(set(values)) == len(values):
        return ""
    twice = next(value for place, value in enumerate(values) if value in values[:place])
    return f"{field} has {twice[:40]!a} twice"


Item = ChoiceItem | MatchItem | LabelItem | PairItem | QueryItem | FillItem
# A kind is told by its fields: the first whose field is there.
KIND_FIELDS: tuple[tuple[str, TaskKind, type[ItemBase]], ...] = (
    ("choices", "choice", ChoiceItem),
    ("prompt", "match", MatchItem),
    ("label", "label", LabelItem),
    ("query", "retrieval", QueryItem),
    ("document", "retrieval", DocumentItem),
    ("score", "pairs", PairItem),
    ("text", "fill", FillItem),
)
