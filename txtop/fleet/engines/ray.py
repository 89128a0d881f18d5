"""The engine Ray: a place is a node of a cluster, held by an actor until the run's log is here.

`python -m txtop.fleet.engines.ray hold|run|release|held …` is the process that imports ray.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from txtop.errors import UsageError
from txtop.fleet.engines.engine import EXIT_LOST, Engine, Tell
from txtop.system.search_path import build_module_command

MODULE = "txtop.fleet.engines.ray"
FORM = "ray, or 'ray://HOST:10001 num_gpus=1'"
ADDRESS_HERE = "auto"
READY_S = 20.0
READ_S = 2.0
FORGOTTEN_S = 30.0
CHUNK_BYTES = 1 << 16
# Every node has one of each: a small share of it is a condition and holds nothing.
ACCELERATOR, NODE = "accelerator_type:", "node:"
CONDITIONS = (ACCELERATOR, NODE)
LEAST = 0.001
# Ray counts resources in ten thousandths.
ROUNDING = 1e-6


def _build(target: str, command: list[str]) -> list[str]:
    return build_module_command(MODULE, "run", target, *command)


def _check(target: str, parts: Sequence[str]) -> None:
    parse_wishes(parts)


def parse_wishes(parts: Sequence[str]) -> tuple[str, dict[str, float]]:
    """Return a cluster's address and what a place is to hold there; nothing for a whole node.

    Raises `UsageError` for words that are neither.
    """
    is_named = bool(parts) and parts[0].startswith("//")
    address = f"ray:{parts[0]}" if is_named else ADDRESS_HERE
    wishes: dict[str, float] = {}
    for word in parts[is_named:]:
        name, _, value = word.partition("=")
        if name == "accelerator_type" and value:
            wishes[ACCELERATOR + value] = LEAST
            continue
        try:
            amount = float(value)
        except ValueError:
            amount = 0.0
        if not name or not 0 < amount < float("inf"):
            raise UsageError(f"--on ray: {word[:40]!a} is no resource", FORM)
        wishes[{"num_gpus": "GPU", "num_cpus": "CPU"}.get(name, name)] = amount
    return address, wishes


def count_places(wishes: dict[str, float], node: dict[str, float]) -> int:
    """Return how often a node has what a place is to hold."""
    if any(node.get(name, 0.0) < amount for name, amount in wishes.items()):
        return 0
    counted = [name for name in wishes if not name.startswith(CONDITIONS)]
    return min((int(node[name] / wishes[name] + ROUNDING) for name in counted), default=1)


def _require() -> None:
    if find_spec("ray") is None:
        raise UsageError("Ray is not installed here", "pip install 'txtop[ray]'")


def _hold(targets: list[str], tell: Tell) -> list[list[str]]:
    """Hold the nodes of each cluster.

    Raises:
        UsageError: no node is free; what was held is given back.
    """
    held: list[list[str]] = []
    try:
        for target in targets:
            held.append(_hold_nodes(target, tell))
    except BaseException:
        _release([target for places in held for target in places])
        raise
    return held


def _hold_nodes(target: str, tell: Tell) -> list[str]:
    """Hold the free nodes of one cluster. Raises `UsageError` if there is none."""
    process = subprocess.Popen(
        build_module_command(MODULE, "hold", target),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate()
    except BaseException:
        # It gives back what it holds; what it has named already may be held all the same.
        process.terminate()
        _release(process.communicate()[0].splitlines())
        raise
    lines = errors.strip().splitlines()
    if process.returncode:
        raise UsageError(
            f"Ray: {lines[-1] if lines else 'no error message'}", "nothing was started"
        )
    for line in lines:
        if line.startswith("left out"):
            tell(line)
    return output.splitlines()


def _release(targets: list[str]) -> None:
    if targets:
        command = build_module_command(MODULE, "release", *targets)
        subprocess.run(command, capture_output=True)


def _list_held(targets: list[str]) -> list[str]:
    command = build_module_command(MODULE, "held", *targets)
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def _pin(wish: str, target: str) -> str:
    address = target.split(" ")[2].partition("/")[0]
    return f"{wish} {NODE}{address}={LEAST:g}".strip()


RAY = Engine(_build, _check, _hold, _release, _list_held, _pin, _require)


class Holder:
    """The actor that holds a place, and runs commands there.

    It is sent as it stands here, so that Ray's Python on a node needs nothing of txtop.
    """

    def __init__(self) -> None:
        self._running: dict[str, tuple[subprocess.Popen[bytes], Any]] = {}
        self._asked_s: dict[str, float] = {}

    def is_ready(self) -> bool:
        """Return True, once the node holds what was asked for."""
        return True

    def open(self, command: list[str], data: bytes) -> tuple[str, str]:
        """Start a command with `data` as its input. Return its number, or what is wrong."""
        for number, asked_s in list(self._asked_s.items()):
            if time.monotonic() - asked_s > FORGOTTEN_S:
                self._end(number)
        # Ray gives its processes the lowest priority. Only root may take that back.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)
        number = uuid.uuid4().hex
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (read at the command's end)
        with tempfile.TemporaryFile() as source:
            source.write(data)
            source.seek(0)
            try:
                process = subprocess.Popen(
                    command,
                    stdin=source,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=self._build_environment(),
                )
            except OSError as error:
                return "", f"{command[0]}: {error.strerror}"
        self._running[number] = process, errors
        self._asked_s[number] = time.monotonic()
        return number, ""

    def _end(self, number: str) -> None:
        """Kill a command of which nobody reads, and keep nothing of it."""
        self._asked_s.pop(number, None)
        if running := self._running.pop(number, None):
            running[0].kill()
            running[0].wait()

    @staticmethod
    def _build_environment() -> dict[str, str]:
        """Leave out the number of threads that Ray chose for its own tasks."""
        environment = dict(os.environ)
        if b"\0OMP_NUM_THREADS=" not in b"\0" + Path("/proc/self/environ").read_bytes():
            environment.pop("OMP_NUM_THREADS", None)
        return environment

    def read(self, number: str) -> tuple[bytes, int | None]:
        """Return what the command printed, or at its end its errors and its exit code."""
        if number not in self._running:
            return b"the command was ended: nobody had read for a while", 1
        process, errors = self._running[number]
        assert process.stdout is not None
        self._asked_s[number] = time.monotonic()
        if not select.select([process.stdout], [], [], READ_S)[0]:
            return b"", None
        if data := os.read(process.stdout.fileno(), CHUNK_BYTES):
            return data, None
        code = process.wait()
        errors.seek(0)
        self._running.pop(number, None)
        self._asked_s.pop(number, None)
        return errors.read(), code


def _connect(address: str) -> Any:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    ray.init(address, namespace="txtop", log_to_driver=False, logging_level="CRITICAL")
    return ray


def hold(target: str, output: BinaryIO) -> None:
    """Hold each free place of a cluster, and print its target to `output`.

    Raises `UsageError` if there is none.
    """
    address, wishes = parse_wishes(shlex.split(target))
    ray = _connect(address)
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    run = uuid.uuid4().hex[:8]
    actors: dict[Any, tuple[Any, str]] = {}
    free: list[Any] = []
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        for node in sorted(nodes, key=lambda node: (node["NodeManagerAddress"], node["NodeID"])):
            has = node["Resources"]
            asked = dict(wishes)
            if all(name.startswith(CONDITIONS) for name in wishes):
                asked |= {name: has.get(name, 0.0) for name in ("CPU", "GPU")}
            for _ in range(count_places(wishes, has)):
                name = f"txtop-{run}-{len(actors) + 1}"
                resources = {k: v for k, v in asked.items() if k not in ("CPU", "GPU")}
                actor = (
                    ray.remote(Holder)
                    .options(
                        name=name,
                        lifetime="detached",
                        max_concurrency=32,
                        num_cpus=asked.get("CPU", 0.0),
                        num_gpus=asked.get("GPU", 0.0),
                        resources=resources,
                        scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], False),
                    )
                    .remote()
                )
                where = f"{node['NodeManagerAddress']}/{node['NodeID'][:8]}"
                actors[actor.is_ready.remote()] = actor, f"{address} {name} {where}"
        free, _ = ray.wait(list(actors), num_returns=len(actors), timeout=READY_S)
        for ready, (actor, place) in actors.items():
            if ready not in free:
                ray.kill(actor)
                print(f"left out: node {place.split()[2]} is in use", file=sys.stderr)
        if not free:
            wanted = " ".join(f"{name}={amount:g}" for name, amount in wishes.items())
            raise UsageError(
                f"no node is free with {wanted}" if wanted else "no node is free", FORM
            )
        for ready in free:
            output.write(f"{actors[ready][1]}\n".encode())
        output.flush()
    except BaseException:
        for actor, _ in actors.values():
            ray.kill(actor)
        raise


def run_in_place(target: str, command: list[str], output: BinaryIO) -> int:
    """Run a command in a held place, with what it prints in `output`.

    Return its exit code, or `EXIT_LOST` if the node is gone.
    """
    address, name, node = target.split(" ")
    data = sys.stdin.buffer.read()
    ray = _connect(address)
    lost = f"Ray's node {node} is lost, or no longer held"
    try:
        actor = ray.get_actor(name)
        number, problem = ray.get(actor.open.remote(command, data))
        if problem:
            print(problem, file=sys.stderr)
            return 1
        while True:
            data, code = ray.get(actor.read.remote(number))
            if code is not None:
                sys.stderr.buffer.write(data)
                return int(code)
            output.write(data)
            output.flush()
    except ray.exceptions.ActorUnavailableError:
        print(f"Ray's node {node} does not answer", file=sys.stderr)
        return 1
    except (ray.exceptions.RayActorError, ValueError):
        print(lost, file=sys.stderr)
        return EXIT_LOST


def release(targets: Sequence[str]) -> None:
    """End the actors of held places."""
    for address in {target.split(" ")[0] for target in targets}:
        ray = _connect(address)
        for target in targets:
            if target.startswith(f"{address} "):
                with suppress(ValueError):
                    ray.kill(ray.get_actor(target.split(" ")[1]))
        ray.shutdown()


def print_held(targets: Sequence[str], output: BinaryIO) -> None:
    """Print to `output` those targets whose actor still holds them."""
    for address in {target.split(" ")[0] for target in targets}:
        ray = _connect(address)
        for target in targets:
            if target.startswith(f"{address} "):
                with suppress(ValueError, ray.exceptions.RayError):
                    ray.get(ray.get_actor(target.split(" ")[1]).is_ready.remote(), timeout=READY_S)
                    output.write(f"{target}\n".encode())
        ray.shutdown()
    output.flush()


def main(verb: str, *arguments: str) -> int:
    """Do one of the four; what is wrong is the last line of the errors."""
    # Ray itself prints to both, as the last lines of a node that died: no part of a log, and no
    # reason that says anything.
    output, sys.stderr = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(2), "w", 1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    verbs: dict[str, Callable[[], int | None]] = {
        "hold": lambda: hold(arguments[0], output),
        "run": lambda: run_in_place(arguments[0], list(arguments[1:]), output),
        "release": lambda: release(arguments),
        "held": lambda: print_held(arguments, output),
    }
    try:
        return verbs[verb]() or 0
    except UsageError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except ConnectionError as error:
        cause = str(error).strip().splitlines() or ["no answer"]
        print(f"no cluster answers: {cause[0]}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
