"""Names of models: the shortest ending of each path or Hub name that tells it from the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

# A repository in the Hub's cache: its name is in the folder above that of the commit.
_SNAPSHOT = re.compile(r"(?:.*/)?models--([^/]+)/snapshots/([0-9a-f]+)((?:/[^/]+)*)/?")
_COMMIT_DIGITS = 7


def shorten_model_name(model: str) -> str:
    """Return the last part of a path or of a Hub name; of a Hub snapshot its repository's name."""
    return _split(model)[-1]


def get_repository(path: str) -> str | None:
    """Return the name of the repository whose snapshot in the Hub's cache `path` is, or None."""
    snapshot = _SNAPSHOT.fullmatch(path)
    return snapshot[1].replace("--", "/") if snapshot else None


def name_models(models: Iterable[str]) -> dict[str, str]:
    """Return the name of each model: as few of its last parts as no other model ends in."""
    split = {model: _split(model) for model in dict.fromkeys(models)}
    ambiguous = Counter(split.values())
    for model, parts in split.items():
        if ambiguous[parts] > 1 and (snapshot := _SNAPSHOT.fullmatch(model)):
            split[model] = (*parts[:-1], f"{parts[-1]}@{snapshot[2][:_COMMIT_DIGITS]}")
    endings = Counter(
        parts[-count:] for parts in set(split.values()) for count in range(1, len(parts) + 1)
    )
    names = {}
    for model, parts in split.items():
        alone = (n for n in range(1, len(parts) + 1) if endings[parts[-n:]] == 1)
        names[model] = "/".join(parts[-next(alone, len(parts)) :])
    taken = Counter(names.values())
    return {model: name if taken[name] == 1 else model for model, name in names.items()}


def _split(model: str) -> tuple[str, ...]:
    if snapshot := _SNAPSHOT.fullmatch(model):
        repository, _, rest = snapshot.groups()
        return (*repository.split("--"), *rest.split("/")[1:])
    return tuple(part for part in model.split("/") if part not in ("", ".")) or (model,)
