"""Every screen at a standstill, with bundled recordings, a sampled machine and a fixed clock."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import explanations, fit_session, load_sweep, race_session, ui_sessions
from support.fleets import FakeCopies, FakeCopy, write_fleet
from support.paths import SERVING_RECORDING
from support.pilot import FakeRunner
from txtop import resources
from txtop.options.presets import PRESETS
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.session.player import PairPlayer, Player
from txtop.state.fold import fold
from txtop.ui import home_source
from txtop.ui.doctor_probe import Finding
from txtop.ui.fleet_mode import FleetMode
from txtop.ui.models.home import StartFacts
from txtop.ui.modes import AppMode, HomeMode, LiveMode, ReplayMode, ReplayStart, SideBySideMode

NOW_S = 1_795_700_000.0
RECORDED = resources.find_directory("sessions")


class Frozen(ReplayMode):
    """A recording at a standstill."""

    def open(self) -> Player:
        player = super().open()
        player.playing = False
        return player


class FrozenPair(SideBySideMode):
    """Two recordings at a standstill."""

    def open(self) -> PairPlayer:
        pair = super().open()
        pair.playing = False
        return pair


# What depends on the libraries and the cache of a machine.
STARTS = StartFacts(
    {name: f"up to {2 + i} min, plus loading" for i, name in enumerate(PRESETS)},
    (
        ("gpt2", "decoder, 124 M parameters, built-in"),
        ("bert-base-uncased", "encoder, 109 M parameters, built-in"),
    ),
)


class Sampled(home_source.HomeSource):
    """A machine with two cores that was sampled once."""

    def __init__(self, session_dir: Path | None = None, **_how: object) -> None:
        missing = Finding("missing", "gpu", "no NVIDIA library on this machine")
        super().__init__(session_dir, findings=(missing,))
        self.starts = STARTS

    def _look_further(self) -> bool:
        return False

    def _start(self, interval_s: float) -> None:
        values = {"cpu_percent": 41.0, "ram_used_bytes": 3e9, "ram_total_bytes": 24e9}
        values |= {"cpu_count": 2.0, "ram_available_bytes": 20e9, "others_cpu_s": 0.0}
        for second in range(30):
            sampled = {**values, "cpu_percent": 20.0 + second}
            fold(
                self.state,
                events.Telemetry(
                    t_ns=second * 1_000_000_000, device="host", label="A CPU", values=sampled
                ),
            )


def freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fix the machine, the models on its disk and the moment."""
    monkeypatch.setenv("HF_HUB_CACHE", "/nowhere")
    monkeypatch.setattr("txtop.models.model_config.find_local_path", lambda _model: None)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(home_source, "HomeSource", Sampled)
    monkeypatch.setattr(home_source, "time", Clock)
    monkeypatch.setattr("txtop.ui.modes.time", Clock)
    monkeypatch.setattr(platform, "node", lambda: "box")
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


class Clock:
    """The time, fixed."""

    monotonic = time.monotonic
    sleep = time.sleep

    @staticmethod
    def time() -> float:
        return NOW_S


@dataclass(frozen=True)
class Scene:
    """A screen to draw: its opener, the keys typed then, and a word that shows it is ready."""

    opens: Callable[[Path], AppMode]
    seen: str
    keys: tuple[str, ...] = ()
    after: str = ""


def recording(name: str, at: str) -> Callable[[Path], AppMode]:
    path = next(RECORDED.glob(f"{name}.jsonl*"))
    return lambda _folder: Frozen(path, ReplayStart(at=at))


def serving(at: str) -> Callable[[Path], AppMode]:
    return lambda _folder: Frozen(SERVING_RECORDING, ReplayStart(at=at))


def running(name: str, share: float) -> Callable[[Path], AppMode]:
    """Return a run in progress: the first lines of a recording."""

    def opens(folder: Path) -> AppMode:
        lines = (RECORDED / f"{name}.jsonl").read_bytes().splitlines(keepends=True)
        path = folder / "run"
        path.mkdir()
        (path / "events.jsonl").write_bytes(b"".join(lines[: round(share * len(lines))]))
        return LiveMode(path=path, runner=lambda _path: FakeRunner())

    return opens


def pair(_folder: Path) -> AppMode:
    one, other = RECORDED / "gpt2-precisions.jsonl", RECORDED / "bert-lengths.jsonl"
    return FrozenPair(one, other, ReplayStart(at="0:40"))


def write_numbered(path: Path, made: list[AnyEvent]) -> Path:
    """Write a recording of invented events, with the numbers of their lines."""
    for number, event in enumerate(made, start=1):
        event.seq = number
    return ui_sessions.write(path, made)


def served(folder: Path) -> AppMode:
    """Return the end of an invented sweep: none is bundled yet."""
    made = list(load_sweep.Sweep(load_sweep.plan()).events())
    return Frozen(write_numbered(folder / "swept", made), ReplayStart(at="100:00"))


