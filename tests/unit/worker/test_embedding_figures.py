"""The figures of embeddings: one by one, and by the similarities of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from txtop.worker.fidelity.divergence import compare_embeddings


def draw(rows: int = 20, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, 16, generator=torch.Generator().manual_seed(seed))


def test_a_turn_of_the_whole_space_changes_no_similarity() -> None:
    one = draw()
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(16, 16)))
    figures = compare_embeddings(one, (one.double() @ torch.from_numpy(turn)).float())
    assert figures.cosine_embedding < 0.5
    assert figures.similarity_rank == pytest.approx(1, abs=1e-6)
    assert figures.similarity_rms == pytest.approx(0, abs=1e-6)


def test_the_rank_is_scipys_and_noise_lowers_it() -> None:
    stats = pytest.importorskip("scipy.stats")
    one = draw()
    other = one + draw(seed=3) * 0.5
    figures = compare_embeddings(one, other)
    place = np.triu_indices(20, 1)
    cosines = [
        (unit @ unit.T).numpy()[place]
        for unit in (torch.nn.functional.normalize(m.double(), dim=-1) for m in (one, other))
    ]
    assert figures.similarity_rank == pytest.approx(stats.spearmanr(*cosines).statistic)
    assert figures.sentences == 20 and 0.5 < figures.similarity_rank < 0.99  # type: ignore[operator]


@pytest.mark.filterwarnings("error")
def test_equal_similarities_have_no_order() -> None:
    """Embeddings that are the same but for rounding would have the order of that."""
    constant = draw(1).repeat(20, 1) * torch.linspace(0.1, 0.9, 20)[:, None]
    for pair in ((draw(), constant), (constant, draw())):
        figures = compare_embeddings(*pair)
        assert figures.similarity_rank is None
        assert figures.similarity_rms is not None and figures.similarity_rms > 0.5


def test_two_sentences_have_no_order() -> None:
    figures = compare_embeddings(draw(2), draw(2, seed=4))
    assert figures.similarity_rank is None and figures.similarity_rms is None
