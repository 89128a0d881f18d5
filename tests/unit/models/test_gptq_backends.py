"""A kernel that the library does not have is refused before weights are loaded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from txtop.models import gptq_backends
from txtop.models.gptq_backends import explain_unknown_backend

SOURCE = """
class BACKEND(str, Enum):
    AUTO = "auto"  # the best
    GPTQ_TORCH_FUSED = "gptq_torch_fused"
    GPTQ_TORCH_ATEN = "gptq_torch_aten"
    AWQ_GEMM = "awq_gemm"
    TORCH = "torch"
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    source = tmp_path / "gptqmodel" / "utils" / "backend.py"
    source.parent.mkdir(parents=True)
    (tmp_path / "gptqmodel" / "__init__.py").write_text("raise ImportError('never imported')")
    source.write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    gptq_backends.list_backends.cache_clear()
    yield source
    gptq_backends.list_backends.cache_clear()


@pytest.mark.parametrize("backend", [None, "auto", "torch", "gptq_torch_aten", "GPTQ_TORCH_FUSED"])
def test_a_known_kernel_is_taken(library: Path, backend: str | None) -> None:
    assert explain_unknown_backend("gptq", backend) is None


def test_an_unknown_kernel_is_refused_with_the_nearest_or_all(library: Path) -> None:
    reason, hint = explain_unknown_backend("gptq", "gptq_torch_fuse") or ("", "")
    assert "no kernel 'gptq_torch_fuse'" in reason and hint == "did you mean gptq_torch_fused?"
    _, hint = explain_unknown_backend("gptq", "\x1b[2Jxyz") or ("", "")
    assert hint == "known: auto, gptq_torch_fused, gptq_torch_aten"
    assert explain_unknown_backend("awq", 7) == (
        "gptqmodel has no kernel '7' for awq",
        "known: auto, awq_gemm",
    )


def test_a_library_that_keeps_its_names_elsewhere_refuses_nothing(library: Path) -> None:
    library.unlink()
    assert explain_unknown_backend("gptq", "anything") is None
