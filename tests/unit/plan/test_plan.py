"""The parts that two plans must share to be the same work."""

from __future__ import annotations

import msgspec

from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan, hash_workload


def test_the_workload_hash_is_blind_to_threads_and_sees_the_rest() -> None:
    def of(**changed: object) -> str:
        base = expand_matrix(
            models=["gpt2"],
            precisions=["fp32"],
            attention=["sdpa"],
            batch_sizes=[1],
            sequence_lengths=[8],
            new_tokens=[4],
        )
        cell = msgspec.structs.replace(base[0], **changed)
        return hash_workload(Plan(cells=(cell,)))

    assert of() == of(threads=3) == of(id="other") == of(device="cpu")
    different = [of(batch_size=2), of(precision="bf16"), of(new_tokens=5), of(weights="random")]
    assert len({of(), *different}) == 5
