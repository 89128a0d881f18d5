"""Compare the output of a cell with that of its reference, for the command `compare`.

One model is in memory at a time; the outputs of the reference wait in a file. See docs/method.md,
"Fidelity".
"""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
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
from txtop.worker.loading import drawn_parts
from txtop.worker.loading.drawn_parts import OutputPart
from txtop.worker.loading.load import read_model
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.source import resolve_model

SendEvent = Callable[[events.AnyEvent], None]
_PROGRESS_INTERVAL_NS = 250_000_000
_MAX_TEXT_CHARACTERS = 300


@dataclass(frozen=True)
class ReferenceOutputs:
    """The outputs of the reference.

    `key` are the parts of the command that determine them, by which they are reused. `model` is
    type, number of parameters and vocabulary. `unknown` are the outputs that depend on drawn
    weights; `hidden` says that the spool holds hidden states and no log-probabilities.
    `embeddings` are those of the sentences, of an encoder whose hidden states are known. `floor` is
    the mean KLD against a second pass of the reference, `None` for hidden states. `written` are its
    generated tokens.
    """

    key: tuple[object, ...]
    passage: Passage
    family: str
    model: tuple[object, ...]
    vocabulary: int
    trained: bool
    unknown: frozenset[OutputPart]
    hidden: bool
    spool: outputs.Spool
    pooled: list[torch.Tensor | None]
    embeddings: torch.Tensor | None
    floor: float | None
    written: list[int]
    notes: list[str]


