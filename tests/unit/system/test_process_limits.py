"""The limits of a shell are named as ulimit names them."""

from __future__ import annotations

import resource

import pytest

from txtop.system.process_limits import describe_limits

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({}, ""),
        ({resource.RLIMIT_CPU: 3}, "3 s of processor time (ulimit -t)"),
        (
            {resource.RLIMIT_CPU: 60, resource.RLIMIT_AS: 600_000 << 10},
            "60 s of processor time (ulimit -t) and 0.572 GiB of address space (ulimit -v)",
        ),
        ({resource.RLIMIT_DATA: 2 << 30}, "2 GiB of data (ulimit -d)"),
    ],
)
def test_a_limit_is_named(
    limits: dict[int, int], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        resource, "getrlimit", lambda kind: (limits.get(kind, UNLIMITED), UNLIMITED)
    )
    assert describe_limits() == text
