"""`txtop web` in a real browser: sessions are played there, and no request leaves the page."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browser import BROWSER, Browser
from support.waiting import WAIT_S, wait_until

pytest.importorskip("textual_serve")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here; TXTOP_BROWSER names one")
# A picture of an empty terminal has at most a fourth of it, one of an A/B more.
DRAWN_BYTES = 20_000


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve an empty folder of sessions, which leaves the bundled ones."""
    environ = {**os.environ, "TXTOP_SESSION_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "txtop", "web", "--port", "0"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        yield server.stderr.readline().split()[0]
        server.send_signal(signal.SIGINT)
        assert server.wait(WAIT_S) == 0 and server.stderr.read() == ""


def test_the_ab_is_played_in_both_schemes_wide_and_narrow(address: str, tmp_path: Path) -> None:
    with Browser(tmp_path / "browser") as browser:
        browser.visit(address, 1040, "dark")
        assert "smollm2-int8 · SmolLM2-135M-Instruct" in browser.evaluate("document.body.innerText")
        grounds = set()
        for width, scheme in ((1040, "dark"), (400, "light")):
            browser.visit(f"{address}view/smollm2-int8", width, scheme)
            wait_until(lambda: len(take_picture(browser)) >= DRAWN_BYTES)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            grounds.add(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 2
        assert all(url.startswith((address, "blob:", "data:")) for url in browser.list_requests())
        errors = [text for text in browser.list_errors() if "software WebGL" not in text]
        assert errors == []
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="q", text="q")
        browser.evaluate(
            "new Promise(done => setInterval(() =>"
            " document.body.classList.contains('-closed') && done(), 50))"
        )


def take_picture(browser: Browser) -> bytes:
    return base64.b64decode(browser.call("Page.captureScreenshot")["data"])
