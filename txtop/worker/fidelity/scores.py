"""Holds the output of a cell against that of its reference. One model is in memory at a time: what
the reference answers waits in a file."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter_ns
from typing import Any

import torch

from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.sanitise import sanitise
from txtop.worker import memory
from txtop.worker.failures import RejectedError
from txtop.worker.fidelity import divergence, outputs, passage
from txtop.worker.fidelity.passage import Passage, TokenWindow
from txtop.worker.loading import attention
from txtop.worker.loading.load import LoadedModel, read_model
from txtop.worker.loading.source import resolve_model

SendEvent = Callable[[events.AnyEvent], None]
_PROGRESS_INTERVAL_NS = 250_000_000
_MAX_TEXT_CHARACTERS = 300


@dataclass(frozen=True)
class ReferenceOutputs:
    """What the reference answered. `asked` is what made it so; `model` is its type, parameters and
    vocabulary; `floor` is its mean KLD against a second pass of itself, null for an encoder."""

    asked: tuple[object, ...]
    passage: Passage
    family: str
    model: tuple[object, ...]
    vocabulary: int
    trained: bool
    spool: outputs.Spool
    pooled: list[torch.Tensor | None]
    floor: float | None
    written: list[int]
    notes: list[str]


class OutputComparer:
    """Compares cells with a reference, whose answers it keeps for the next one.

    `send` gets `comparing` and `log` events; `check` raises where it is to end. The temporary file
    takes at most `room_bytes`, by default half of what is free in its folder.
    """

    def __init__(
        self,
        threads: int,
        send: SendEvent,
        check: Callable[[], None],
        room_bytes: int | None = None,
    ) -> None:
        self._threads = threads
        self._send = send
        self._check = check
        self._room_bytes = room_bytes
        self._device = torch.device("cpu")
        self._known: ReferenceOutputs | None = None

    def run(self, order: commands.Compare) -> events.Fidelity:
        """Raises `RejectedError` where the two cannot be compared, and what loading and running
        them raises."""
        course = _ComparisonProgress(order, self._send, self._check)
        asked = (order.reference, order.positions, order.seed, order.allowed)
        known = self._known
        if known is None or known.asked != asked:
            if known is not None:
                known.spool.close()
            self._known = None
            known = self._known = self._ask(order, asked, course)
        else:
            course.total = known.passage.positions + known.passage.written
        loaded = self._load(order.cell, order, course)
        return _compare(known, loaded, order, course)

    def _release(self) -> None:
        """Returns to the system the memory of models that nobody holds any more."""
        gc.collect()
        memory.release_memory(self._device)

    def _load(
        self, cell: Cell, order: commands.Compare, course: _ComparisonProgress
    ) -> LoadedModel:
        def say(text: str) -> None:
            self._send(events.Log(t_ns=perf_counter_ns(), text=text))

        course.tell()
        self._release()
        source = resolve_model(
            cell.model,
            cell.weights,
            order.allowed,
            say,
            lambda *_: course.tell(_PROGRESS_INTERVAL_NS),
        )
        loaded = read_model(cell, source, order.seed, self._threads, lambda _: course.tell())
        self._device = loaded.device
        attention.require_kernel(cell.attention, loaded.device)
        self._check()
        return loaded

    def _ask(
        self, order: commands.Compare, asked: tuple[object, ...], course: _ComparisonProgress
    ) -> ReferenceOutputs:
        cell = order.reference
        loaded = self._load(cell, order, course)
        text = passage.build_passage(loaded, _is_trained(loaded), order.positions, order.seed)
        course.tell()
        room = (self._room_bytes or _free_bytes()) // (
            outputs.FLOAT32_BYTES * _output_width(loaded)
        )
        text = text.fitting(room)
        again = [] if loaded.family == "encoder" else text.windows[: max(1, len(text.windows) // 4)]
        course.total = 2 * (text.positions + text.written) + sum(len(w.ids) for w in again)
        spool = outputs.Spool()
        pooled: list[torch.Tensor | None] = []
        for window in text.windows:
            answer = outputs.compute_output(loaded, cell, window)
            course.step(len(window.ids))
            if answer.invalid:
                raise RejectedError("the reference makes NaN or Inf")
            spool.append(answer.rows)
            pooled.append(answer.pooled)
        return ReferenceOutputs(
            asked=asked,
            passage=text,
            family=loaded.family,
            model=_describe_model(loaded),
            vocabulary=loaded.vocabulary,
            trained=_is_trained(loaded),
            spool=spool,
            pooled=pooled,
            floor=_measure_floor(loaded, cell, again, spool, course),
            written=_generate(loaded, cell, text, course),
            notes=[*loaded.lacking, *text.notes],
        )


class _ComparisonProgress:
    """How far a comparison is, in tokens read and written: `total` of them once that is known."""

    def __init__(self, order: commands.Compare, send: SendEvent, check: Callable[[], None]) -> None:
        self.total = 2 * order.positions
        self._done = 0
        self._told_ns = 0
        self._order, self._send, self._check = order, send, check

    def step(self, tokens: int) -> None:
        """So many are done. Raises what `check` raises."""
        self._check()
        self._done += tokens
        self.tell(_PROGRESS_INTERVAL_NS)

    def tell(self, after_ns: int = 0) -> None:
        """Sends `comparing`, unless that was done less than `after_ns` ago."""
        now_ns = perf_counter_ns()
        if now_ns - self._told_ns < after_ns:
            return
        self._told_ns = now_ns
        event = events.FidelityProgress(
            t_ns=now_ns,
            cell=self._order.cell.id,
            reference=self._order.reference.id,
            done=min(self._done, self.total),
            total=self.total,
        )
        self._send(event)


def _compare(
    known: ReferenceOutputs,
    loaded: LoadedModel,
    order: commands.Compare,
    course: _ComparisonProgress,
) -> events.Fidelity:
    """All of one comparison that the cell has a part in."""
    _require_alike(known, loaded)
    cell, text = order.cell, known.passage
    trained = known.trained and _is_trained(loaded)
    found = events.Fidelity(
        t_ns=0,
        cell=cell.id,
        reference=order.reference.id,
        weights="pretrained" if trained else "random",
        same_model=known.model == _describe_model(loaded),
        input_sha256=text.sha256,
        text=text.tokenizer is not None,
        positions=text.positions,
        notes=list(dict.fromkeys([*known.notes, *loaded.lacking])),
    )
    if {cell.compile, order.reference.compile} != {"none"}:
        found.notes.append("compared without torch.compile")
    figures = _score_windows(known, loaded, cell, found, course)
    if figures and known.family != "encoder":
        figures |= {"floor": known.floor, **_compare_generated(known, loaded, cell, course)}
        if not (trained and found.text):
            figures["perplexity_ratio"] = None
    for name, value in figures.items():
        setattr(found, name, value)
    found.t_ns = perf_counter_ns()
    return found


def _score_windows(
    known: ReferenceOutputs,
    loaded: LoadedModel,
    cell: Cell,
    found: events.Fidelity,
    course: _ComparisonProgress,
) -> dict[str, Any]:
    """Of all windows, by the names of the event; none where `found.invalid` was counted."""
    tokens: list[divergence.TokenDivergences] = []
    cosines: list[divergence.CosineSimilarities] = []
    place = 0
    for window, pooled in zip(known.passage.windows, known.pooled, strict=True):
        answer = outputs.compute_output(loaded, cell, window)
        found.invalid += answer.invalid
        rows = known.spool.read(place, len(window.ids))
        place += len(window.ids)
        course.step(len(window.ids))
        if found.invalid:
            continue
        if known.family == "encoder":
            cosines.append(_cosines(rows, pooled, answer))
        else:
            tokens.append(divergence.compare_tokens(rows, answer.rows, window.targets))
    if found.invalid:
        return {}
    if known.family == "encoder":
        if any(pooled is None for pooled in known.pooled):
            found.notes.append("no pooler: pooled is the mean over tokens")
        return asdict(divergence.summarise_cosines(cosines))
    return asdict(divergence.summarise_tokens(tokens))


def _generate(
    loaded: LoadedModel, cell: Cell, text: Passage, course: _ComparisonProgress
) -> list[int]:
    return (
        []
        if loaded.family == "encoder"
        else outputs.generate_tokens(loaded, cell, text, course.step)
    )


def _cosines(
    rows: torch.Tensor, pooled: torch.Tensor | None, answer: outputs.WindowOutput
) -> divergence.CosineSimilarities:
    if pooled is None or answer.pooled is None:
        ours, theirs = answer.rows.double().mean(0), rows.double().mean(0)
    else:
        ours, theirs = answer.pooled, pooled
    whole = divergence.compute_cosines(theirs[None], ours[None])
    return divergence.CosineSimilarities(
        divergence.compute_cosines(rows, answer.rows), float(whole[0])
    )


def _compare_generated(
    known: ReferenceOutputs, loaded: LoadedModel, cell: Cell, course: _ComparisonProgress
) -> dict[str, Any]:
    """Where what the two write freely begins to differ, and both texts where there are any."""
    text, theirs = known.passage, known.written
    ours = outputs.generate_tokens(loaded, cell, text, course.step)
    place = divergence.find_first_difference(theirs, ours)
    found: dict[str, Any] = {"divergence": place, "written": len(ours)}
    if text.tokenizer is None or not ours:
        return found
    equal = len(ours) if place is None else place
    prompt = [] if known.family == "seq2seq" else text.prompt.tolist()
    common = _decode_text(text.tokenizer, prompt + ours[:equal])[-_MAX_TEXT_CHARACTERS:]
    apart = (
        _decode_text(text.tokenizer, ids[equal:])[:_MAX_TEXT_CHARACTERS] for ids in (theirs, ours)
    )
    found["texts"] = (common, *apart)
    return found


def _decode_text(tokenizer: Any, ids: list[int]) -> str:
    return sanitise(tokenizer.decode(ids, skip_special_tokens=False), 10_000)


def _measure_floor(
    loaded: LoadedModel,
    cell: Cell,
    again: list[TokenWindow],
    spool: outputs.Spool,
    course: _ComparisonProgress,
) -> float | None:
    """Mean KLD of a second pass over the first windows against what was spooled."""
    if not again:
        return None
    parts, place = [], 0
    for window in again:
        rows = outputs.compute_output(loaded, cell, window).rows
        parts.append(
            divergence.compare_tokens(spool.read(place, len(window.ids)), rows, window.targets)
        )
        place += len(window.ids)
        course.step(len(window.ids))
    return divergence.summarise_tokens(parts).kld


def _require_alike(known: ReferenceOutputs, loaded: LoadedModel) -> None:
    if loaded.family != known.family:
        raise RejectedError(f"the families differ: {known.family} and {loaded.family}")
    if loaded.vocabulary != known.vocabulary:
        raise RejectedError(
            f"the vocabularies differ: {known.vocabulary:,} and {loaded.vocabulary:,} tokens"
        )


def _is_trained(loaded: LoadedModel) -> bool:
    return loaded.source.weights == "pretrained"


def _describe_model(loaded: LoadedModel) -> tuple[object, ...]:
    kind = loaded.source.config.get("model_type")
    return kind, loaded.counted.all, loaded.vocabulary


def _output_width(loaded: LoadedModel) -> int:
    """Numbers by position: of the vocabulary, or of an encoder's hidden state."""
    if loaded.family != "encoder":
        return loaded.vocabulary
    return int(loaded.model.config.get_text_config().hidden_size)


def _free_bytes() -> int:
    return shutil.disk_usage(tempfile.gettempdir()).free // 2
