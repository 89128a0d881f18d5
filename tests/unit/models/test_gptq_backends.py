"""A kernel that the library does not have is refused before weights are loaded."""

from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from txtop.models import gptq_backends
from txtop.models.gptq_backends import explain_unknown_backend

LIBRARIES = ("gptqmodel", "transformers")
SOURCE = """
class BACKEND(str, Enum):
    AUTO = "auto"  # the best
    GPTQ_TORCH_FUSED = "gptq_torch_fused"
    GPTQ_TORCH_ATEN = "gptq_torch_aten"
    AWQ_GEMM = "awq_gemm"
    TORCH = "torch"
    TORCH_AWQ = "torch_awq"
"""
TRANSFORMERS = """
class Other(str, Enum):
    AWQ_GEMM = "awq_gemm"


class AwqBackend(str, Enum):
    AUTO = "auto"
    EXLLAMA_V1 = "exllama_v1"
    TORCH_AWQ = "torch_awq"


class AwqConfig:
    AWQ_GEMM = "awq_gemm"
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    source = tmp_path / "gptqmodel" / "utils" / "backend.py"
    taken = tmp_path / "transformers" / "utils" / "quantization_config.py"
    for path, text in ((source, SOURCE), (taken, TRANSFORMERS)):
        path.parent.mkdir(parents=True)
        (path.parents[1] / "__init__.py").write_text("raise ImportError('never imported')")
        path.write_text(text)
    specs = {name: PathFinder.find_spec(name, [str(tmp_path)]) for name in LIBRARIES}
    monkeypatch.setattr(gptq_backends, "find_spec", specs.get)
    gptq_backends.list_backends.cache_clear()
    yield source
    gptq_backends.list_backends.cache_clear()


@pytest.mark.parametrize("backend", [None, "auto", "torch", "gptq_torch_aten", "GPTQ_TORCH_FUSED"])
def test_a_known_kernel_is_taken(library: Path, backend: str | None) -> None:
    assert explain_unknown_backend("gptq", backend) is None


def test_an_unknown_kernel_is_refused_with_the_nearest_or_all(library: Path) -> None:
    reason, hint = explain_unknown_backend("gptq", "gptq_torch_fuse") or ("", "")
    assert (
        "there is no kernel 'gptq_torch_fuse'" in reason
        and hint == "did you mean gptq_torch_fused?"
    )
    _, hint = explain_unknown_backend("gptq", "\x1b[2Jxyz") or ("", "")
    assert hint == "known: auto, gptq_torch_fused, gptq_torch_aten"


@pytest.mark.parametrize("backend", [7, "awq_gemm", "exllama_v1", "gptq_torch_fused"])
def test_of_the_kernels_for_awq_those_are_taken_that_both_libraries_know(
    library: Path, backend: object
) -> None:
    assert explain_unknown_backend("awq", "torch_awq") is None
    reason, hint = explain_unknown_backend("awq", backend) or ("", "")
    assert reason == f"there is no kernel '{backend}' for awq"
    assert hint == "known: auto, torch_awq"


def test_a_library_that_keeps_its_names_elsewhere_refuses_nothing(library: Path) -> None:
    library.unlink()
    assert explain_unknown_backend("gptq", "anything") is None
