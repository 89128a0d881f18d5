"""The command that stands for `python -m txtop.worker`: it has the warm server fork one.

`python -I -S warm_client.py SOCKET SCRIPT ARGUMENTS`. It ends as its worker ends, and its worker with it.
"""

import json
import os
import signal
import socket
import sys

signal.signal(signal.SIGINT, signal.SIG_IGN)
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    start = {"arguments": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}
    body = json.dumps(start).encode()
    socket.send_fds(server, [len(body).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(body)
    # The worker alone holds the streams from now on: their end is its end.
    os.closerange(0, 3)
    status = server.recv(4)
code = int.from_bytes(status, "big", signed=True) if status else 1
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
