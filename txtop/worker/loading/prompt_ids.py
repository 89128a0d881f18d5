"""The token ids of a file of prompts, by the model's own tokenizer and chat template.

They are made before weights are read, so that a prompt which does not fit costs no load.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from txtop.errors import UsageError
from txtop.models.builtin import Family
from txtop.plan.cell import Cell
from txtop.plan.prompt_file import Message, TokenCounts, describe_change, read_prompts
from txtop.sanitise import sanitise
from txtop.worker.failures import AbsentError, RejectedError
from txtop.worker.loading.source import ModelSource
from txtop.worker.loading.tokenizer import load_tokenizer
from txtop.worker.tasks.task import end_with

_MAX_NAMED = 5
"""The most lines that a refusal names."""


@dataclass(frozen=True)
class EncodedPrompt:
    """The int64 ids of one prompt, of shape (n,), and the new tokens it asks for.

    `line` is its line in the file, 0 without one. `conversation` numbers the lines with a prompt;
    the turns of one have the same.
    """

    ids: torch.Tensor
    new_tokens: int
    line: int = 0
    conversation: int = 0


@dataclass(frozen=True)
class EncodedPrompts:
    """The prompts of a file in its order, and notes on how they were encoded.

    Of a conversation each turn is a prompt for a server, and the last one for a batch. A line
    `asks` for a number of new tokens of its own.
    """

    prompts: tuple[EncodedPrompt, ...]
    notes: list[str]
    asks: bool = False

    @property
    def lengths(self) -> list[int]:
        return [len(prompt.ids) for prompt in self.prompts]

    @property
    def counts(self) -> TokenCounts:
        return TokenCounts.of(self.lengths)

    @property
    def new_tokens(self) -> list[int]:
        return [prompt.new_tokens for prompt in self.prompts]

    def build_notes(self, cell: Cell) -> list[str]:
        """Return the notes for `cell`: on the encoding, and on what comes again."""
        count = len(self.prompts)
        if cell.prefix_cache == "off" or cell.serving is None or cell.serving.requests <= count:
            return self.notes
        again = f"{cell.serving.requests} requests of {count} prompts"
        return [*self.notes, f"{again}: the prefix cache has those that come again"]

    def draw_order(self, seed: int, lanes: int = 1) -> list[EncodedPrompt]:
        """Return the prompts in seeded order, the turns of a conversation in theirs.

        `lanes` conversations are under way at a time, which take turns: the next of one comes when
        the others had theirs.
        """
        turns: dict[int, list[EncodedPrompt]] = {}
        for prompt in self.prompts:
            turns.setdefault(prompt.conversation, []).append(prompt)
        waiting = list(turns.values())
        random.Random(f"prompts {seed}").shuffle(waiting)
        order: list[EncodedPrompt] = []
        under_way: list[deque[EncodedPrompt]] = []
        while waiting or under_way:
            while waiting and len(under_way) < lanes:
                under_way.append(deque(waiting.pop(0)))
            order += [conversation.popleft() for conversation in under_way]
            under_way = [conversation for conversation in under_way if conversation]
        return order


def hash_prompts(prompts: Sequence[EncodedPrompt]) -> str:
    """Return the sha256 of all ids, lengths and new tokens, in order."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(prompt.ids.numpy().tobytes())
    sizes = [len(prompt.ids) for prompt in prompts], [prompt.new_tokens for prompt in prompts]
    digest.update(repr(sizes).encode())
    return digest.hexdigest()


