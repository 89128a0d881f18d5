"""A host behind ssh on this machine, and a network to it that can be cut."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.waiting import WAIT_S


@contextmanager
def serve_ssh(folder: Path, address: str, within: tuple[str, ...] = ()) -> Iterator[str]:
    """Start an ssh server of this user, by a command before its own; yield what ssh is given."""
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None or shutil.which("ssh") is None:
        pytest.skip("no ssh server is installed")
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    for key in ("host", "user"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / key)]
        subprocess.run(make, check=True)
    (keys / "allowed").write_bytes((keys / "user.pub").read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (keys / "config").write_text(
        f"Port {port}\nListenAddress {address}\nHostKey {keys}/host\nPidFile none\n"
        f"AuthorizedKeysFile {keys}/allowed\nStrictModes no\nUsePAM no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    sshd = subprocess.Popen([*within, server, "-D", "-e", "-f", str(keys / "config")], stderr=-3)
    try:
        until_s = time.monotonic() + WAIT_S
        while True:
            with suppress(OSError), socket.create_connection((address, port), 1):
                break
            assert time.monotonic() < until_s and sshd.poll() is None, "sshd does not start"
            time.sleep(0.05)
        unasked = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        yield f"-p {port} -i {keys}/user {unasked} {address}"
    finally:
        sshd.terminate()
        sshd.wait()


@dataclass(frozen=True)
class Network:
    """A network namespace, which is as a host of its own, and the line to it."""

    name: str
    here: str = "198.18.0.1"
    there: str = "198.18.0.2"

    @property
    def line(self) -> str:
        return f"{self.name}-0"

    def list_commands(self) -> list[str]:
        return [
            f"ip netns add {self.name}",
            f"ip link add {self.line} type veth peer name eth0 netns {self.name}",
            f"ip address add {self.here}/30 dev {self.line}",
            f"ip link set {self.line} up",
            f"ip -n {self.name} address add {self.there}/30 dev eth0",
            f"ip -n {self.name} link set eth0 up",
        ]

    def set_link(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", self.line, state], check=True)


@contextmanager
def make_network() -> Iterator[Network]:
    """Make a network, which needs the rights of root; skip the test without them."""
    made = Network(f"tx{os.getpid()}")
    if shutil.which("ip") is None:
        pytest.skip("no ip command is installed")
    try:
        for command in made.list_commands():
            done = subprocess.run(command.split(), capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no network namespace can be made: {done.stderr.strip()}")
        yield made
    finally:
        subprocess.run(["ip", "netns", "delete", made.name], capture_output=True)
        subprocess.run(["ip", "link", "delete", made.line], capture_output=True)
