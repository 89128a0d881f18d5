"""The server: who may ask, and a viewer for each page that is open.

A browser that follows a foreign page's links or scripts reaches a loopback address too. Hence every
request has to name this server as its host, a socket has to come from a page of this server, and
off the loopback interface everything asks for a token.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from aiohttp import WSMessage, WSMsgType, web

from txtop.web.pages import HERE, SessionLink, render_list, render_terminal
from txtop.web.viewer import Viewer

MOST_VIEWERS = 4
"""Each is a screen: 50 MB and a few percent of a core, beside what is being measured."""
LONGEST_MESSAGE_BYTES = 4096
COOKIE = "txtop"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Source:
    """The sessions: all of them, and the command that shows one, by id, in a colour scheme."""

    list_links: Callable[[], Sequence[SessionLink]]
    build_command: Callable[[str, str], list[str] | None]


def is_loopback(host: str) -> bool:
    """Return whether `host` is an address of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server:
    """The pages and sockets of one `source`. Without a `token` it answers loopback names alone."""

    def __init__(self, source: Source, token: str | None) -> None:
        self._source = source
        self._token = token
        self._viewers = 0

    def build_app(self) -> web.Application:
        """Return the application: its routes behind one check of who asks."""
        app = web.Application(middlewares=[self._guard], client_max_size=LONGEST_MESSAGE_BYTES)
        static = Path(str(files("textual_serve"))) / "static"
        app.add_routes(
            [
                web.get("/", self._show_list),
                web.get(r"/{name:page\.(css|js)}", self._send_file),
                web.get("/view/{session}", self._show_terminal),
                web.get(r"/socket/{session}/{scheme:dark|light}", self._serve_socket),
                web.static("/static", static),
            ]
        )
        app.on_response_prepare.append(_add_headers)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse foreign names of this server, and whoever does not know the token."""
        if self._token is None:
            if not is_loopback(_read_host(request)):
                raise web.HTTPForbidden(text="this server answers on the loopback address alone")
        elif not self._knows_token(request):
            raise web.HTTPForbidden(text="the address lacks its token: ?token=...")
        if self._token is not None and "token" in request.query:
            # Out of the address, where it would be seen and remembered.
            answer = web.HTTPSeeOther(quote(request.path))
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="Lax")
            raise answer
        return await handler(request)

    def _knows_token(self, request: web.Request) -> bool:
        given = request.query.get("token") or request.cookies.get(COOKIE, "")
        return hmac.compare_digest(given.encode(), (self._token or "").encode())

    async def _show_list(self, _request: web.Request) -> web.Response:
        page = render_list(await asyncio.to_thread(self._source.list_links))
        return web.Response(text=page, content_type="text/html")

    async def _send_file(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / request.match_info["name"])

    async def _show_terminal(self, request: web.Request) -> web.Response:
        name = request.match_info["session"]
        self._find_command(name, "dark")
        page = render_terminal(name, f"/socket/{quote(name, safe='')}")
        return web.Response(text=page, content_type="text/html")

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Origin", "").partition("://")[2] != request.host:
            raise web.HTTPForbidden(text="this socket is for pages of this server")
        command = self._find_command(**request.match_info)
        if self._viewers >= MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_VIEWERS} viewers are open: close one")
        self._viewers += 1
        try:
            socket = web.WebSocketResponse(heartbeat=15, max_msg_size=LONGEST_MESSAGE_BYTES)
            await socket.prepare(request)
            size = [_read_side(request.query.get(name)) for name in ("width", "height")]
            viewer = await Viewer.start(command, size[0] or 80, size[1] or 24)
            drawing = asyncio.create_task(_send_drawing(viewer, socket))
            try:
                await _receive_keys(viewer, socket)
            finally:
                drawing.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await drawing
                await viewer.close()
            return socket
        finally:
            self._viewers -= 1

    def _find_command(self, session: str, scheme: str) -> list[str]:
        command = self._source.build_command(session, scheme)
        if command is None:
            raise web.HTTPNotFound(text="no such session: / lists them")
        return command


async def _send_drawing(viewer: Viewer, socket: web.WebSocketResponse) -> None:
    while data := await viewer.read():
        await socket.send_bytes(data)
    await socket.close()


async def _receive_keys(viewer: Viewer, socket: web.WebSocketResponse) -> None:
    """Pass on what the page sends, in the form of textual-serve's script: a list in JSON."""
    async for message in socket:
        match _decode(message):
            case ["stdin", str(keys)]:
                viewer.write(keys.encode("utf-8", "replace"))
            case ["resize", {"width": int(columns), "height": int(rows)}]:
                viewer.resize(columns, rows)
            case ["ping", str(stamp)]:
                await socket.send_json(["pong", stamp])


def _decode(message: WSMessage) -> object:
    try:
        return json.loads(message.data) if message.type is WSMsgType.TEXT else None
    except (ValueError, RecursionError):
        return None


def _read_side(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _read_host(request: web.Request) -> str:
    """Return the host that the request names, without its port."""
    host = request.host
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
