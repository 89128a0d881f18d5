"""A Slurm of one node with four slots on this machine, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.waiting import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd")
CONFIGURATION = """\
ClusterName=pretend
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def find_missing() -> str:
    """Return why no Slurm can be started here; empty if one can."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing or os.geteuid():
        return f"Slurm needs root and {', '.join(PROGRAMS)}"
    return ""


@contextmanager
def run_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Run the daemons, and yield what a client needs in its environment."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    ports = _find_ports(2)
    conf = folder / "slurm.conf"
    conf.write_text(CONFIGURATION.format(host=host, folder=folder, ports=ports))
    client = {"SLURM_CONF": str(conf)}
    environment = {**os.environ, **client, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    files = [
        f"--{name}={folder}/munge.{name[:4]}" for name in ("pid-file", "log-file", "seed-file")
    ]
    munged = ["munged", "--foreground", "--force", f"--socket={folder}/munge.sock", *files]
    commands = (
        [*munged, f"--key-file={key}"],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", host],
    )
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            output = (folder / f"{command[0]}.out").open("wb")
            daemons.append(
                subprocess.Popen(
                    command, env=environment, stdin=-3, stdout=output, stderr=output, umask=0o022
                )
            )
            output.close()
            time.sleep(0.3)
        wait_until(lambda: b"idle" in _read_state(environment), "Slurm does not start")
        yield client
    finally:
        subprocess.run(["scancel", "--full", "--user=root"], env=environment, capture_output=True)
        for daemon in reversed(daemons):
            daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(5)
            daemon.kill()
            daemon.wait()


def _read_state(environment: dict[str, str]) -> bytes:
    command = ["sinfo", "-h", "-o", "%T"]
    return subprocess.run(command, env=environment, capture_output=True).stdout


def _find_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
