"""Damage a trained model by degrees, and measure how far its output moves and what it loses.

    python tests/bench/calibrate_badges.py MODEL [DAMAGE ...]

prints a line for each damage: the figures that badges are made of, and the accuracy lost in the
tasks that ship, in points, with its interval. The bands of docs/method.md, "Badges", come from it.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from txtop.plan.cell import Cell
from txtop.plan.plan import Allowed
from txtop.state import accuracy
from txtop.stats import paired_accuracy, rank_correlation
from txtop.tasks import task_file
from txtop.worker.accuracy import encoding, likelihood
from txtop.worker.fidelity import divergence, outputs, passage
from txtop.worker.loading.load import read_model
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.source import resolve_model

DECODER_TASKS = {"agreement": 100, "facts": 120}
ENCODER_TASKS = {"pairs": 300, "search": 117}
POSITIONS = {"causal": 256, "encoder": 2048}


def round_weights(bits: int, group: int | None) -> Callable[[torch.nn.Module], None]:
    """Return a damage: weights of products rounded to integers, a scale a row or group."""

    def damage(model: torch.nn.Module) -> None:
        for weight in _iterate_weights(model):
            rows = weight.reshape(-1, group) if group else weight
            most = 2 ** (bits - 1) - 1
            scale = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / most
            weight.copy_((torch.round(rows / scale).clamp(-most, most) * scale).view_as(weight))

    return damage


def add_noise(share: float) -> Callable[[torch.nn.Module], None]:
    """Return a damage: normal noise of that share of each matrix's own deviation."""

    def damage(model: torch.nn.Module) -> None:
        generator = torch.Generator().manual_seed(1)
        for weight in _iterate_weights(model):
            noise = torch.randn(weight.shape, generator=generator)
            weight.add_(noise * weight.std() * share)

    return damage


def scale_layers(factor: float, every: int = 3) -> Callable[[torch.nn.Module], None]:
    """Return a damage: every third matrix is multiplied by a factor."""

    def damage(model: torch.nn.Module) -> None:
        for place, weight in enumerate(_iterate_weights(model)):
            if place % every == 0:
                weight.mul_(factor)

    return damage


def cast(dtype: torch.dtype) -> Callable[[torch.nn.Module], None]:
    """Return a damage: all weights rounded to a type, computed in fp32."""

    def damage(model: torch.nn.Module) -> None:
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype).float())

    return damage


