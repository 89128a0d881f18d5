"""The modes of the application: a run (started here, or followed), a recording, or this machine.

A mode opens the source of its events, builds a frame from it (in the thread of the frame loop) and
passes requests on. It does not import Textual.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from txtop import settings
from txtop.errors import TxtopError, UsageError
from txtop.ui.frame_loop import FrameSource
from txtop.ui.runner_link import RunnerHandle, RunnerLink, open_runner_handle

if TYPE_CHECKING:
    from txtop.forecast.history import RunHistory
    from txtop.plan.plan import Plan
    from txtop.session.follower import Follower
    from txtop.session.player import PairPlayer, Player
    from txtop.session.transport import Transport
    from txtop.settings import OnHangup
    from txtop.ui.home_source import HomeSource
    from txtop.ui.models.cache import FrameCache
    from txtop.ui.models.comparability import Level
    from txtop.ui.models.home import HomeFrame
    from txtop.ui.models.view import Banner, SideBySideView, View

MAX_SILENCE_S = 5.0

S = TypeVar("S", bound=FrameSource)
F = TypeVar("F")


class Mode(Generic[S, F]):
    """The part of a mode that the application and every screen use; without a run it is idle.

    `paused`, `over` and `arms` (the number of arms of an A/B) are those of the newest frame.
    `refused` is called with the name of a request that no runner took, from any thread.
    """

    paused = False
    over = False
    arms = 0

    def __init__(self) -> None:
        self.refused: Callable[[str], None] = lambda _action: None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The sessions on the screen."""
        return ()

    @property
    def run_path(self) -> Path | None:
        """The session of the run, once it has one."""
        return None

    @property
    def going(self) -> bool:
        """True while a runner is at work, as far as the log tells."""
        return False

    @property
    def attached(self) -> bool:
        """True if the run was started elsewhere: leaving the screen is no reason to stop it."""
        return False

    def open(self) -> S:
        """Open the source, in the thread of the frame loop. Raises `TxtopError`."""
        raise NotImplementedError

    def build(self, source: S) -> F:
        """Build one frame, in the thread of the frame loop."""
        raise NotImplementedError

    def send(self, action: str, cell: str = "") -> None:
        """Send a request to the runner; `cell` is the one to skip."""

    def hang_up(self) -> None:
        """Do with the run what was asked for if the terminal goes away."""

    def close(self, seconds: float = 0.5) -> None:
        """Release what is held, waiting at most `seconds`."""


