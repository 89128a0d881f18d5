"""The group of ranks in torch.distributed: NCCL between GPUs, gloo between processes on a CPU."""

from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from txtop.models.local_accelerator import choose_threads
from txtop.plan.cell import Cell
from txtop.system import torch_build
from txtop.system.device_names import get_device_kind
from txtop.worker.device import confine_process, find_device
from txtop.worker.failures import AbsentError
from txtop.worker.loading.load import configure_environment

if TYPE_CHECKING:
    import torch

HOST = "127.0.0.1"
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
# The parts of a large checkpoint may take long to read; a rank that dies is noticed otherwise.
_PATIENCE = timedelta(hours=2)


def listen() -> socket.socket:
    """Return a socket that listens on a free port of the loopback device, for `join`."""
    return socket.create_server((HOST, 0))


def build_environment(size: int, listener: socket.socket) -> dict[str, str]:
    """Build the variables that tell a process which group it is of. All stays on this machine."""
    return {
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(listener.getsockname()[1]),
        "GLOO_SOCKET_IFNAME": LOOPBACK,
        "NCCL_SOCKET_IFNAME": LOOPBACK,
    }


def join(cell: Cell, rank: int, size: int, listener: socket.socket | None) -> torch.device:
    """Join the group as `rank` of `size`, on the device of that number. Return it.

    Rank 0 has the `listener` at which the others meet; these know its port from the environment.
    Threads and cores are set before torch is imported.

    Raises `AbsentError` if there is no such device.
    """
    confine_process(cell.device)
    configure_environment(choose_threads(cell))
    kind = get_device_kind(cell.device)
    if kind == "cpu" and torch_build.has_cuda():
        # Transformers puts the parts on the first kind of accelerator that torch sees.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch
    from torch import distributed

    if kind != "cpu" and torch.cuda.is_available():
        count = torch.cuda.device_count()
        if rank >= count:
            raise AbsentError(
                f"tp={size} needs {size} GPUs, and torch sees {count}", f"--parallel tp={count}"
            )
        torch.cuda.set_device(rank)
    device = find_device(cell.device)
    on_gpu = device.type == "cuda"
    store = distributed.TCPStore(  # type: ignore[attr-defined]
        HOST,
        int(os.environ["MASTER_PORT"]),
        size,
        is_master=listener is not None,
        timeout=_PATIENCE,
        wait_for_workers=False,
        master_listen_fd=None if listener is None else listener.detach(),
    )
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        store=store,
        rank=rank,
        world_size=size,
        timeout=_PATIENCE,
        device_id=torch.device("cuda", rank) if on_gpu else None,
    )
    return device


def meet() -> None:
    """Wait until every rank is here."""
    from torch import distributed

    distributed.barrier()


def add_up(count: int, device: torch.device) -> int:
    """Return the sum of `count` over the ranks. Every rank calls it."""
    import torch
    from torch import distributed

    total = torch.tensor([count], dtype=torch.int64, device=device)
    distributed.all_reduce(total)
    return int(total.item())
