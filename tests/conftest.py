"""Fixtures of every test run, and the rows without a test in its summary."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("support")

from support import fault_rows, scripted_nvml, warm_workers  # noqa: E402
from support.sampler_process import TREE, Start  # noqa: E402
from support.scripted_nvml import Scenario, without_a_library  # noqa: E402

SHARE_WITH_WAITING = 0.85


def pytest_configure() -> None:
    """Restore the default signals, which a background shell job ignores and children inherit.

    Share warm servers with the test processes that follow. Let threads of torch that wait for work
    sleep, in all processes: beside other tests, those that spin take most of the time.
    """
    warm_workers.share_servers()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import without the collector, whose passes over what is imported find nothing."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the modules of processes, which mostly wait, over those of the others, which compute.

    One kind after the other leaves the cores idle first and too few for all at last. The end is
    for the short modules of the others, so that no long one is alone there.
    """
    modules = list(dict.fromkeys(item.path for item in items))
    waiting = [path for path in modules if path.parent.name == "process"]
    others = [path for path in modules if path.parent.name != "process"]
    step = SHARE_WITH_WAITING * len(others) / max(1, len(waiting))
    place = {path: float(number) for number, path in enumerate(others)}
    place |= {path: step * number for number, path in enumerate(waiting)}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture(scope="session", autouse=True)
def no_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the settings and themes of the user who runs the tests away from them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        # The tests beside them are busy neighbours of all runs.
        patch.setenv("TXTOP_NEIGHBOURS", "ignore")
        yield


@pytest.fixture(scope="module", autouse=True)
def restored_environment() -> Iterator[None]:
    """Leave to the next module the environment of before, whatever txtop set in this process."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module", autouse=True)
def frozen_imports() -> None:
    """Keep the collector off what is imported: a pass over it takes half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the scripted libnvidia-ml.so.1 once."""
    return scripted_nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def scenario(nvml_library: Path, tmp_path: Path) -> Scenario:
    """Load NVML with one GPU, until the test writes another scenario."""
    return Scenario(nvml_library, tmp_path)


@pytest.fixture
def start_sampler(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start a sampler over the lines of `nvml`, or without NVML.

    One of several at the same time has a `folder` of its own for its library.
    """
    started: list[subprocess.Popen[bytes]] = []

    def run(
        *arguments: str, nvml: tuple[str, ...] | None = None, folder: Path | None = None
    ) -> subprocess.Popen[bytes]:
        if folder is not None:
            folder.mkdir()
        if nvml is None:
            environment = without_a_library(folder or tmp_path)
        else:
            scenario: Scenario = (
                request.getfixturevalue("scenario")
                if folder is None
                else Scenario(request.getfixturevalue("nvml_library"), folder)
            )
            scenario.write(*nvml)
            environment = scenario.environment
        process = subprocess.Popen(
            [sys.executable, "-m", "txtop.sampler", *arguments],
            env={**os.environ, "PYTHONPATH": TREE, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        with process:
            process.kill()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the rows of fault_rows.toml that have no test yet."""
    tested = fault_rows.tested()
    missing = {number: title for number, title in fault_rows.rows().items() if number not in tested}
    terminalreporter.section(f"faults without a test yet: {len(missing)}")
    for number, title in missing.items():
        terminalreporter.line(f"{number:>3}  {title}")
