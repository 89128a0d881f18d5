"""The command that stands for `python SCRIPT`: it has a warm server run the script.

`python -I -S warm_client.py SOCKET SCRIPT ARGUMENTS`. Client and script end with each other.
"""

import json
import os
import signal
import socket
import sys

signal.signal(signal.SIGINT, signal.SIG_IGN)
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    request = {"script": sys.argv[2], "arguments": sys.argv[3:], "folder": os.getcwd()}
    body = json.dumps({**request, "environment": dict(os.environ)}).encode()
    socket.send_fds(server, [len(body).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(body)
    # The script alone holds the streams from now on: their end is its end.
    os.closerange(0, 3)
    status = server.recv(4)
code = int.from_bytes(status, "big", signed=True) if status else 1
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