class OutputComparer:
    """Compares cells with a reference, whose outputs it keeps for the next cell.

    `send` gets `comparing` and `log` events; `check` raises to end a comparison. The temporary file
    takes at most `room_bytes`, by default half of the free space in its folder.
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
        self._reference: ReferenceOutputs | None = None

    def run(self, command: commands.Compare) -> events.Fidelity:
        """Compare the two cells of `command` and return the `fidelity` event.

        Raises `RejectedError` if they cannot be compared, and whatever loading and running them
        raises.
        """
        progress = _ComparisonProgress(command, self._send, self._check)
        key = (
            command.reference,
            command.positions,
            command.seed,
            command.allowed,
            _find_reach(command.cell),
        )
        reference = self._reference
        if reference is None or reference.key != key:
            if reference is not None:
                reference.spool.close()
            self._reference = None
            reference = self._reference = self._ask(command, key, progress)
        else:
            progress.total = reference.passage.positions + reference.passage.written
        loaded = self._load(command.cell, command, progress)
        return _compare(reference, loaded, command, progress)

    def _release(self) -> None:
        """Return the memory of dropped models to the system."""
        gc.collect()
        memory.release_memory(self._device)

    def _load(
        self, cell: Cell, command: commands.Compare, progress: _ComparisonProgress
    ) -> LoadedModel:
        def log(text: str) -> None:
            self._send(events.Log(t_ns=perf_counter_ns(), text=text))

        progress.tell()
        self._release()
        source = resolve_model(
            cell.model,
            cell.weights,
            command.allowed,
            log,
            lambda *_: progress.tell(_PROGRESS_INTERVAL_NS),
        )
        loaded = read_model(cell, source, command.seed, self._threads, lambda _: progress.tell())
        self._device = loaded.device
        self._check()
        return loaded

    def _ask(
        self, command: commands.Compare, key: tuple[object, ...], progress: _ComparisonProgress
    ) -> ReferenceOutputs:
        cell = command.reference
        loaded = self._load(cell, command, progress)
        text = passage.build_passage(
            loaded,
            _is_trained(loaded),
            command.positions,
            command.seed,
            _find_reach(command.cell),
            cell,
        )
        progress.tell()
        unknown = drawn_parts.find_dependent_outputs(loaded.model, loaded.drawn)
        hidden = loaded.family == "encoder" or "head" in unknown
        room = (self._room_bytes or _free_bytes()) // (
            outputs.FLOAT32_BYTES * _output_width(loaded, hidden=hidden)
        )
        text = text.fitting(room)
        if "head" in unknown:
            text = replace(text, written=0)
        again = [] if hidden else text.windows[: max(1, len(text.windows) // 4)]
        progress.total = 2 * (text.positions + text.written) + sum(len(w.ids) for w in again)
        progress.total += 2 * sum(len(w.ids) for w in text.sentences)
        spool = outputs.Spool()
        pooled: list[torch.Tensor | None] = []
        for window in text.windows:
            answer = outputs.compute_output(loaded, cell, window, hidden=hidden)
            progress.step(len(window.ids))
            if answer.invalid:
                raise RejectedError("the reference makes NaN or Inf")
            spool.append(answer.rows)
            pooled.append(answer.pooled)
        return ReferenceOutputs(
            key=key,
            passage=text,
            family=loaded.family,
            model=_describe_model(loaded),
            vocabulary=loaded.vocabulary,
            trained=_is_trained(loaded),
            unknown=unknown,
            hidden=hidden,
            spool=spool,
            pooled=pooled,
            embeddings=outputs.embed_sentences(loaded, cell, text.sentences, progress.step)
            if text.sentences and "hidden" not in unknown
            else None,
            floor=_measure_floor(loaded, cell, again, spool, progress),
            written=_generate(loaded, cell, text, progress),
            notes=[*drawn_parts.build_drawn_notes(loaded.drawn_parts), *text.notes],
        )


class _ComparisonProgress:
    """The progress of a comparison in tokens read and generated.

    `total` is an estimate until the passage is built.
    """

    def __init__(
        self, command: commands.Compare, send: SendEvent, check: Callable[[], None]
    ) -> None:
        self.total = 2 * command.positions
        self._done = 0
        self._told_ns = 0
        self._order, self._send, self._check = command, send, check

    def step(self, tokens: int) -> None:
        """Add `tokens` to those that are done.

        Raises whatever `check` raises.
        """
        self._check()
        self._done += tokens
        self.tell(_PROGRESS_INTERVAL_NS)

    def tell(self, after_ns: int = 0) -> None:
        """Send `comparing`, unless the last was sent less than `after_ns` ago."""
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
    reference: ReferenceOutputs,
    loaded: LoadedModel,
    command: commands.Compare,
    progress: _ComparisonProgress,
) -> events.Fidelity:
    """Run the cell on the passage of the reference and build the `fidelity` event.

    Raises `RejectedError` if family or vocabulary differ.
    """
    _require_alike(reference, loaded)
    cell, text = command.cell, reference.passage
    trained = reference.trained and _is_trained(loaded)
    unknown = reference.unknown | drawn_parts.find_dependent_outputs(loaded.model, loaded.drawn)
    if "head" in unknown and not reference.hidden:
        raise RejectedError("the files of this model lack weights that the reference has")
    event = events.Fidelity(
        t_ns=0,
        cell=cell.id,
        reference=command.reference.id,
        weights="pretrained" if trained else "random",
        same_model=reference.model == _describe_model(loaded),
        input_sha256=text.sha256,
        text=text.tokenizer is not None,
        positions=text.positions,
        notes=list(
            dict.fromkeys([*reference.notes, *drawn_parts.build_drawn_notes(loaded.drawn_parts)])
        ),
        unknown=_list_unknown(reference, unknown),
    )
    if {cell.compile, command.reference.compile} != {"none"}:
        event.notes.append("compared without torch.compile")
    figures = _score_windows(reference, loaded, cell, event, progress)
    if figures and not reference.hidden:
        figures |= {
            "floor": reference.floor,
            **_compare_generated(reference, loaded, cell, progress),
        }
        if not (trained and event.text):
            figures["perplexity_ratio"] = None
    for name, value in figures.items():
        setattr(event, name, value)
    event.t_ns = perf_counter_ns()
    return event


def _score_windows(
    reference: ReferenceOutputs,
    loaded: LoadedModel,
    cell: Cell,
    event: events.Fidelity,
    progress: _ComparisonProgress,
) -> dict[str, Any]:
    """Return the figures of all windows by the names of the event.

    Counts NaN and Inf in `event.invalid`; if there are any, no figures are returned.
    """
    tokens: list[divergence.TokenDivergences] = []
    cosines: list[divergence.CosineSimilarities] = []
    place = cached = 0
    for window, pooled in zip(reference.passage.windows, reference.pooled, strict=True):
        answer = outputs.compute_output(loaded, cell, window, hidden=reference.hidden)
        event.invalid += answer.invalid
        event.pooled_by = answer.pooled_by if reference.hidden else ""
        rows = reference.spool.read(place, len(window.ids))
        place += len(window.ids)
        progress.step(len(window.ids))
        if event.invalid or "hidden" in event.unknown:
            continue
        if reference.hidden:
            cosines.append(_cosines(rows, pooled, answer))
        else:
            own = slice(answer.first, None)
            tokens.append(
                divergence.compare_tokens(rows[own], answer.rows[own], window.targets[own])
            )
            cached += len(window.ids) - answer.first if answer.first else 0
    if event.invalid or "hidden" in event.unknown:
        return {}
    if reference.hidden:
        figures = asdict(divergence.summarise_cosines(cosines))
        if reference.embeddings is not None:
            sentences = reference.passage.sentences
            embeddings = outputs.embed_sentences(loaded, cell, sentences, progress.step)
            figures |= asdict(divergence.compare_embeddings(reference.embeddings, embeddings))
        if event.unknown:
            event.notes.append("compared by the hidden states, which do not depend on them")
            figures["cosine_pooled"] = None
        elif any(pooled is None for pooled in reference.pooled):
            event.notes.append("no pooler: pooled is the mean over tokens")
        return figures
    if cached:
        event.positions = cached
        event.notes.append(f"read through the {cell.cache} cache behind the prompt of each window")
    return asdict(divergence.summarise_tokens(tokens))


def _find_reach(cell: Cell) -> int:
    """Return the tokens that a window has to have for the cache of `cell`; 0 if it is exact."""
    return cell.sequence_length + outputs.CACHED_TOKENS if cell.quantizes_cache else 0


def _generate(
    loaded: LoadedModel, cell: Cell, text: Passage, progress: _ComparisonProgress
) -> list[int]:
    return (
        []
        if loaded.family == "encoder"
        else outputs.generate_tokens(loaded, cell, text, progress.step)
    )


def _cosines(
    rows: torch.Tensor, pooled: torch.Tensor | None, answer: outputs.WindowOutput
) -> divergence.CosineSimilarities:
    if pooled is None or answer.pooled is None or pooled.shape != answer.pooled.shape:
        ours, theirs = answer.rows.double().mean(0), rows.double().mean(0)
    else:
        ours, theirs = answer.pooled, pooled
    whole = divergence.compute_cosines(theirs[None], ours[None])
    return divergence.CosineSimilarities(
        divergence.compute_cosines(rows, answer.rows), float(whole[0])
    )


def _compare_generated(
    reference: ReferenceOutputs, loaded: LoadedModel, cell: Cell, progress: _ComparisonProgress
) -> dict[str, Any]:
    """Return the first difference of the two generated continuations, and their texts, if any."""
    text, theirs = reference.passage, reference.written
    ours = outputs.generate_tokens(loaded, cell, text, progress.step)
    place = divergence.find_first_difference(theirs, ours)
    fields: dict[str, Any] = {"divergence": place, "written": len(ours)}
    if text.tokenizer is None or not ours:
        return fields
    equal = len(ours) if place is None else place
    prompt = [] if reference.family == "seq2seq" else text.prompt.tolist()
    common = _decode_text(text.tokenizer, prompt + ours[:equal])[-_MAX_TEXT_CHARACTERS:]
    apart = (
        _decode_text(text.tokenizer, ids[equal:])[:_MAX_TEXT_CHARACTERS] for ids in (theirs, ours)
    )
    fields["texts"] = (common, *apart)
    return fields


def _decode_text(tokenizer: Any, ids: list[int]) -> str:
    return sanitise(tokenizer.decode(ids, skip_special_tokens=False), 10_000)


def _measure_floor(
    loaded: LoadedModel,
    cell: Cell,
    again: list[TokenWindow],
    spool: outputs.Spool,
    progress: _ComparisonProgress,
) -> float | None:
    """Return the mean KLD of a second pass over the windows `again` against the spooled rows."""
    if not again:
        return None
    parts, place = [], 0
    for window in again:
        rows = outputs.compute_output(loaded, cell, window, hidden=False).rows
        parts.append(
            divergence.compare_tokens(spool.read(place, len(window.ids)), rows, window.targets)
        )
        place += len(window.ids)
        progress.step(len(window.ids))
    return divergence.summarise_tokens(parts).kld


def _require_alike(reference: ReferenceOutputs, loaded: LoadedModel) -> None:
    if loaded.family != reference.family:
        raise RejectedError(f"the families differ: {reference.family} and {loaded.family}")
    if loaded.vocabulary != reference.vocabulary:
        raise RejectedError(
            f"the vocabularies differ: {reference.vocabulary:,} and {loaded.vocabulary:,} tokens"
        )


def _is_trained(loaded: LoadedModel) -> bool:
    return loaded.source.weights == "pretrained"


def _describe_model(loaded: LoadedModel) -> tuple[object, ...]:
    kind = loaded.source.config.get("model_type")
    return kind, loaded.counted.all, loaded.vocabulary


def _list_unknown(reference: ReferenceOutputs, unknown: frozenset[OutputPart]) -> list[OutputPart]:
    """Return those outputs that the comparison of this family would have used."""
    used: tuple[OutputPart, ...] = ("hidden", "head")
    if reference.family == "encoder":
        used = ("hidden", "pooled", "head")
    return [part for part in used if part in unknown]


def _output_width(loaded: LoadedModel, *, hidden: bool) -> int:
    """Return the numbers per position: the vocabulary, or the hidden size."""
    if not hidden:
        return loaded.vocabulary
    return int(loaded.model.config.get_text_config().hidden_size)


def _free_bytes() -> int:
    return shutil.disk_usage(tempfile.gettempdir()).free // 2
