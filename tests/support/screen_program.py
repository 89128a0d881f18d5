"""Programs that put a screen on a terminal: the home screen, and one of a made-up run."""

from __future__ import annotations

from pathlib import Path

HOME = "from txtop.ui.launch import run_home; print('left', run_home())"


LIVE = """
from pathlib import Path
from txtop.protocol import codec, events
from txtop.runner.control_protocol import RunnerStatus
from txtop.plan.plan import Plan
from txtop.ui import launch, modes

folder = Path({folder!r})
END = events.SessionEnded(t_ns=10**10, reason="stopped", wall_s=1, statistics_version=1, sha256="")

class Control:
    def status(self):
        return RunnerStatus(pid=1, state="running", last_seq=1, buffered_bytes=0, dropped=0,
                      write_error=None, durability_lost=False, paused=False, heartbeat_ns=1)
    def send(self, action, cell=""):
        with (folder / "asked").open("a") as file:
            file.write(action + chr(10))
        if action == "stop" and {obeys}:
            with (folder / "events.jsonl").open("ab") as file:
                file.write(codec.encode_event(END))
        return True
    def tail(self, after):
        return []

show = modes.LiveMode(
    Plan(cells=()), folder, runner=lambda path: Control(), on_hangup={on_hangup!r}
)
print("left", launch.run_app(show))
"""


def live(folder: Path, *, obeys: bool = True, on_hangup: str = "continue") -> str:
    """Return a screen that follows a made-up run; the actions sent to it go to the file `asked`."""
    return LIVE.format(folder=str(folder), obeys=obeys, on_hangup=on_hangup)


def sent_actions(folder: Path) -> list[str]:
    path = folder / "asked"
    return path.read_text().split() if path.exists() else []