def quantize_dynamically(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model as `int8:torch-dynamic` runs it."""
    return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)


DAMAGES: dict[str, Callable[[torch.nn.Module], Any]] = {
    "bf16": cast(torch.bfloat16),
    "int8 a row": round_weights(8, None),
    "noise 2 %": add_noise(0.02),
    "int6 a row": round_weights(6, None),
    "noise 5 %": add_noise(0.05),
    "layers x 1.05": scale_layers(1.05),
    "int4, groups of 32": round_weights(4, 32),
    "noise 10 %": add_noise(0.10),
    "layers x 1.2": scale_layers(1.2),
    "torch-dynamic": quantize_dynamically,
    "int4 a row": round_weights(4, None),
    "noise 20 %": add_noise(0.20),
    "int3, groups of 32": round_weights(3, 32),
    "noise 40 %": add_noise(0.40),
}


def _iterate_weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return [m.weight.data for m in model.modules() if isinstance(m, torch.nn.Linear)]


def load(model: str) -> tuple[LoadedModel, Cell]:
    cell = Cell(id="c", model=model, device="cpu")
    source = resolve_model(model, "auto", Allowed(), print, lambda *_: None)
    return read_model(cell, source, 0, torch.get_num_threads(), lambda _: None), cell


def answer_all(loaded: LoadedModel, cell: Cell) -> dict[str, list[float]]:
    """Return the scores of each task that fits the family."""
    tokenizer = passage.load_tokenizer(loaded.source)
    tasks = DECODER_TASKS if loaded.family == "causal" else ENCODER_TASKS
    scores = {}
    for name, count in tasks.items():
        read = task_file.read_task(f"builtin:{name}")
        items: Any = task_file.order_items(read.items, 0)[:count]
        if read.kind == "choice":
            given = likelihood.answer_choices(loaded, tokenizer, cell, items, name)
        else:
            encoder = encoding.TextEncoder(loaded, tokenizer, cell, name, lambda: None)
            given = (
                encoding.answer_pairs(encoder, items)
                if read.kind == "pairs"
                else encoding.answer_queries(encoder, items, read.documents)
            )
        scores[name] = [answer.score for answer in given]
    return scores


def get_targets() -> list[float]:
    items: Any = task_file.order_items(task_file.read_task("builtin:pairs").items, 0)
    return [item.score for item in items]


class Outputs:
    """The outputs of a model on the passage, and the embeddings of its sentences."""

    def __init__(self, loaded: LoadedModel, cell: Cell) -> None:
        text = passage.build_passage(loaded, True, POSITIONS[loaded.family], 0)
        self.hidden = loaded.family == "encoder"
        self.windows = text.windows
        self.rows = [
            outputs.compute_output(loaded, cell, w, hidden=self.hidden) for w in text.windows
        ]
        self.embeddings = (
            outputs.embed_sentences(loaded, cell, text.sentences, lambda _: None)
            if self.hidden
            else torch.zeros(0, 0)
        )


def describe_distance(base: Outputs, own: Outputs) -> str:
    """Return the figures as the worker computes them."""
    pairs = list(zip(base.rows, own.rows, strict=True))
    if not base.hidden:
        parts = [
            divergence.compare_tokens(a.rows, b.rows, w.targets)
            for w, (a, b) in zip(base.windows, pairs, strict=True)
        ]
        figures = divergence.summarise_tokens(parts)
        n = sum(len(w.ids) for w in base.windows)
        return f"KLD {figures.kld:.5f}  top-1 {100 * figures.top1 / n:.1f} %"
    tokens = np.concatenate([divergence.compute_cosines(a.rows, b.rows) for a, b in pairs])
    pooled = [
        divergence.compute_cosines(a.pooled[None], b.pooled[None])[0]
        for a, b in pairs
        if a.pooled is not None and b.pooled is not None
    ]
    own_figures = divergence.compare_embeddings(base.embeddings, own.embeddings)
    return (
        f"tokens {tokens.mean():.5f}  pooler {np.mean(pooled):.5f}"
        f"  embedding {own_figures.cosine_embedding:.5f}"
        f"  pairs {own_figures.similarity_rank:.5f} ±{own_figures.similarity_rms:.5f}"
    )


def describe_loss(name: str, base: list[float], own: list[float]) -> str:
    if name == "pairs":
        contrast = rank_correlation.compare_correlations(get_targets(), base, own)
        if contrast.base is None or contrast.own is None:
            return f"{name} {contrast.reason}"
        interval, points = contrast.interval, contrast.own - contrast.base
    else:
        counts: dict[float, float] = {}
        for a, b in zip(base, own, strict=True):
            counts[b - a] = counts.get(b - a, 0) + 1
        interval = paired_accuracy.compute_difference_interval(counts)
        points = float(np.mean(own) - np.mean(base))
    ends = accuracy.format_points_interval(interval)
    return f"{name} {accuracy.format_points(points)} {ends}"


def main(model: str, chosen: list[str]) -> None:
    loaded, cell = load(model)
    with torch.inference_mode():
        base, scores = Outputs(loaded, cell), answer_all(loaded, cell)
        for name, own in scores.items():
            reached = (
                rank_correlation.compute_rank_correlation(get_targets(), own)
                if name == "pairs"
                else np.mean(own)
            )
            print(f"undamaged: {name} {reached:.3f}", flush=True)
        plain = copy.deepcopy(loaded.model)
        for name in chosen or DAMAGES:
            damaged = copy.deepcopy(plain)
            changed = DAMAGES[name](damaged)
            loaded = replace(loaded, model=damaged if changed is None else changed)
            own_scores = answer_all(loaded, cell)
            distance = describe_distance(base, Outputs(loaded, cell))
            losses = [describe_loss(task, scores[task], own_scores[task]) for task in scores]
            if loaded.family == "causal":
                joined = [[s for own in x.values() for s in own] for x in (scores, own_scores)]
                losses.append(describe_loss("all", *joined))
            print(f"{name}: {distance}  {'  '.join(losses)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
