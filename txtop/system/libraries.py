"""The versions of installed libraries, read from their metadata: nothing is imported."""

from __future__ import annotations

QUANTISERS = ("torchao", "bitsandbytes", "compressed-tensors", "gptqmodel", "optimum")
"""Libraries that quantise, or run what is quantised."""


def find_version(name: str) -> str | None:
    """Return the version of the distribution `name`, None if it is not installed."""
    # Imported late, as psutil is for the cores: each takes as long as a session takes to be read.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
