"""The layers of imports hold for every module, and hold when the program really runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.paths import ROOT


@pytest.mark.parametrize(
    ("module", "foreign"),
    [
        ("txtop.cli.app", {"torch", "transformers", "pynvml", "textual", "numpy"}),
        ("txtop.__main__", {"torch", "transformers", "pynvml", "textual", "numpy"}),
        ("txtop.ui", {"torch", "transformers", "pynvml"}),
        ("txtop.ui.app", {"torch", "transformers", "pynvml"}),
        (
            "txtop.cli.reported, txtop.cli.home, txtop.ui.screens.first_picture",
            {"textual", "asyncio", "rich.console", "txtop.ui.launch"},
        ),
        # `txtop` alone goes on with these.
        (
            "txtop.cli.reported, txtop.cli.home, txtop.ui.launch, txtop.ui.screens.home",
            {"cyclopts", "psutil", "txtop.state", "txtop.protocol.events", "txtop.ui.models.view"}
            | {"txtop.ui.screens.dialogs", "txtop.options.feasibility", "txtop.ui.text_input"},
        ),
        # A list of sessions is typed and waited for: it decides nothing and writes no format.
        (
            "txtop.cli.session_list",
            {"txtop.analysis.metrics", "txtop.export.json", "txtop.state.fold", "socket"},
        ),
        ("txtop.cli.session_args", {"txtop.export.json", "txtop.runner.session_start", "psutil"}),
        ("txtop.runner.control_client", {"torch", "transformers", "pynvml", "textual"}),
        ("txtop.sampler.sampler", {"torch", "transformers", "pynvml", "textual", "numpy"}),
    ],
)
def test_importing_stays_light(module: str, foreign: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({foreign!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
