"""The figures of a cell whose steps yield several tokens."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from support import roofline_session, streams
from txtop.analysis import drafts, metrics, roofline
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.notes import build_cell_notes
from txtop.export.benchmark_v2 import to_benchmark_v2
from txtop.export.json import build_export
from txtop.export.text import table
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.state.cell import CellState
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail import facts
from txtop.ui.models.cells import build_cell_row

MS = streams.MS
# TTFT, then two steps; ten tokens come in the three of them.
GAPS = [20 * MS, 12 * MS, 6 * MS]
TOKENS = 10


def play(differs_at: int | None = None) -> tuple[SessionState, CellState]:
    """Return a session of one cell in which 7 of 8, then 7 of 20 drafted tokens were accepted."""
    (cell,) = streams.plan(("gpt2",)).cells
    cell = msgspec.structs.replace(
        cell, speculative="prompt-lookup:10", batch_size=1, new_tokens=TOKENS
    )
    made = streams.stream(Plan(cells=(cell,), iterations=12, warmup=1))
    told: list[events.AnyEvent] = []
    for event in made:
        if isinstance(event, events.TokenTimings):
            continue
        if isinstance(event, events.Iteration):
            told.append(
                events.TokenTimings(
                    t_ns=event.t_ns, cell=cell.id, index=event.index, first=0, gaps_ns=GAPS
                )
            )
            counted = {0: 8, 1: 20}.get(event.index)
            event = msgspec.structs.replace(
                event, e2e_ns=sum(GAPS), ttft_ns=GAPS[0], tokens=TOKENS, steps=len(GAPS),
                drafted=counted, cache_bytes=None if counted is None else 4096,
            )  # fmt: skip
        told.append(event)
        if isinstance(event, events.Iteration) and event.index == 0:
            told.append(
                events.Speculation(
                    t_ns=event.t_ns,
                    cell=cell.id,
                    compared=TOKENS,
                    differs_at=differs_at,
                    margin=None if differs_at is None else 0.00031,
                )
            )
    session = fold_all(told)
    return session, session.cells[cell.id]


def test_a_step_is_a_gap_and_tpot_is_the_time_after_the_first_token_over_the_others() -> None:
    session, state = play()
    figures = metrics.summarise_final(state)
    assert figures["tpot_ms"].mean == pytest.approx((12 + 6) / (TOKENS - 1))
    assert figures["itl_ms"].mean == pytest.approx((12 + 6) / 2)
    assert figures["tokens_per_s"].mean == pytest.approx(TOKENS / 0.038)
    assert figures["decode_tokens_per_s"].mean == pytest.approx((TOKENS - 1) / 0.018)
    assert figures["draft_acceptance"].mean == pytest.approx(100 * 14 / 28)
    assert figures["tokens_per_step"].mean == pytest.approx(TOKENS / 3)
    assert figures["kv_cache_bytes"].mean == 4096
    v2 = msgspec.json.decode(to_benchmark_v2(session, FinalMetrics()))
    assert str(figures["tpot_ms"].mean / 1000)[:8] in str(v2)


def test_all_tokens_in_one_step_have_no_time_per_token() -> None:
    _, state = play()
    for i in range(len(state.samples)):
        state.samples.e2e_ns[i] = state.samples.ttft_ns[i]
    figure = metrics.summarise_final(state)["tpot_ms"]
    assert (figure.mean, figure.notes) == (None, ["no value: all tokens came in one step"])


def test_acceptance_and_equality_are_seen_everywhere() -> None:
    session, state = play()
    finals = FinalMetrics()
    (exported,) = build_export(session, finals).cells
    assert exported.equal_to_plain is True and exported.differs_at is None
    assert exported.metrics["draft_acceptance"].mean == 50
    row = dict(
        zip(
            [name for name, _ in table.list_columns(session)],
            table.build_rows(session, finals)[0],
            strict=True,
        )
    )
    assert (row["speculative"], row["accept %"], row["status"]) == (
        "prompt-lookup:10",
        "50.0",
        "ok",
    )
    assert "50 % accepted" in table.format_cell_line(state, finals, 0)
    assert build_cell_row(session, state, None, FrameCache()).note == "50 % accepted"
    lines = {fact.label: fact for fact in facts._list_configuration(session, state)}
    assert lines["speculative"].text == (
        "prompt-lookup:10, 50 % accepted of 28 drafted, 3.33 tokens a step"
    )
    assert lines["output"].text == "10 tokens as in plain greedy decoding"
    assert lines["KV cache"].text == "dynamic, 4.0 KiB"


def test_tokens_that_differ_from_plain_decoding_are_marked() -> None:
    session, state = play(differs_at=3)
    finals = FinalMetrics()
    (exported,) = build_export(session, finals).cells
    assert exported.equal_to_plain is False and exported.differs_at == 3
    sentence = "not as plain greedy decoding from token 4 on, where 0.00031 in logits decides"
    assert sentence in build_cell_notes(session, state, finals)
    assert table.build_rows(session, finals)[0][-1] == "ok, other tokens"
    assert build_cell_row(session, state, None, FrameCache()).note == drafts.UNEQUAL
    lines = {fact.label: fact for fact in facts._list_configuration(session, state)}
    assert (lines["output"].text, lines["output"].role) == (sentence, "warn")


def test_a_cell_without_drafts_has_none_of_these() -> None:
    session = fold_all(streams.stream())
    figures = metrics.summarise_final(session.cells["c001"])
    assert not {"draft_acceptance", "tokens_per_step", "kv_cache_bytes"} & figures.keys()
    (exported, _) = build_export(session, FinalMetrics()).cells
    assert exported.equal_to_plain is None
    assert "accept %" not in dict(table.list_columns(session))


@pytest.mark.parametrize(
    ("knobs", "reasons"),
    [
        ({"speculative": "prompt-lookup:10"}, {"mbu": "no one size", "mfu": "reads drafts"}),
        ({"cache": "quantized:fp8"}, {"mbu": "not stored in the form"}),
    ],
)
def test_the_roofline_withholds_what_it_cannot_count(
    knobs: dict[str, str], reasons: dict[str, str]
) -> None:
    session = roofline_session.told()
    (state,) = session.cells.values()
    exact = roofline.summarise_utilisation(session, state, metrics.summarise_final(state))
    assert all(exact[name].mean is not None for name in reasons)
    state = replace(state, cell=msgspec.structs.replace(state.cell, **knobs))
    figures = roofline.summarise_utilisation(session, state, metrics.summarise_final(state))
    for name, reason in reasons.items():
        assert figures[name].mean is None and reason in figures[name].notes[0]
