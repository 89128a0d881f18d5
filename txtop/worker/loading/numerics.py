"""Settings and environment variables that bend the numbers of a cell from outside.

See docs/method.md, "Precision recipes" and "Comparing sessions".
"""

from __future__ import annotations

import torch

from txtop.sanitise import sanitise
from txtop.worker.device import describe_accelerator, read_given_environment

VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_MODULE_LOADING",
    "CUDA_VISIBLE_DEVICES",
    # Other allocators are preloaded, and malloc and Python have settings of theirs.
    "LD_PRELOAD",
    "NVIDIA_TF32_OVERRIDE",
    "PYTHONDEVMODE",
    "PYTHONMALLOC",
    "PYTHONTRACEMALLOC",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
    "TORCH_COMPILE_DISABLE",
)
PREFIXES = (
    "DNNL_",
    "GOMP_",
    "KMP_",
    "MALLOC_",
    "MKL_",
    "OMP_",
    "ONEDNN_",
    "TORCHINDUCTOR_",
    "TORCH_CUDNN_",
)
_LEFT_OUT = ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR")
_MAX_CHARACTERS = 200


def set_fp32_products(precision: str) -> None:
    """Let products of fp32 values be rounded to TF32 in the precision `tf32`, and in no other.

    torch begins with what the environment says, and with TF32 in the convolutions of cuDNN.
    """
    tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32


def read_environment(device: torch.device) -> dict[str, str]:
    """Return what bends the numbers of a cell on `device`, by name; variables only if they are set.

    `TORCHINDUCTOR_CACHE_DIR` is left out: it says where, not how. The numbers of threads are the
    cell's own.
    """
    settings = {"matmul_precision": torch.get_float32_matmul_precision()}
    if device.type == "cuda":
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        settings |= {
            "cuda_matmul_allow_tf32": str(matmul.allow_tf32),
            "cuda_matmul_fp32_precision": str(getattr(matmul, "fp32_precision", "unknown")),
            "cudnn_allow_tf32": str(cudnn.allow_tf32),
            "cudnn": str(cudnn.version()),
        }
    variables = {
        name: sanitise(value, _MAX_CHARACTERS)
        for name, value in sorted(read_given_environment().items())
        if (name in VARIABLES or name.startswith(PREFIXES)) and name not in _LEFT_OUT
    }
    return settings | variables


def read_capability(device: torch.device) -> str:
    """Return the compute capability of `device` as `9.0`, "" if it has none."""
    return ".".join(map(str, describe_accelerator(device).capability or ()))