def encode_prompts(
    cell: Cell,
    source: ModelSource,
    family: Family,
    vocabulary: int | None = None,
    end: int | None = None,
) -> EncodedPrompts:
    """Encode the prompts of `cell` for the model of `source`.

    Special tokens come from the chat template where one is applied, else from the tokenizer, never
    from both. Each turn of a conversation is a prompt for a server; a batch has the last one.

    Raises `RejectedError` for a file that has changed, a model without tokenizer, and a prompt that
    cannot be encoded.
    """
    assert cell.prompts is not None
    name = cell.prompts.name
    try:
        file, prompts = read_prompts(cell.prompts.path)
    except UsageError as error:
        raise AbsentError(error.cause, error.hint) from None
    if file.sha256 != cell.prompts.sha256:
        raise AbsentError(describe_change(file), "restore it, or begin a new run")
    tokenizer = _find_tokenizer(cell, source)
    templated = (
        cell.chat_template == "auto"
        and family == "causal"
        and bool(getattr(tokenizer, "chat_template", None))
    )
    encoded: list[EncodedPrompt] = []
    for number, prompt in enumerate(prompts):
        turns = prompt.list_turns()
        for messages in turns if cell.serving is not None else turns[-1:]:
            at = f"--prompts {file.path}, line {prompt.line}"
            ids = torch.tensor(
                _encode(tokenizer, messages, at, templated=templated), dtype=torch.int64
            )
            if not len(ids):
                raise RejectedError(f"{at}: no token of {cell.model_name}", "leave the line out")
            if vocabulary is not None and int(ids.max()) >= vocabulary:
                raise RejectedError(
                    f"the tokenizer of {cell.model_name} has more tokens than the model",
                    "the tokenizer that it was trained with",
                )
            ids = ids if end is None else end_with(ids, end)
            new_tokens = prompt.new_tokens or cell.new_tokens
            encoded.append(EncodedPrompt(ids, new_tokens, prompt.line, number))
    notes = [f"{name}: {'the chat template is' if templated else 'no chat template is'} applied"]
    if not templated and any(prompt.is_chat for prompt in prompts):
        notes.append("messages are joined by newlines")
    asks = any(prompt.new_tokens is not None for prompt in prompts)
    return EncodedPrompts(tuple(encoded), notes, asks)


def explain_too_long(
    cell: Cell, encoded: EncodedPrompts, family: Family, positions: int | None, most_new: int | None
) -> tuple[str, str] | None:
    """Return reason and hint if a prompt is longer than the context of the model, else None.

    For a decoder its new tokens share the `positions`; an encoder-decoder writes up to `most_new`.
    """
    assert cell.prompts is not None
    over: list[EncodedPrompt] = []
    for prompt in encoded.prompts:
        needed = len(prompt.ids) + (prompt.new_tokens if family == "causal" else 0)
        writes = prompt.new_tokens if family == "seq2seq" else 0
        if (positions is not None and needed > positions) or (
            most_new is not None and writes > most_new
        ):
            over.append(prompt)
    if not over:
        return None
    first, lines = over[0], list(dict.fromkeys(prompt.line for prompt in over))
    size = f"{len(first.ids):,} tokens"
    size += f" + {first.new_tokens} new" if family != "encoder" else ""
    context = positions if positions is not None else most_new
    cause = f"--prompts {cell.prompts.path}, line {lines[0]}: {size}"
    cause += f" are longer than the context of {cell.model_name} ({context:,})"
    if len(lines) > 1:
        cause += f", as are {len(lines) - 1} more"
    named = ", ".join(map(str, lines[:_MAX_NAMED])) + (", …" if len(lines) > _MAX_NAMED else "")
    hint = f"shorten or leave out line{'s' if len(lines) > 1 else ''} {named}"
    if family == "encoder":
        return cause, hint
    shared = any(prompt.new_tokens == cell.new_tokens for prompt in over)
    return cause, f"{hint}, or fewer {'--new-tokens' if shared else 'max_new_tokens there'}"


def _find_tokenizer(cell: Cell, source: ModelSource) -> Any:
    if source.directory is None:
        raise RejectedError(
            f"--prompts needs a tokenizer, and {cell.model_name} is a configuration alone",
            "a path, or a name of the Hub while it can be reached",
        )
    try:
        tokenizer = load_tokenizer(source)
        # For a directory without its files the library may make an empty one.
        usable = bool(tokenizer("water", add_special_tokens=False)["input_ids"])
    except Exception as error:
        why = sanitise(str(error).strip() or type(error).__name__, 100)
        raise RejectedError(
            f"--prompts needs the tokenizer of {cell.model_name}: {why}",
            "put tokenizer.json beside config.json",
        ) from None
    if not usable:
        raise RejectedError(
            f"--prompts needs a tokenizer, and {cell.model_name} has none",
            "put tokenizer.json beside config.json",
        )
    return tokenizer


def _encode(
    tokenizer: Any, messages: tuple[Message, ...], at: str, *, templated: bool
) -> list[int]:
    if templated:
        turns = [{"role": one.role, "content": one.content} for one in messages]
        try:
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except Exception as error:
            why = sanitise(str(error).strip() or type(error).__name__, 100)
            raise RejectedError(
                f"{at}: the chat template refuses it: {why}", "--chat-template off"
            ) from None
    else:
        text = "\n".join(one.content for one in messages)
    ids: list[int] = tokenizer(text, add_special_tokens=not templated)["input_ids"]
    return ids