def fitted(folder: Path) -> AppMode:
    """Return the end of an invented search for what fits: none is bundled."""
    made = list(fit_session.search_whole())
    return Frozen(write_numbered(folder / "fitted", made), ReplayStart(at="100:00"))


def explained(folder: Path) -> AppMode:
    """Return an invented session with an explained cell: none is bundled."""
    made = explanations.list_explained_events()
    return Frozen(write_numbered(folder / "explained", made), ReplayStart(at="100:00"))


def raced(folder: Path) -> AppMode:
    """Return the end of an invented race: none is bundled."""
    made = list(race_session.Race().events())
    return Frozen(write_numbered(folder / "raced", made), ReplayStart(at="100:00"))


def racing(folder: Path) -> AppMode:
    """Return an invented race under way."""
    made = list(race_session.Race(steps=100).events())
    path = write_numbered(folder / "racing", made)
    return LiveMode(path=path, runner=lambda _path: FakeRunner())


def fleet(folder: Path) -> AppMode:
    """Return a fleet of which one place is done, one at work, one silent and one lost."""
    shares = {"gpu1": 1.0, "gpu2": 0.25, "desk": 0.6, "spare": 0.1, "slurm-12": 0.0}
    copies = {
        "gpu1": FakeCopy("complete"),
        "gpu2": FakeCopy(),
        "desk": FakeCopy(silent_s=42.0, is_lagging=True, problem="exit code 255"),
        "spare": FakeCopy("given up", 700.0, problem="lost, no route to host"),
        "slurm-12": FakeCopy("connecting"),
    }
    written = write_fleet(folder, "nightly", shares, "gpt2-precisions")
    return FleetMode(written, FakeCopies(copies).cast())


def home(_folder: Path) -> AppMode:
    return HomeMode()


SCENES = {
    "fleet": Scene(fleet, "gpu2"),
    "home": Scene(home, "A/B 1.92x"),
    "home-marked": Scene(home, "A/B 1.92x", ("space", "down", "space"), "c compare"),
    "matrix": Scene(home, "smollm2", ("b", "down", "down", "right", "space"), "txtop run"),
    "choose-ab": Scene(home, "A/B 1.92x", ("a",), "of which model"),
    "live": Scene(running("gpt2-precisions", 0.25), "fp32"),
    "live-ended": Scene(running("gpt2-precisions", 1.0), "done"),
    "ab-live": Scene(running("smollm2-int8", 0.8), "verdict"),
    "ab": Scene(recording("smollm2-int8", "3:34"), "verdict"),
    "ab-cells": Scene(recording("smollm2-int8", "3:34"), "verdict", ("1",), "prec"),
    "replay": Scene(recording("gpt2-precisions", "bf16"), "gpt2"),
    "replay-encoder": Scene(recording("bert-lengths", "1:20"), "bert"),
    "pair": Scene(pair, "bert"),
    "tradeoffs": Scene(recording("bert-lengths", "1:23"), "bert", ("3",), "latency"),
    "lengths": Scene(recording("bert-lengths", "1:23"), "bert", ("3", "v"), "against length"),
    "precisions": Scene(recording("gpt2-precisions", "1:46"), "gpt2", ("3",), "precisions"),
    "load": Scene(served, "gpt2", ("3", *["down"] * 4), "under load"),
    "fit": Scene(fitted, "does not"),
    "why": Scene(explained, "decode step"),
    "why-tree": Scene(explained, "decode step", ("6", "down", "enter"), "mlp"),
    "tune": Scene(raced, "confirmed"),
    "tune-live": Scene(racing, "round"),
    "detail": Scene(recording("gpt2-precisions", "0:30"), "gpt2", ("enter",), "figures"),
    "detail-encoder": Scene(recording("bert-lengths", "1:23"), "bert", ("enter",), "figures"),
    "serving": Scene(serving("1:15"), "continuous"),
    "serving-warming": Scene(serving("1:04"), "warm-up"),
    "serving-ended": Scene(serving("1:26"), "results"),
    "serving-detail": Scene(serving("1:26"), "results", ("enter",), "figures"),
    "machine": Scene(recording("smollm2-quantised", "1:40"), "SmolLM2", ("4",), "cores"),
    "log": Scene(recording("gpt2-precisions", "1:40"), "gpt2", ("5", "slash", *"bf16")),
    "cells": Scene(recording("gpt2-precisions", "1:46"), "gpt2", ("1", "o", "o", "down")),
    "help": Scene(recording("gpt2-precisions", "1:40"), "gpt2", ("question_mark",)),
    "glossary": Scene(recording("gpt2-precisions", "1:40"), "gpt2", ("f1",), "TTFT"),
    "palette": Scene(recording("gpt2-precisions", "1:40"), "gpt2", ("ctrl+p", *"th")),
    "themes": Scene(recording("gpt2-precisions", "1:40"), "gpt2", ("T",)),
    "go-to": Scene(recording("gpt2-precisions", "1:40"), "gpt2", ("g", *"never", "enter")),
    "quit": Scene(running("gpt2-precisions", 0.5), "gpt2", ("q",)),
}
