"""Make a txtop process, when on its path, start warm workers in place of cold ones."""

import json
import os

from txtop.protocol import probe_reply
from txtop.runner import child_process

command = json.loads(os.environ["TXTOP_WARM_WORKER"])
build_probe_command = probe_reply.build_probe_command
child_process.WORKER_COMMAND = tuple(command)
probe_reply.build_probe_command = lambda module: (
    [*command, "--probe"]
    if module in ("txtop.worker", command[-1])
    else build_probe_command(module)
)
