"""Files that are no text: told by their first bytes, with what makes text of them."""

from __future__ import annotations

# None of these begins a text in UTF-8.
_SIGNATURES = (
    (b"\x1f\x8b", "is compressed", "gunzip it first"),
    (b"PK\x03\x04", "is compressed", "unzip it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed", "unzstd it first"),
    (b"\xfd7zXZ\x00", "is compressed", "unxz it first"),
    (b"BZh91AY&SY", "is compressed", "bunzip2 it first"),
    (b"PAR1\x15", "is Parquet", "write it as JSON lines"),
)


def describe_packed(beginning: bytes) -> tuple[str, str] | None:
    """Return what a file that begins so is, and the next step; None for one that may be text."""
    return next(
        ((cause, step) for mark, cause, step in _SIGNATURES if beginning.startswith(mark)), None
    )
