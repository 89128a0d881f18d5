"""The versions of installed libraries, read from their metadata: nothing is imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

QUANTISERS = ("torchao", "bitsandbytes", "compressed-tensors", "gptqmodel", "optimum")
"""Libraries that quantise, or run what is quantised."""


def find_version(name: str) -> str | None:
    """Return the version of the distribution `name`, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
