"""GivenAnswer with one forward pass: a class, a masked word, or the embedding of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from txtop.errors import did_you_mean
from txtop.plan.cell import Cell
from txtop.tasks.items import MASK, FillItem, LabelItem, PairItem, QueryItem
from txtop.worker.accuracy.answer import GivenAnswer, require_room
from txtop.worker.failures import RejectedError
from txtop.worker.fidelity.divergence import SIMILARITY_DIGITS
from txtop.worker.loading import attention
from txtop.worker.loading.loaded_model import LoadedModel

BATCH = 32
_LEAVE_OUT = "name such a model, or leave this task out"
_NAMED = 8
"""The classes that a message names at most."""


class TextEncoder:
    """Runs texts through an encoder, in batches of equal places for every cell."""

    def __init__(
        self,
        loaded: LoadedModel,
        tokenizer: Any,
        cell: Cell,
        where: str,
        check: Callable[[], None],
    ) -> None:
        self.loaded, self.tokenizer, self.cell, self.where = loaded, tokenizer, cell, where
        self._check = check

    def tokenize(self, texts: Sequence[tuple[str, str | None]], lines: list[int]) -> list[Any]:
        """Return the encoding of each text, or pair. Raises `RejectedError` if one is too long."""
        encodings = [self.tokenizer(one, other) for one, other in texts]
        for encoding, line in zip(encodings, lines, strict=True):
            require_room(self.loaded, self.where, line, len(encoding["input_ids"]))
        return encodings

    def run(self, encodings: list[Any]) -> Iterator[tuple[Any, torch.Tensor, torch.Tensor]]:
        """Yield the model's output, ids and mask of each batch."""
        for start in range(0, len(encodings), BATCH):
            self._check()
            inputs = self.tokenizer.pad(encodings[start : start + BATCH], return_tensors="pt")
            inputs = {name: values.to(self.loaded.device) for name, values in inputs.items()}
            with torch.inference_mode(), attention.use_kernel(self.cell.attention):
                output = self.loaded.model(**inputs)
            yield output, inputs["input_ids"], inputs["attention_mask"]

    def tokenize_alone(self, texts: Sequence[str], lines: list[int]) -> list[Any]:
        """Return the encoding of each text, for `embed`. Raises as `tokenize` does."""
        return self.tokenize([(text, None) for text in texts], lines)

    def embed(self, encodings: list[Any]) -> torch.Tensor:
        """Return a unit vector for each encoded text, float64 of shape (n, width).

        Raises `RejectedError` for NaN and Inf: similarities with them have no order.
        """
        rows = []
        first = self.loaded.pools_first_token
        for output, _, mask in self.run(encodings):
            states = output.last_hidden_state.double().cpu()
            shares = mask.double().cpu()[..., None]
            rows.append(states[:, 0] if first else (states * shares).sum(1) / shares.sum(1))
            if not rows[-1].isfinite().all():
                raise RejectedError("NaN or Inf in an embedding", "another precision")
        return torch.nn.functional.normalize(torch.cat(rows), dim=-1)


def answer_pairs(encoder: TextEncoder, items: list[PairItem]) -> Iterator[GivenAnswer]:
    """Yield the cosine of each pair of sentences."""
    lines = [item.line for item in items]
    # One that is too long is found before anything is answered.
    sides = [
        encoder.tokenize_alone([getattr(item, side) for item in items], lines)
        for side in ("a", "b")
    ]
    for start in range(0, len(items), BATCH):
        one, other = (encoder.embed(side[start : start + BATCH]) for side in sides)
        for exact in (one * other).sum(-1).tolist():
            cosine = round(exact, SIMILARITY_DIGITS)
            yield GivenAnswer(cosine, f"{cosine:.4f}")


def answer_queries(
    encoder: TextEncoder, items: list[QueryItem], documents: list[str]
) -> Iterator[GivenAnswer]:
    """Yield the share of each query's documents that is among its first k."""
    asked = encoder.tokenize_alone([item.query for item in items], [item.line for item in items])
    places = {text: item.line for item in items for text in item.relevant}
    corpus = list(dict.fromkeys([*places, *documents]))
    lines = [places.get(text, 0) for text in corpus]
    rows = encoder.embed(encoder.tokenize_alone(corpus, lines))
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        queries = encoder.embed(asked[start : start + BATCH])
        for item, similarities in zip(part, queries @ rows.T, strict=True):
            order = similarities.argsort(descending=True, stable=True)[: item.k].tolist()
            first = {corpus[place] for place in order}
            hits = sum(text in first for text in item.relevant)
            yield GivenAnswer(hits / len(item.relevant), corpus[order[0]])


def answer_labels(encoder: TextEncoder, items: list[LabelItem]) -> Iterator[GivenAnswer]:
    """Yield the class of each text, by the model's own head.

    Raises `RejectedError` before the first if a label is none of its classes.
    """
    names = {int(k): str(v) for k, v in (encoder.loaded.model.config.id2label or {}).items()}
    _require_classes(encoder.where, items, names)
    texts = [(item.text, item.text_pair) for item in items]
    answered = iter(items)
    for output, _, _ in encoder.run(encoder.tokenize(texts, [item.line for item in items])):
        if "logits" not in output or output.logits.dim() != 2:
            raise RejectedError("classification needs a model with a head for it", _LEAVE_OUT)
        for place in output.logits.argmax(-1).tolist():
            item, name = next(answered), names.get(place, str(place))
            yield GivenAnswer(float(str(item.label) in (str(place), name)), name)


def _require_classes(where: str, items: list[LabelItem], names: dict[int, str]) -> None:
    """Check that each label is a class: one that is none would count as lost by every cell."""
    classes = [*names.values(), *map(str, names)]
    for item in items:
        if str(item.label) not in classes:
            listed = ", ".join(classes[: min(len(names), _NAMED)])
            raise RejectedError(
                f"{where}, line {item.line}: {str(item.label)[:40]!a} is no class of this model",
                did_you_mean(str(item.label), names.values(), f"classes: {listed}"),
            )


def answer_masks(encoder: TextEncoder, items: list[FillItem]) -> Iterator[GivenAnswer]:
    """Yield the likeliest word in the place of each mask."""
    tokenizer = encoder.tokenizer
    if getattr(tokenizer, "mask_token", None) is None:
        raise RejectedError("fill-mask needs a tokenizer with a mask", _LEAVE_OUT)
    targets = [_find_token(encoder, item) for item in items]
    texts = [(item.text.replace(MASK, tokenizer.mask_token), None) for item in items]
    place = 0
    for output, ids, _ in encoder.run(encoder.tokenize(texts, [item.line for item in items])):
        if "logits" not in output or output.logits.dim() != 3:
            raise RejectedError("fill-mask needs a masked language model", _LEAVE_OUT)
        for row, own in zip(ids, output.logits, strict=True):
            at = int((row == tokenizer.mask_token_id).nonzero()[0])
            best = int(own[at].argmax())
            yield GivenAnswer(float(best == targets[place]), tokenizer.decode([best]).strip())
            place += 1


def _find_token(encoder: TextEncoder, item: FillItem) -> int:
    for text in (item.answer, f" {item.answer}"):
        ids: list[int] = encoder.tokenizer.encode(text, add_special_tokens=False)
        if len(ids) == 1:
            return ids[0]
    raise RejectedError(
        f"{encoder.where}, line {item.line}: {item.answer[:40]!a} is not one token of this model",
        "another word, or leave it out",
    )
