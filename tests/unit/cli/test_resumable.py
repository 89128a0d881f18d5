"""A search whose model is gone is not resumed, and whatever lacks its end is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from support import fit_session
from support.explanations import list_explained_events
from txtop.cli.session_args import (
    explain_completeness,
    is_incomplete,
    require_searched_model,
)
from txtop.errors import UsageError
from txtop.protocol import codec, events
from txtop.session import catalog
from txtop.system import torch_build


def test_a_search_whose_model_is_gone_is_refused_with_the_next_step() -> None:
    search = fit_session.build_search()
    require_searched_model(fit_session.begin(search)[0])
    gone = msgspec.structs.replace(search.base, model="/nowhere/model")
    state, _ = fit_session.begin(msgspec.structs.replace(search, base=gone))
    with pytest.raises(UsageError, match=r"no model at /nowhere/model.*txtop fit MODEL"):
        require_searched_model(state)


def test_a_search_whose_device_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: False)
    search = fit_session.build_search()
    there = msgspec.structs.replace(search.base, device="cuda")
    state, _ = fit_session.begin(msgspec.structs.replace(search, base=there))
    with pytest.raises(UsageError, match="no cuda device"):
        require_searched_model(state)


def test_a_run_that_was_killed_after_its_last_result_is_resumed_for_its_end(tmp_path: Path) -> None:
    recording = next(p for p in catalog.list_bundled() if p.suffix == ".jsonl")
    lines = recording.read_bytes().splitlines(keepends=True)
    log = tmp_path / "s" / "events.jsonl"
    log.parent.mkdir()
    log.write_bytes(b"".join(lines))
    assert not is_incomplete(log.parent)
    log.write_bytes(b"".join(lines[:-1]))
    assert is_incomplete(log.parent)


def write_explained(
    folder: Path, explanation: events.Explanation | events.TaskAnswered | None
) -> Path:
    """Write a run whose only cell was explained or answered so, or was stopped before."""
    folder.mkdir()
    kept = [e for e in list_explained_events() if not isinstance(e, events.Explanation)]
    made = [*kept[:-1], *([explanation] if explanation else []), kept[-1]]
    for number, event in enumerate(made):
        event.seq = number
    (folder / "events.jsonl").write_bytes(b"".join(map(codec.encode_event, made)))
    return folder


def test_a_run_that_was_stopped_before_its_explanation_is_resumed_for_it(tmp_path: Path) -> None:
    assert is_incomplete(write_explained(tmp_path / "stopped", None))
    passing = events.Explanation(t_ns=0, cell="c000", failed="no room", may_pass=True)
    assert is_incomplete(write_explained(tmp_path / "passing", passing))


def test_what_failed_and_would_again_is_named_with_the_command_that_tries_anew(
    tmp_path: Path,
) -> None:
    failed = events.Explanation(t_ns=0, cell="c000", failed="killed")
    path = write_explained(tmp_path / "failed", failed)
    assert not is_incomplete(path)
    text = explain_completeness(path)
    assert "gpt2" in text and "is not explained (killed): txtop explain gpt2" in text
    assert "nothing of" not in text
    answered = events.TaskAnswered(t_ns=0, cell="c000", task="arc", failed="no item")
    text = explain_completeness(write_explained(tmp_path / "answered", answered))
    assert text.endswith(": arc was not answered (no item): correct the task, then start a new run")
    explained = next(e for e in list_explained_events() if isinstance(e, events.Explanation))
    whole = write_explained(tmp_path / "whole", explained)
    assert explain_completeness(whole) == "nothing of whole is missing"
