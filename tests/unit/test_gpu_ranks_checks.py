"""The judgement of a model over several GPUs on made-up results."""

from __future__ import annotations

from typing import Any

from gpu import steps_ranks
from support.gpu_results import failing, number


def cell(parallel: str, **changed: Any) -> dict[str, Any]:
    metrics = {"tokens_per_s": number(50.0), "peak_memory_allocated_bytes": number(1e9)}
    ranks = {"count": 2, "communication": [], "memory": [{"allocated_bytes": 10**9}]}
    made: dict[str, Any] = {"parallel": parallel, "status": "ok", "reason": "", "metrics": metrics}
    return made | ({} if parallel == "none" else {"ranks": ranks}) | changed


def test_a_model_over_two_gpus_is_judged_by_count_and_memory() -> None:
    good = [cell("none"), cell("tp=2"), cell("pp")]
    judge = steps_ranks.judge_ranks
    assert failing(judge(good)) == []
    assert failing(judge(good[:2])) == ["cells"]
    failed = [cell("none"), cell("tp=2", status="failed"), cell("pp")]
    assert failing(judge(failed)) == ["tp=2: ok"]
    alone = {"count": 1, "communication": [], "memory": []}
    assert failing(judge([cell("none"), cell("tp=2"), cell("pp", ranks=alone)])) == [
        "pp: two GPUs", "pp: memory of each",
    ]  # fmt: skip
    slow = [cell("none", metrics={}), cell("tp=2"), cell("pp")]
    assert failing(judge(slow)) == ["tokens a second"]
