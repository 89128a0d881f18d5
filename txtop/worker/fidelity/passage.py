"""The input that a model and its reference read: the prompts of the cell, else a fixed English
text, else random tokens.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from txtop.plan.cell import Cell
from txtop.sanitise import sanitise
from txtop.worker.failures import RejectedError
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.prompt_ids import encode_prompts
from txtop.worker.loading.tokenizer import load_tokenizer

_MAX_TOKENS = {"causal": 512, "seq2seq": 512, "encoder": 128}
_LONGEST = 2048
"""The longest window: the outputs of a whole one are in memory at once."""
_PROMPT, _WRITTEN = 32, 128
_SENTENCES, _SENTENCE_TOKENS = 64, 32
"""The pieces of the text whose embeddings are compared in pairs."""
# Outputs of random weights are not worth comparing; a short input suffices to find NaN.
_POSITIONS_RANDOM, _WRITTEN_RANDOM = 64, 8
_MIN_DISTINCT = 32
"""A tokenizer that gives the text fewer distinct ids than this does not know English."""


@dataclass(frozen=True)
class TokenWindow:
    """The input of one pass and the true token at each position, as int64 ids of shape (n,)."""

    ids: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class Passage:
    """The input of a comparison.

    Each of the `windows` continues where the one before ended. `written` tokens are generated from
    `prompt`, ids of shape (n,). Without a `tokenizer` the ids are random and no text. An encoder
    reads the same text in shorter `sentences` as well.
    """

    windows: list[TokenWindow]
    prompt: torch.Tensor
    written: int
    tokenizer: Any
    notes: list[str]
    sentences: list[TokenWindow] = field(default_factory=list)

    @property
    def positions(self) -> int:
        """The number of tokens that are read."""
        return sum(len(window.ids) for window in self.windows)

    @property
    def sha256(self) -> str:
        """The sha256 of the int64 ids, window by window."""
        digest = hashlib.sha256()
        for window in self.windows:
            digest.update(window.ids.numpy().tobytes())
        return digest.hexdigest()

    def fitting(self, positions: int) -> Passage:
        """Return the passage with as many whole windows as fit `positions`, but at least one."""
        kept: list[TokenWindow] = []
        left = positions
        for window in self.windows:
            left -= len(window.ids)
            if left < 0 and kept:
                break
            kept.append(window)
        if len(kept) == len(self.windows):
            return self
        fewer = replace(self, windows=kept)
        note = f"{fewer.positions} of {self.positions} positions: no room on disk for more"
        return replace(fewer, notes=[*self.notes, note])


@dataclass(frozen=True)
class _TokenizedText:
    """The ids of a text, and the special ids that its tokenizer adds before and after one."""

    ids: list[int]
    before: list[int]
    after: list[int]


def build_passage(
    loaded: LoadedModel,
    trained: bool,
    positions: int,
    seed: int,
    reach: int = 0,
    cell: Cell | None = None,
) -> Passage:
    """Build a passage of at least `positions` tokens for `loaded`, in windows of `reach` or more.

    With prompts of `cell` it is these, as far as they go. Else it is the text if the weights are
    `trained` and a tokenizer that knows English exists, else seeded random ids. For random weights
    it is shorter.
    """
    if cell is not None and cell.prompts is not None:
        most = positions if trained else min(positions, _POSITIONS_RANDOM)
        return _build_from_prompts(loaded, cell, trained, most, seed)
    tokenizer: Any = None
    spelling: _TokenizedText | None = None
    notes: list[str] = []
    if trained:
        tokenizer, spelling, notes = _load_tokenized_text(loaded)
    else:
        positions = min(positions, _POSITIONS_RANDOM)
    # However few positions are asked for, the badge of an encoder goes by its sentences.
    short = _SENTENCES * _SENTENCE_TOKENS if trained else min(positions, _POSITIONS_RANDOM)
    needed = max(positions, short) + _PROMPT + 1
    if spelling is None:
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(loaded.vocabulary, (needed,), generator=generator).tolist()
        spelling = _TokenizedText(ids, [], [])
    elif len(spelling.ids) < needed:
        times = math.ceil(needed / len(spelling.ids))
        notes.append(f"the text is shorter than {needed} tokens and was read again")
        spelling = replace(spelling, ids=spelling.ids * times)
    if loaded.family == "causal":
        spelling = replace(spelling, after=[])
    longest = max(_MAX_TOKENS[loaded.family], min(reach, _LONGEST))
    windows = _cut_windows(spelling, loaded, positions, longest)
    prompt, written = _build_prompt(spelling, loaded, _WRITTEN if trained else _WRITTEN_RANDOM)
    sentences: list[TokenWindow] = []
    if loaded.family == "encoder":
        sentences = _cut_windows(spelling, loaded, short, _SENTENCE_TOKENS)
    return Passage(windows, prompt, written, tokenizer, notes, sentences)


def _build_from_prompts(
    loaded: LoadedModel, cell: Cell, trained: bool, positions: int, seed: int
) -> Passage:
    """Build a passage of the prompts in their seeded order, a window each, until it is long enough.

    A prompt of one token has no next one, which a decoder would have to know.
    """
    encoded = encode_prompts(
        cell, loaded.source, loaded.family, loaded.vocabulary, loaded.end_token
    )
    ahead = 1 if loaded.family == "causal" else 0
    longest = _LONGEST
    if loaded.position_limits.prompt is not None:
        longest = min(longest, loaded.position_limits.prompt)
    order = encoded.draw_order(seed)
    windows: list[TokenWindow] = []
    left = positions
    for prompt in order:
        ids = prompt.ids[: min(longest, left) + ahead]
        if len(ids) > ahead:
            windows.append(TokenWindow(ids[: len(ids) - ahead], ids[ahead:]))
            left -= len(ids) - ahead
        if left <= 0:
            break
    if not windows:
        raise RejectedError("the prompts are too short to compare outputs", "longer prompts")
    assert cell.prompts is not None
    notes = [f"compared on {cell.prompts.name}"]
    if left > 0:
        notes.append(f"its prompts have {positions - left} positions, not {positions}")
    start = order[0].ids[:longest]
    written = _WRITTEN if trained else _WRITTEN_RANDOM
    if loaded.position_limits.prompt is not None:
        written = max(0, min(written, loaded.position_limits.prompt - len(start)))
    tokenizer = load_tokenizer(loaded.source) if trained else None
    sentences = windows[:_SENTENCES] if loaded.family == "encoder" else []
    return Passage(windows, start, written, tokenizer, notes, sentences)


def _cut_windows(
    spelling: _TokenizedText, loaded: LoadedModel, positions: int, longest: int
) -> list[TokenWindow]:
    """Cut the ids into windows of at most `longest`.

    The true token of a decoder is the next one, so the last target of a window is the first id of
    the next window. The other families have their own input as targets.
    """
    before, after = spelling.before, spelling.after
    ahead = 1 if loaded.family == "causal" else 0
    if loaded.position_limits.prompt is not None:
        longest = min(longest, loaded.position_limits.prompt - 1)
    around = len(before) + len(after)
    windows, place = [], 0
    while positions > 0:
        length = max(min(longest, positions), around + 1)
        own = length - around
        ids = torch.tensor(before + spelling.ids[place : place + own + ahead] + after)
        windows.append(TokenWindow(ids[:length], ids[ahead:]))
        place, positions = place + own, positions - length
    return windows


def _build_prompt(
    spelling: _TokenizedText, loaded: LoadedModel, written: int
) -> tuple[torch.Tensor, int]:
    """Return the prompt of the free generation, and the number of tokens that fit behind it."""
    before, after, most = spelling.before, spelling.after, loaded.position_limits.prompt
    length = _PROMPT if most is None else min(_PROMPT, most // 2)
    own = max(1, length - len(before) - len(after))
    prompt = torch.tensor(before + spelling.ids[:own] + after)
    if most is not None:
        written = max(0, min(written, most - len(prompt)))
    return prompt, written


def _load_tokenized_text(loaded: LoadedModel) -> tuple[Any, _TokenizedText | None, list[str]]:
    """Return the tokenizer, the text in its ids and notes; two `None` if no tokenizer is usable."""
    try:
        tokenizer = load_tokenizer(loaded.source)
        spelling = _tokenize_text(tokenizer)
    except Exception as error:
        why = sanitise(str(error).strip() or type(error).__name__, 100)
        return None, None, [f"no tokenizer ({why}): random tokens were read instead of text"]
    # For a directory without tokenizer files the library makes an empty tokenizer.
    if len(set(spelling.ids)) < _MIN_DISTINCT:
        why = "no tokenizer"
    elif max(spelling.ids + spelling.before + spelling.after) >= loaded.vocabulary:
        why = "the tokenizer has more tokens than the model"
    else:
        return tokenizer, spelling, []
    return None, None, [f"{why}: random tokens were read instead of text"]


def _tokenize_text(tokenizer: Any) -> _TokenizedText:
    def ids(text: str, special: bool) -> list[int]:
        token_ids: list[int] = tokenizer(text, add_special_tokens=special)["input_ids"]
        return token_ids

    word, whole = ids("water", False), ids("water", True)
    starts = range(len(whole) - len(word) + 1)
    at = next((i for i in starts if whole[i : i + len(word)] == word), None)
    if at is None:
        return _TokenizedText(ids(TEXT, False), [], [])
    return _TokenizedText(ids(TEXT, False), whole[:at], whole[at + len(word) :])


TEXT = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
