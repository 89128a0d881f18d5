"""A search whose model is gone is not resumed, and whatever lacks its end is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from support import fit_session
from txtop.cli.session_args import is_incomplete, require_searched_model
from txtop.errors import UsageError
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
