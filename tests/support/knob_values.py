"""The values of the knobs that have a fixed set of them."""

from __future__ import annotations

from txtop.plan.knobs import BY_FIELD

PRECISIONS: tuple[str, ...] = BY_FIELD["precision"].values
ATTENTIONS: tuple[str, ...] = BY_FIELD["attention"].values
COMPILES: tuple[str, ...] = BY_FIELD["compile"].values
CACHES: tuple[str, ...] = BY_FIELD["cache"].values
