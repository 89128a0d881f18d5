"""The choices for a live A/B: the models that are here, and the precisions that each can have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from txtop.models import model_config
from txtop.models.builtin import BUILTIN_MODELS
from txtop.models.local_models import list_cached_models, list_folder_models
from txtop.models.precision_needs import settle_precision
from txtop.options.feasibility import explain_not_here, find_fast_precision
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD
from txtop.plan.model_names import name_models
from txtop.sanitise import sanitise

# The keys of the rows; j, k and q move and close.
CHOICE_KEYS = "123456789abcdefghilmnoprstuvwxyz"
FIRST = "fp32"


@dataclass(frozen=True)
class ABModel:
    """A model on offer: as a command takes it, its name (inert), and where it comes from."""

    model: str
    name: str
    source: str


@dataclass(frozen=True)
class ABPrecision:
    """A precision of a model; `lacking` is the reason why it cannot be measured here."""

    precision: str
    lacking: str = ""


def list_ab_models(recent: Iterable[str] = ()) -> list[ABModel]:
    """List the models: those of recent sessions that are here, those of the current directory, the
    Hub's cache, the built-in ones.

    A Hub name of a recent session that is not in the cache would be a download: it is left out.
    """
    cached = [*list_folder_models(Path()), *list_cached_models()]
    builtin = {model.name: "built in, no download" for model in BUILTIN_MODELS}
    sources = dict.fromkeys(cached, "on the disk")
    first = [
        model
        for model in recent
        if model in sources or model in builtin or model_config.find_local_path(model) is not None
    ]
    sources = {
        **builtin,
        **{model: "on the disk" for model in first if model not in builtin},
    } | sources
    order = list(dict.fromkeys([*first, *cached, *builtin]))
    names = name_models(order)
    return [ABModel(model, sanitise(names[model], 60), sources[model]) for model in order]


def list_ab_precisions(model: str) -> list[ABPrecision]:
    """List every precision with the reason why this machine or this model lacks it."""
    return [
        ABPrecision(precision, _explain(Cell(id="A", model=model, precision=precision)))
        for precision in BY_FIELD["precision"].values
    ]


def _explain(cell: Cell) -> str:
    settled = settle_precision(cell).precision
    if settled != cell.precision:
        return sanitise(f"the files are {settled}, whatever is asked for", 120)
    refusal = model_config.explain_refusal(cell)
    return sanitise(refusal[0] if refusal else explain_not_here(cell), 120)


def choose_default_pair(precisions: Iterable[ABPrecision]) -> tuple[str, str] | None:
    """Return fp32 and the precision that this machine is fast in; None if a model lacks either."""
    here = [one.precision for one in precisions if not one.lacking]
    fast = find_fast_precision("auto")
    second = fast if fast in here else next((name for name in here if name != FIRST), "")
    return (FIRST, second) if FIRST in here and second else None
