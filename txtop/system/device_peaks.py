"""What known devices can do at most, as their makers publish it: never with sparsity, which doubles
what data sheets print largest.

fp32 is that of the ordinary units (torch multiplies in TF32 only where it is told to). fp16 and
bf16 are the tensor cores' with sums in fp32, as torch has them, which halves those of a GeForce.
int8 counts operations. Sources: NVIDIA's data sheets of V100, T4, A10, A30, A40, A100, L4, L40,
L40S, H100, H200 and HGX B200, and its white papers of GA102 (RTX 3090), AD102 (RTX 4090) and GB202
(RTX 5090). A part of a GPU (MIG) and a laptop's GPU are other devices, and are not here.
"""

from __future__ import annotations

from dataclasses import dataclass

_GB, _TERA = 1e9, 1e12
_DTYPES = ("fp32", "fp16", "bf16", "int8")
# GB/s, then TFLOP/s in the order of `_DTYPES`; 0 where the device has no such units.
_PUBLISHED: dict[tuple[str, ...], tuple[float, float, float, float, float]] = {
    ("Tesla V100-SXM2-16GB", "Tesla V100-SXM2-32GB"): (900, 15.7, 125, 0, 0),
    ("Tesla V100-PCIE-16GB", "Tesla V100-PCIE-32GB"): (900, 14, 112, 0, 0),
    ("Tesla T4",): (320, 8.1, 65, 0, 130),
    ("A10",): (600, 31.2, 125, 125, 250),
    ("A30",): (933, 10.3, 165, 165, 330),
    ("A40",): (696, 37.4, 149.7, 149.7, 299.3),
    ("A100-SXM4-40GB", "A100-PCIE-40GB"): (1555, 19.5, 312, 312, 624),
    ("A100-SXM4-80GB",): (2039, 19.5, 312, 312, 624),
    ("A100 80GB PCIe",): (1935, 19.5, 312, 312, 624),
    ("L4",): (300, 30.3, 121, 121, 242),
    ("L40",): (864, 90.5, 181, 181, 362),
    ("L40S",): (864, 91.6, 362, 362, 733),
    ("H100 80GB HBM3",): (3350, 67, 989.4, 989.4, 1979),
    ("H100 PCIe",): (2039, 51, 756, 756, 1513),
    ("H100 NVL",): (3938, 60, 835, 835, 1671),
    ("H200",): (4800, 67, 989.4, 989.4, 1979),
    ("H200 NVL",): (4800, 60, 835, 835, 1671),
    ("B200",): (8000, 75, 2250, 2250, 4500),
    ("GeForce RTX 3090",): (936, 35.6, 71, 71, 284),
    ("GeForce RTX 4090",): (1008, 82.6, 165.2, 165.2, 660.6),
    ("GeForce RTX 5090",): (1792, 104.8, 209.5, 209.5, 838),
}


@dataclass(frozen=True)
class Published:
    """Bytes a second of the memory, and dense FLOP/s by the name of a dtype."""

    bandwidth_bytes_per_s: float
    flops_per_s: dict[str, float]


def published(name: str) -> Published | None:
    """Of a device, by its name as torch and NVML spell it; older drivers leave out the maker."""
    return _BY_NAME.get(_key(name))


def _key(name: str) -> str:
    return " ".join(name.casefold().split()).removeprefix("nvidia ")


_BY_NAME = {
    _key(name): Published(
        bandwidth * _GB,
        {dtype: tera * _TERA for dtype, tera in zip(_DTYPES, flops, strict=True) if tera},
    )
    for names, (bandwidth, *flops) in _PUBLISHED.items()
    for name in names
}