class LiveMode(Mode["Follower", "View"]):
    """A run: launched first if a plan is given, resumed if it `resumes`, then followed.

    `opened` is the cell whose detail the next frames hold; anybody may set it. `refusal` is why
    a request makes no sense once the run is not `going`.
    """

    refusal = "the run is over"

    def __init__(
        self,
        plan: Plan | None = None,
        path: Path | None = None,
        *,
        resumes: bool = False,
        name: str | None = None,
        session_dir: Path | None = None,
        on_hangup: OnHangup | None = None,
        runner: Callable[[Path], RunnerHandle] = open_runner_handle,
    ) -> None:
        super().__init__()
        self.path = path
        self.opened = ""
        self.remote: RunnerLink | None = None
        self._plan = plan
        self._resumes = resumes
        self.on_hangup: OnHangup = on_hangup or "continue"
        if on_hangup is None and not self.attached:
            self.on_hangup = settings.load_settings().on_hangup or "continue"
        self._name = name
        self._session_dir = session_dir
        self._runner = runner
        self._memo: FrameCache | None = None
        self._past: RunHistory | None = None
        self._early_requests: list[tuple[str, str]] = []
        self._opened = threading.Event()
        self._guard = threading.Lock()

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path,) if self.path is not None else ()

    @property
    def run_path(self) -> Path | None:
        return self.path

    @property
    def attached(self) -> bool:
        return self._plan is None and not self._resumes

    def open(self) -> Follower:
        """Start the runner if there is none yet, which may take a second, and follow its log."""
        try:
            self._load_history()
            path = self.path = self._launch_runner()
            from txtop.session.follower import Follower

            runner = self._runner(path)
            with self._guard:
                self.remote = RunnerLink(runner, lambda a: self.refused(a))
                for request in self._early_requests:
                    self.remote.send(*request)
            return Follower(path, runner.tail)
        except BaseException:
            self.over = True
            raise
        finally:
            self._opened.set()

    def _load_history(self) -> None:
        """Read what earlier loads took: before the runner starts, so that none is disturbed."""
        if not self.attached:
            from txtop.forecast.history import load_local_history

            self._past = load_local_history(self._session_dir)

    def _launch_runner(self) -> Path:
        """Return the session of a runner that is at work, starting one if need be."""
        if self.path is not None and not self._resumes:
            return self.path
        from txtop.runner.spawn import hold_run, resume_run, start_run

        if self.path is not None:
            return hold_run(resume_run(self.path, on_hangup=self.on_hangup, screen_pid=os.getpid()))
        assert self._plan is not None
        return hold_run(
            start_run(
                self._plan,
                session_dir=self._session_dir,
                name=self._name,
                on_hangup=self.on_hangup,
                screen_pid=os.getpid(),
            )
        )

    def build(self, source: Follower) -> View:
        from txtop.ui.models.cache import FrameCache
        from txtop.ui.models.view import build_view

        self._memo = self._memo or FrameCache()
        self.paused = source.state.paused
        self.over = source.finished
        view = build_view(
            source.state,
            cache=self._memo,
            banner=self._banner(),
            opened=self.opened,
            past=self._past,
        )
        self.arms = len(view.ab.arms) if view.ab else 0
        return view

    def _banner(self) -> Banner | None:
        """Return what is wrong with the writing of the log, which the log itself cannot tell."""
        from txtop.session.writer import DURABILITY_LOST
        from txtop.ui.models.view import Banner

        remote = self.remote
        if remote is None or self.over:
            return None
        status = remote.status
        if remote.silent_s >= MAX_SILENCE_S:
            return Banner("the runner does not answer: this is as of the last line of the log")
        if status is not None and status.write_error:
            kept = f"{status.buffered_bytes / 2**20:.1f} MB kept in memory"
            return Banner(f"cannot write the log ({status.write_error}): {kept}, trying again")
        if status is not None and status.durability_lost:
            return Banner(DURABILITY_LOST, "warn")
        return None

    @property
    def going(self) -> bool:
        return not self.over and (self.remote is None or self.remote.silent_s < MAX_SILENCE_S)

    def send(self, action: str, cell: str = "") -> None:
        """Send a request to the runner, from any thread; keep it until there is one."""
        with self._guard:
            if self.remote is None:
                self._early_requests.append((action, cell))
            else:
                self.remote.send(action, cell)

    def hang_up(self) -> None:
        if self.on_hangup == "stop":
            self.send("stop")

    def close(self, seconds: float = 0.5) -> None:
        """Send the requests that are left; a runner that is just starting gets its own too."""
        self._opened.wait(seconds)
        if self.remote is not None:
            self.remote.close()
            self.remote.join(seconds)


@dataclass(frozen=True)
class ReplayStart:
    """The beginning of a replay: at a time or the words of a cell or marker, at a speed, and with
    another warm-up cut than was recorded. A `guided` one begins where measuring does, and has
    captions."""

    at: str | None = None
    speed: float | None = None
    warmup: int | None = None
    guided: bool = False

    def apply(self, player: Transport) -> None:
        """Set speed and position. Raises `UsageError` for a place that is not in the recording."""
        player.speed = self.speed or player.speed
        if self.at is None:
            return
        from txtop.quantities import parse_position

        at_ns = parse_position(self.at)
        at_ns = player.find(self.at) if at_ns is None else at_ns
        if at_ns is None:
            raise UsageError(
                f"--at {self.at[:80]!r} is nowhere in this recording",
                "a time such as 1:23, or the words of a cell or a marker",
            )
        player.seek(at_ns)


class ReplayMode(Mode["Player", "View"]):
    """A finished session with a transport. `opened` as for a run."""

    def __init__(self, path: Path, start: ReplayStart = ReplayStart()) -> None:
        super().__init__()
        self.player: Player | None = None
        self.opened = ""
        self._memo: FrameCache | None = None
        self._path = path
        self._start = start

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self._path,)

    def open(self) -> Player:
        """Read the whole session. Raises `SessionError`."""
        from txtop.session.player import Player

        player = Player(self._path, self._start.warmup)
        self._start.apply(player)
        if self._start.guided:
            player.seek(player.first_measured_ns)
        self.player = player
        return player

    def build(self, source: Player) -> View:
        from txtop.session.catalog import get_session_id
        from txtop.ui.models.cache import FrameCache
        from txtop.ui.models.captions import choose_caption
        from txtop.ui.models.view import Playback, build_view

        self._memo = self._memo or FrameCache()
        self.paused = not source.playing
        view = build_view(
            source.state,
            cache=self._memo,
            playback=Playback.of(
                source, choose_caption(source.state) if self._start.guided else ""
            ),
            opened=self.opened,
            name=get_session_id(self._path),
        )
        self.arms = len(view.ab.arms) if view.ab else 0
        return view


