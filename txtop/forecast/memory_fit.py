"""What memory is free, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.state.session import HOST, Device, SessionState
from txtop.ui.models.machine import gpus_of


@dataclass(frozen=True)
class Room:
    """Free bytes: of RAM as far as this process may use it, and of each GPU; null where unread."""

    ram: float | None = None
    gpus: tuple[float | None, ...] = ()

    def for_device(self, device: str) -> tuple[float | None, str]:
        """What is free where a cell with that `device` runs, and what it is called."""
        if self.gpus and device in ("auto", "cuda"):
            return self.gpus[0], "VRAM"
        if device in ("auto", "cpu"):
            return self.ram, "RAM"
        return None, f"memory of {device}"


def room(session: SessionState) -> Room:
    """What the sampler read last; a limit of the cgroup is in its figures already."""
    host = session.devices.get(HOST)
    return Room(
        ram=_free(host, "ram") if host else None,
        gpus=tuple(_free(device, "memory") for _, device in gpus_of(session)),
    )


def _free(device: Device, what: str) -> float | None:
    used, total = device.last(f"{what}_used_bytes"), device.last(f"{what}_total_bytes")
    return None if used is None or total is None else max(0.0, total - used)


NO_ROOM = Room()
