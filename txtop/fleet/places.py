"""The places of `--on`: how a txtop command is run on another machine."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from txtop.errors import UsageError, did_you_mean
from txtop.fleet.engines.engine import Engine, Tell
from txtop.fleet.engines.prefix import EXEC
from txtop.fleet.engines.ray import RAY
from txtop.fleet.engines.slurm import SLURM
from txtop.fleet.engines.ssh import SSH
from txtop.sanitise import sanitise

FORMS = (
    "ssh:HOST, slurm, ray, or exec:COMMAND as 'exec:kubectl exec -i POD --'; NAME=… names a place"
)
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,39})=([a-z]+(?:\*\d+)?(?::.*)?)", re.DOTALL)
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9._-]+")
MAX_PLACES = 64


class RemotePlace(NamedTuple):
    """A machine: its name here, the engine that reaches it, and what the engine is given.

    Of a place that is held `wish` is what it was asked for with.
    """

    label: str
    engine: str
    target: str
    wish: str = ""

    @property
    def spelt(self) -> str:
        """The place as `--on` takes it: `exec:COMMAND`."""
        return sanitise(f"{self.engine}:{self.target}", 60)

    def build_command(self, txtop: Sequence[str], arguments: Sequence[str]) -> list[str]:
        """Build the command that runs `txtop` with `arguments` there."""
        return ENGINES[self.engine].build(self.target, [*txtop, *arguments])


ENGINES: dict[str, Engine] = {"exec": EXEC, "ray": RAY, "slurm": SLURM, "ssh": SSH}


def parse_places(texts: Sequence[str]) -> tuple[RemotePlace, ...]:
    """Return the places that the values of `--on` mean, as they are before any is held.

    Raises `UsageError` for an unknown engine, and for two places of one name.
    """
    if not texts:
        raise UsageError("--on needs at least one value", FORMS)
    places = [
        place for number, text in enumerate(texts, 1) for place in _parse_places(text, number)
    ]
    return _require_labels(places)


def require_engines(places: Iterable[RemotePlace]) -> None:
    """Raise `UsageError` if an engine of `places` is not installed here."""
    for name in {place.engine for place in places}:
        if require := ENGINES[name].require:
            require()


def hold_places(places: Sequence[RemotePlace], tell: Tell) -> tuple[RemotePlace, ...]:
    """Hold what the engines have to hold for a run, and return the places as they then are.

    Raises `UsageError` if an engine refuses; then nothing is held.
    """
    require_engines(places)
    held: dict[RemotePlace, list[str]] = {}
    try:
        for name, engine in ENGINES.items():
            asked = [place for place in places if place.engine == name]
            if engine.hold and asked:
                targets = engine.hold([place.target for place in asked], tell)
                held.update(zip(asked, targets, strict=True))
        return _require_labels(
            place._replace(label=label, target=target, wish=place.target if place in held else "")
            for place in places
            for label, target in _number(place.label, held.get(place, [place.target]))
        )
    except BaseException:
        release_places(
            [place._replace(target=target) for place, got in held.items() for target in got]
        )
        raise


def hold_again(
    places: Sequence[RemotePlace], tell: Tell
) -> tuple[dict[str, RemotePlace], list[RemotePlace]]:
    """Hold anew what is held no longer, each on the machine that its session is on.

    Return the places that are then held, by label, and those of them that are held anew. Raises
    `UsageError` if an engine refuses; then nothing more is held than before.
    """
    require_engines(places)
    held: dict[str, RemotePlace] = {}
    anew: list[RemotePlace] = []
    try:
        for name, engine in ENGINES.items():
            own = [place for place in places if place.engine == name]
            if not own or not (engine.hold and engine.list_held and engine.pin):
                continue
            kept = engine.list_held([place.target for place in own])
            held |= {place.label: place for place in own if place.target in kept}
            asked: dict[str, list[RemotePlace]] = {}
            for place in own:
                if place.target not in kept:
                    asked.setdefault(engine.pin(place.wish, place.target), []).append(place)
            if not asked:
                continue
            # All at once: what has to queue queues together.
            wishes = [
                wish
                for wish, lacking in asked.items()
                for _ in range(len(lacking) if engine.is_counted else 1)
            ]
            got: dict[str, list[str]] = {}
            for wish, targets in zip(wishes, engine.hold(wishes, tell), strict=True):
                got.setdefault(wish, []).extend(targets)
            dealt = [
                pair for wish, lacking in asked.items() for pair in zip_longest(lacking, got[wish])
            ]
            anew += [place._replace(target=target) for place, target in dealt if place and target]
            release_places([RemotePlace("", name, target) for place, target in dealt if not place])
            if short := [place.label for place, target in dealt if not target]:
                raise UsageError(f"{name}: no room for {', '.join(short)}", "resume again later")
    except BaseException:
        release_places(anew)
        raise
    return held | {place.label: place for place in anew}, anew


def release_places(places: Sequence[RemotePlace]) -> None:
    """Give back what is held for `places`."""
    for name, engine in ENGINES.items():
        targets = [place.target for place in places if place.engine == name]
        if engine.release and targets:
            engine.release(targets)


def has_to_be_held(place: RemotePlace) -> bool:
    """Return True for a place of an engine that holds its places."""
    return ENGINES[place.engine].hold is not None


def _number(label: str, targets: Sequence[str]) -> list[tuple[str, str]]:
    if len(targets) == 1:
        return [(label, targets[0])]
    return [(f"{label}-{number}", target) for number, target in enumerate(targets, 1)]


def _require_labels(places: Iterable[RemotePlace]) -> tuple[RemotePlace, ...]:
    """Return `places`. Raises `UsageError` for too many, and for two of one name."""
    listed = tuple(places)
    if len(listed) > MAX_PLACES:
        raise UsageError(f"--on has {len(listed)} places", f"at most {MAX_PLACES}")
    labels = [place.label for place in listed]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"--on has two places called {label}", f"name one: {label}-2=…")
    return listed


def _parse_places(text: str, number: int) -> list[RemotePlace]:
    named = _NAMED.fullmatch(text)
    label, rest = named.groups() if named else ("", text)
    asked, colon, target = rest.partition(":")
    engine, star, count = asked.partition("*")
    if engine not in ENGINES or (star and not count.isdecimal()):
        # A host without its engine is no misspelt one: gpu1.
        hint = did_you_mean(engine, ENGINES, FORMS) if colon or engine.isalpha() else FORMS
        raise UsageError(f"--on cannot be {text[:60]!a}", hint)
    try:
        parts = shlex.split(target)
    except ValueError:
        raise UsageError(f"--on {text[:60]}: a quote is not closed", FORMS) from None
    ENGINES[engine].check(target, parts)
    label = label or _choose_label(engine, parts, number)
    if not star:
        return [RemotePlace(label, engine, target)]
    if not ENGINES[engine].is_counted or not 1 <= int(count) <= MAX_PLACES:
        raise UsageError(f"--on cannot be {text[:60]!a}", f"'slurm*N', N up to {MAX_PLACES}")
    names = [f"{label}-{number}" for number in range(1, int(count) + 1)]
    return [RemotePlace(name, engine, target) for name in names]


def _choose_label(engine: str, parts: Sequence[str], number: int) -> str:
    """Return the name of the host or of the engine, or a number for a command."""
    if engine == "exec":
        return f"place{number}"
    if engine != "ssh":
        return engine
    host = parts[-1].rpartition("@")[2]
    label = _NOT_IN_LABELS.sub("-", host).strip("-.")[:40]
    return label if _LABEL.fullmatch(label) else f"place{number}"
