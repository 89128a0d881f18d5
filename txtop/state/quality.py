"""The quality of a cell beside its reference: the accuracy in tasks, else how far outputs differ.

A task says what people decide by, so that with one that decides the badge is its interval.
"""

from __future__ import annotations

from dataclasses import dataclass

from txtop.protocol.events import Event, Fidelity
from txtop.state import accuracy, fidelity
from txtop.state.accuracy import AccuracyBand, AccuracyDifference, name_points
from txtop.state.fidelity import Badge
from txtop.state.session import SessionState

QualityBadge = Badge | AccuracyBand
# The colour of each badge; those without one say nothing about quality.
BADGE_ROLES: dict[QualityBadge, str] = {
    "lossless-like": "ok",
    "minor": "text",
    "visible": "warn",
    "broken": "bad",
    "INVALID": "bad",
    "no worse": "ok",
    "undecided": "text",
    "loss": "warn",
    "worse": "bad",
}
_WORST_FIRST: tuple[AccuracyBand, ...] = ("worse", "loss", "undecided", "no worse")


@dataclass(frozen=True)
class Quality:
    """The comparison of outputs, None without one, and the differences of accuracy by task.

    Of `random` weights the output is not measurable, compared or not.
    """

    output: Fidelity | None
    differences: tuple[AccuracyDifference, ...] = ()
    random: bool = False

    @property
    def deciding(self) -> AccuracyDifference | None:
        """The difference that the badge shows: of the worst band the largest loss.

        None where none could be judged, or tells anything. NaN or Inf in the output come before any
        task, and an output that is visibly another one before a task that has too few items to
        decide.
        """
        telling = [d for d in self.differences if d.is_telling]
        judged = [(_WORST_FIRST.index(d.band), d) for d in telling if d.band is not None]
        output = fidelity.compute_badge(self.output)
        if not judged or output == "INVALID":
            return None
        _, worst = min(judged, key=lambda pair: (pair[0], pair[1].difference))
        hides = worst.band == "undecided" and output in ("visible", "broken")
        return None if hides else worst

    @property
    def points(self) -> float | None:
        """The difference that the badge shows, in percentage points; None without one."""
        own = self.deciding
        return None if own is None or own.difference is None else 100 * own.difference

    def list_events(self, session: SessionState) -> list[Event]:
        """Return the events that the badge rests on."""
        if self.deciding is None:
            return [] if self.output is None else [self.output]
        task = self.deciding.task.name
        cells = (self.deciding.cell, self.deciding.reference)
        return [part for cell in cells for part in session.answers.get((cell, task), ())[-1:]]

    @property
    def badge(self) -> QualityBadge:
        band = None if self.deciding is None else self.deciding.band
        return band or fidelity.compute_badge(self.output, random=self.random)

    @property
    def forms(self) -> tuple[str, ...]:
        """The badge as text, from the longest to the shortest form."""
        if self.deciding is None:
            return fidelity.format_badge_forms(self.output, random=self.random)
        return accuracy.format_difference_forms(self.deciding)

    @property
    def meaning(self) -> str:
        """The sign of the badge with its word, as `✗ worse`; empty for one without a sign."""
        sign, _, rest = self.forms[-1].partition(" ")
        return f"{sign} {self.badge}" if rest and not sign[0].isalpha() else ""

    @property
    def worded_forms(self) -> tuple[str, ...]:
        """The forms for a screen: before each difference the same with what its points are of."""
        if self.deciding is None:
            return self.forms
        return tuple(worded for form in self.forms for worded in (name_points(form), form))


def get_quality(session: SessionState, name: str, against: str | None = None) -> Quality:
    """Return the quality of a cell.

    With `against` accuracy is held against that cell, and outputs are those two cells', whichever
    of them was the reference.
    """
    differences = accuracy.list_differences(session, name, against)
    random = any(session.has_random_weights(cell) for cell in (name, against) if cell is not None)
    return Quality(session.output_of(name, against), tuple(differences), random)


def format_badge_forms(
    session: SessionState, name: str, against: str | None = None
) -> tuple[str, ...]:
    """Return the badge of a cell as text, from the longest to the shortest form."""
    return get_quality(session, name, against).forms
