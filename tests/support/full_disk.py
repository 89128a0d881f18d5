"""Conduct a run of the fake worker on a disk that soon fills; the exit code is the result.

`python full_disk.py FOLDER ITERATIONS [BYTES]`: with BYTES the limit is this process's largest
file, without it the folder is on a small file system. Prints the address on which it listens.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.fake_run import FAKE, plan
from txtop.runner.conductor import Conductor
from txtop.runner.control_client import SOCKET_NAME
from txtop.session.writer import create_session_folder


def main(folder: Path, iterations: int, limit_bytes: int | None) -> int:
    create_session_folder(folder)
    socket_path = Path(f"/tmp/txtop-full-{os.getpid()}.sock")
    run_plan = plan("ok", iterations=iterations)
    conductor = Conductor(run_plan, folder, worker=FAKE, sampler=None, socket_path=socket_path)
    (folder / SOCKET_NAME).write_text(str(socket_path))
    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    try:
        _, recorded = conductor.run()
    finally:
        socket_path.unlink(missing_ok=True)
    return 0 if recorded else 1


if __name__ == "__main__":
    sizes = [int(number) for number in sys.argv[2:]]
    sys.exit(main(Path(sys.argv[1]), sizes[0], sizes[1] if len(sizes) > 1 else None))