class SideBySideMode(Mode["PairPlayer", "SideBySideView"]):
    """Two finished sessions under one transport, aligned by phase."""

    def __init__(self, left: Path, right: Path, start: ReplayStart = ReplayStart()) -> None:
        super().__init__()
        self.player: PairPlayer | None = None
        self._memos: tuple[FrameCache, FrameCache] | None = None
        self._comparable: tuple[str, Level] = ("", "muted")
        self._paths = left, right
        self._start = start

    @property
    def paths(self) -> tuple[Path, ...]:
        return self._paths

    def open(self) -> PairPlayer:
        """Read both sessions. Raises `SessionError`."""
        from txtop.session.player import PairPlayer, Player
        from txtop.ui.models.comparability import describe_comparability

        players = [Player(path, self._start.warmup) for path in self.paths]
        self._comparable = describe_comparability(players[0].final_state, players[1].final_state)
        player = PairPlayer(players[0], players[1])
        self._start.apply(player)
        self.player = player
        return player

    def build(self, source: PairPlayer) -> SideBySideView:
        """Build one frame of both."""
        from txtop.session.catalog import get_session_id
        from txtop.ui.models.cache import FrameCache
        from txtop.ui.models.view import Playback, SideBySideView, build_view

        self._memos = self._memos or (FrameCache(), FrameCache())
        self.paused = not source.playing
        playback = Playback.of(source)
        left, right = (
            build_view(player.state, cache=cache, playback=playback, name=get_session_id(path))
            for player, cache, path in zip(
                (source.left, source.right), self._memos, self.paths, strict=True
            )
        )
        return SideBySideView(left, right, *self._comparable)


class HomeMode(Mode["HomeSource", "HomeFrame"]):
    """This machine, its sessions, and a run to start."""

    def __init__(self, *, session_dir: Path | None = None) -> None:
        super().__init__()
        self.session_dir = session_dir
        self._machine: HomeSource | None = None

    def open(self) -> HomeSource:
        """Start the sampler, which ends with the frame loop."""
        from txtop.ui.home_source import HomeSource

        before = self._machine
        self._machine = HomeSource(
            self.session_dir,
            findings=before.findings if before else None,
            outcomes=before.outcomes if before else None,
        )
        return self._machine

    def build(self, source: HomeSource) -> HomeFrame:
        from txtop.ui.home_source import build_home_frame

        return build_home_frame(source, time.time())

    def close(self, seconds: float = 0.5) -> None:
        """End the sampler: while a run is measured there must be no second one."""
        if self._machine is not None:
            self._machine.close()

    def quick(self) -> LiveMode:
        """Return the quick preset as a run."""
        from txtop.options.run_options import RunOptions
        from txtop.options.run_plan import build_plan

        return self.start(build_plan(RunOptions(preset="quick")))

    def start(self, plan: Plan) -> LiveMode:
        """Return the plan as a run."""
        return LiveMode(plan, session_dir=self.session_dir)

    def start_ab(self, model: str, first: str, second: str) -> LiveMode:
        """Return an A/B of two precisions of one model as a run. Raises `UsageError`."""
        from txtop.options.ab_plan import build_precision_ab_plan

        return LiveMode(build_precision_ab_plan(model, first, second), session_dir=self.session_dir)

    def start_tune(self, model: str, say: Callable[[str], None]) -> LiveMode:
        """Return the race of one model's configurations as a run.

        `say` is called with a line for each reason to leave candidates out. Raises `UsageError`.
        """
        from txtop.options.tune_options import NO_TUNE_RULES
        from txtop.options.tune_plan import build_tune_plan

        plan = build_tune_plan(model, {}, NO_TUNE_RULES, say)
        return LiveMode(plan, session_dir=self.session_dir)


AppMode = Mode[Any, Any]


def to_txtop_error(error: Exception) -> TxtopError:
    """Return the error as one line for a person; a surprise keeps its type's name."""
    if isinstance(error, TxtopError):
        return error
    unexpected = TxtopError(f"{type(error).__name__}: {error}")
    unexpected.__cause__ = error
    return unexpected
