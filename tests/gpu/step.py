"""One step of the acceptance run, and how it is run: it never ends the others."""

from __future__ import annotations

import re
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from gpu.figures import Finding, format_findings
from gpu.running import LAST_LINES, SLOWER_ON_A_CPU, Site, Skip, StepFailed

NO_CUDA = "no CUDA device"
ALARM_GRACE_S = 10
"""The time a step has to report that a process of its own is over the limit."""
LEAST_S = 8


@dataclass(frozen=True)
class Step:
    """A step: its number and name, the limit of its time, and the function that judges.

    `rehearsed` is False for one that can do nothing without a GPU. In a call without a GPU only
    those that run `anywhere` are run.
    """

    name: str
    limit_s: float
    run: Callable[[Site], list[Finding]]
    rehearsed: bool = True
    anywhere: bool = False


@dataclass
class Outcome:
    """The end of a step: PASS, FAIL or SKIP, its figures or the reason, and lines below."""

    step: Step
    verdict: str
    text: str
    lines: list[str] = field(default_factory=list)

    def format(self) -> list[str]:
        """Return the line of the verdict, then its details."""
        return [f"{self.verdict} {self.step.name}: {self.text}", *(f"     {x}" for x in self.lines)]


class _Alarm(BaseException):
    """The limit of a step has passed while no process of it was waited for."""


def run_step(step: Step, site: Site, until_s: float = float("inf")) -> Outcome:
    """Run a step within its limit and until `until_s` of the monotonic clock at most."""
    limit_s = step.limit_s * (SLOWER_ON_A_CPU if site.rehearsal else 1)
    start_s = time.monotonic()
    limit_s = min(limit_s, until_s - start_s)
    if limit_s < LEAST_S and limit_s < step.limit_s:
        return Outcome(step, "SKIP", "no time is left in this call")
    site.until_s = start_s + limit_s
    site.trouble.clear()
    previous = signal.signal(signal.SIGALRM, _raise_alarm)
    signal.setitimer(signal.ITIMER_REAL, limit_s + ALARM_GRACE_S)
    try:
        outcome = _judge(step, site)
    except Skip as skip:
        outcome = Outcome(step, "SKIP", str(skip))
    except StepFailed as error:
        outcome = Outcome(step, "FAIL", str(error), error.lines)
    except _Alarm:
        outcome = Outcome(step, "FAIL", f"over its limit: {limit_s:.0f} s")
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        outcome = Outcome(step, "FAIL", reason, traceback.format_exc().splitlines()[-LAST_LINES:])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    if outcome.verdict == "FAIL":
        outcome.lines += site.trouble[-2 * LAST_LINES :]
    outcome.text += f" [{time.monotonic() - start_s:.0f} s]"
    return outcome


def _judge(step: Step, site: Site) -> Outcome:
    if not step.rehearsed or not (site.rehearsal or step.anywhere):
        site.need_cuda()
    findings = step.run(site)
    judged = [f for f in findings if f.counts(rehearsal=site.rehearsal)]
    failed = [f for f in judged if not f.holds]
    text = f"{len(judged) - len(failed)} of {len(judged)} hold"
    if left := len(findings) - len(judged):
        text += f", {left} left to a GPU"
    if failed:
        text += ": not " + ", ".join(f.name for f in failed)
    lines = format_findings(findings, rehearsal=site.rehearsal)
    return Outcome(step, "FAIL" if failed else "PASS", text, lines)


def _raise_alarm(number: int, frame: FrameType | None) -> None:
    raise _Alarm


def summarise(outcomes: Sequence[Outcome]) -> str:
    """Return the last line: `N passed, N failed, N skipped`."""
    counts = [sum(o.verdict == verdict for o in outcomes) for verdict in ("PASS", "FAIL", "SKIP")]
    return "{} passed, {} failed, {} skipped".format(*counts)


def judge_rehearsal(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what is wrong with a rehearsal: failures, and skips for another reason than expected.

    A step that can be rehearsed must not be skipped, the others for want of a CUDA device alone.
    """
    wrong = []
    for outcome in outcomes:
        reason = re.sub(r" \[\d+ s\]$", "", outcome.text)
        if outcome.verdict == "FAIL":
            wrong.append(f"{outcome.step.name} failed")
        elif outcome.verdict == "SKIP" and (outcome.step.rehearsed or reason != NO_CUDA):
            wrong.append(f"{outcome.step.name} was skipped: {reason}")
        elif outcome.verdict == "PASS" and not outcome.step.rehearsed:
            wrong.append(f"{outcome.step.name} ran without a GPU")
    return wrong


def save_text(folder: Path, name: str, text: str) -> None:
    """Keep a text beside the log of the call."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
