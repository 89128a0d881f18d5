"""A search whose model is gone is not resumed: each probe would fail and be taken for the edge."""

from __future__ import annotations

import msgspec
import pytest

from support import fit_session
from txtop.cli.session_args import require_searched_model
from txtop.errors import UsageError


def test_a_search_whose_model_is_gone_is_refused_with_the_next_step() -> None:
    search = fit_session.build_search()
    require_searched_model(fit_session.begin(search)[0])
    gone = msgspec.structs.replace(search.base, model="/nowhere/model")
    state, _ = fit_session.begin(msgspec.structs.replace(search, base=gone))
    with pytest.raises(UsageError, match=r"no model at /nowhere/model.*txtop fit MODEL"):
        require_searched_model(state)
