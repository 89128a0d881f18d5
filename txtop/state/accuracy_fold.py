"""Fold the events of tasks into a session's state: the items, and what each cell answered."""

from __future__ import annotations

from txtop.protocol import events
from txtop.state import accuracy
from txtop.state.session import SessionState


def fold_questions(session: SessionState, event: events.TaskQuestions) -> None:
    """Fold items that follow those before; others are ignored."""
    before = session.questions.get(event.task, ())
    count = sum(len(part.lines) for part in before)
    if event.first == count and len({len(event.lines), len(event.asked), len(event.right)}) == 1:
        session.questions[event.task] = (*before, event)


def fold_answers(session: SessionState, event: events.TaskAnswers) -> None:
    """Fold answers; the first ones of a task that is answered again replace those before."""
    if event.cell not in session.cells or len(event.scores) != len(event.answers):
        return
    key = event.cell, event.task
    before = session.answers.get(key, ()) if event.first else ()
    if event.first == sum(len(part.scores) for part in before):
        session.answers[key] = (*before, event)
        session.answered.pop(key, None)
        session.answering = key
        session.first_cell_ns = session.first_cell_ns or session.clock_ns
        session.first_to_device_ns = session.first_to_device_ns or session.clock_ns


def fold_answered(session: SessionState, event: events.TaskAnswered) -> None:
    """Fold the end of a task, and say what was reached."""
    if event.cell not in session.cells:
        return
    session.answered[event.cell, event.task] = event
    session.answering = None
    if event.failed:
        session.say(f"{event.task} not answered: {event.failed}", "warning", event.cell)
        return
    session.say(accuracy.describe_answered(session, event), cell=event.cell)
