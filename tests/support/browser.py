"""A real headless browser: opens a page, answers scripts, takes pictures, lists its requests.

It is driven by the DevTools protocol over two pipes, so that no package and no port is needed.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

BROWSER = os.environ.get("TXTOP_BROWSER") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
TIMEOUT_S = 120


class Browser:
    """A headless chromium with one page, in a profile of its own under `folder`."""

    def __init__(self, folder: Path) -> None:
        assert BROWSER is not None
        to_browser, from_browser = os.pipe(), os.pipe()
        # The protocol's descriptors are 3 and 4: a shell puts the pipes there.
        script = f'exec 3<&{to_browser[0]} 4>&{from_browser[1]}; exec "$@"'
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        flags += ["--disable-background-networking", "--no-first-run"]
        flags += [
            f"--user-data-dir={folder / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]
        self._process = subprocess.Popen(
            ["bash", "-c", script, "browser", BROWSER, *flags],
            pass_fds=(to_browser[0], from_browser[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        self._to, self._from = os.fdopen(to_browser[1], "wb"), os.fdopen(from_browser[0], "rb")
        self._rest, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        # A browser that hangs is ended, and reading from it with it.
        self._watchdog = threading.Timer(TIMEOUT_S, self._process.kill)
        self._watchdog.start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.wait()
        self._to.close()
        self._from.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result; events meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._from.fileno(), 1 << 20)
            assert part, "the browser ended"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def show(self, path: Path, width: int, scheme: str, height: int = 900) -> None:
        """Open a file in a window of `width` pixels, in the colour scheme `dark` or `light`."""
        self.visit(path.as_uri(), width, scheme, height)

    def visit(self, url: str, width: int, scheme: str, height: int = 900) -> None:
        """Open an address; of other machines than this none is found."""
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])  # fmt: skip
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        self.call("Page.navigate", url=url)
        self.evaluate(
            "new Promise(done => document.readyState === 'complete' ? done()"
            " : addEventListener('load', done))"
        )

    def evaluate(self, script: str) -> Any:
        """Return the value of a script's expression in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def forget(self) -> None:
        """Forget the requests and errors so far."""
        self.call("Page.navigate", url="about:blank")
        self.evaluate("1")
        self.events.clear()

    def list_requests(self) -> list[str]:
        """Return the addresses that the pages asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def list_errors(self) -> list[str]:
        """Return the errors of scripts and of the security policy."""
        texts = []
        for event in self.events:
            if event.get("method") == "Runtime.exceptionThrown":
                texts.append(str(event["params"]["exceptionDetails"]))
            if event.get("method") == "Log.entryAdded":
                texts.append(event["params"]["entry"]["text"])
        return texts

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write the page as a PNG, the whole of it or what its window shows."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))
