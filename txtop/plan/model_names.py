"""Names of models: the shortest ending of each path or Hub name that tells it from the others, and
that without what all names share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

# The kinds of models that are measured.
Family = Literal["causal", "encoder", "seq2seq"]
# A repository in the Hub's cache: its name is in the folder above that of the commit.
_SNAPSHOT = re.compile(r"(?:.*/)?models--([^/]+)/snapshots/([0-9a-f]+)((?:/[^/]+)*)/?")
_COMMIT_DIGITS = 7
CUT = "…"
# A shorter beginning or end is not worth its mark.
_LEAST_SHARED = 4


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


@lru_cache(maxsize=64)
def shorten_alike(names: tuple[str, ...]) -> dict[str, str]:
    """Return names without the parts that all begin or end with: `…L-4_H-512`, `…L-2_H-128`.

    Parts are those between underscores where every name has some, else those between hyphens.
    """
    start, end = _measure_shared(names)
    return {
        name: (CUT if start else "") + name[start : len(name) - end] + (CUT if end else "")
        for name in names
    }


def name_in_row(names: Sequence[str], between: str = " ") -> str:
    """Return names after each other, the first whole: `SmolLM2-135M-Instruct …GPTQ …CT`."""
    apart = shorten_alike(tuple(names))
    return between.join([*names[:1], *(apart[name] for name in names[1:])])


def name_together(names: Sequence[str]) -> str:
    """Return one name for several models: `bert_uncased_…, 2 models`, or `gpt2 +1`."""
    if len(names) < 2:
        return "".join(names)
    start, end = _measure_shared(tuple(names))
    if not start and not end:
        return f"{names[0]} +{len(names) - 1}"
    first = names[0]
    return f"{first[:start]}{CUT}{first[len(first) - end :]}, {len(names)} models"


def _measure_shared(names: tuple[str, ...]) -> tuple[int, int]:
    """Return the characters that all names begin with and end with, whole parts alone."""
    if len(names) < 2:
        return 0, 0
    between = "_" if all("_" in name for name in names) else "-"
    parts = [name.split(between) for name in names]
    start = _measure_equal(parts)
    start = start if start >= _LEAST_SHARED else 0
    rest = [name[start:].split(between)[::-1] for name in names]
    end = _measure_equal(rest)
    return start, end if end >= _LEAST_SHARED else 0


def _measure_equal(names: Sequence[Sequence[str]]) -> int:
    """Return the characters of the parts, with one between each, that all names begin with.

    At least one part of each name is not among them.
    """
    most = min(map(len, names)) - 1
    equal = next((i for i in range(most) if len({name[i] for name in names}) > 1), most)
    return sum(len(part) + 1 for part in names[0][:equal])


def _split(model: str) -> tuple[str, ...]:
    if snapshot := _SNAPSHOT.fullmatch(model):
        repository, _, rest = snapshot.groups()
        return (*repository.split("--"), *rest.split("/")[1:])
    return tuple(part for part in model.split("/") if part not in ("", ".")) or (model,)
