"""The limits that a shell or a batch system sets on processes, and children inherit."""

from __future__ import annotations

import resource

_GIB = 1 << 30
_UNLIMITED = resource.RLIM_INFINITY


def read_address_limit() -> int | None:
    """Return the bytes of address space that a process may have; None if that is not limited."""
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if space == _UNLIMITED else space


def limits_memory() -> bool:
    """Return whether this process may have so much address space or data and no more."""
    kinds = resource.RLIMIT_AS, resource.RLIMIT_DATA
    return any(resource.getrlimit(kind)[0] != _UNLIMITED for kind in kinds)


def describe_limits() -> str:
    """Return the limits that can end a process that loads a model, as `ulimit` names them.

    Empty without one.
    """
    seconds, space, data = (
        resource.getrlimit(kind)[0]
        for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_DATA)
    )
    parts = [
        f"{seconds} s of processor time (ulimit -t)" if seconds != _UNLIMITED else "",
        f"{space / _GIB:.3g} GiB of address space (ulimit -v)" if space != _UNLIMITED else "",
        f"{data / _GIB:.3g} GiB of data (ulimit -d)" if data != _UNLIMITED else "",
    ]
    return " and ".join(filter(None, parts))
