"""The web server answers its own pages alone, names no path, and shows what a viewer draws."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("textual_serve")
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer

from txtop.cli.web_outcomes import WebOutcomes
from txtop.web.pages import SessionLink, render_list
from txtop.web.server import MOST_VIEWERS, Server, Source, is_loopback
from txtop.web.sessions import build_source

# Says its size, echoes a line, and says the size once more.
ECHO = (
    "import os, sys; print(*os.get_terminal_size(), flush=True)\n"
    "for line in sys.stdin: print('got', line.strip(), *os.get_terminal_size(), flush=True)"
)
LINKS = [SessionLink("one", "one · gpt2", False), SessionLink("<b>", "<b>\x1b[31m", True)]


def command(session: str, _scheme: str) -> list[str] | None:
    return [sys.executable, "-c", ECHO] if session in ("one", "<b>") else None


@asynccontextmanager
async def serve(token: str | None = None) -> AsyncIterator[TestClient]:
    app = Server(Source(lambda: LINKS, command), token).build_app()
    async with TestClient(TestServer(app)) as client:
        yield client


def own_origin(client: TestClient) -> dict[str, str]:
    return {"Origin": f"http://{client.host}:{client.port}"}


async def read_until(socket: ClientWebSocketResponse, text: bytes) -> bytes:
    drawn = b""
    while text not in drawn:
        drawn += await socket.receive_bytes(timeout=60)
    return drawn


@pytest.mark.parametrize(
    ("host", "own"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.evil.test", False),
     ("127.0.0.1.evil.test", False), ("", False)],
)  # fmt: skip
def test_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_the_list_names_models_by_what_differs_and_says_when(tmp_path: Path) -> None:
    links = {link.id: link for link in build_source(tmp_path, allow_control=False).list_links()}
    several, one = links["smollm2-quantised"], links["smollm2-int8"]
    assert several.title.startswith("smollm2-quantised · SmolLM2-135M-Instruct, …GPTQ, …CT · fp32")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d, 12/12 cells", several.about)
    assert "· A/B fp32, int8" in one.title


def test_the_list_has_the_outcomes_of_the_home_screen(tmp_path: Path) -> None:
    read = WebOutcomes(most_s=60).read
    source = build_source(tmp_path, allow_control=False, read_outcomes=read)
    link = {link.id: link for link in source.list_links()}["smollm2-int8"]
    assert (link.outcome, link.badge, link.role) == (
        "A/B 1.92x int8:torch-dynamic", "✗ broken", "bad",
    )  # fmt: skip
    page = render_list([link])
    assert "A/B 1.92x int8:torch-dynamic" in page
    assert '<strong class="bad">✗ broken</strong>' in page
    hurried = build_source(tmp_path, allow_control=False, read_outcomes=WebOutcomes(most_s=0).read)
    assert {link.outcome for link in hurried.list_links()} == {""}


async def test_a_foreign_name_of_this_address_is_refused() -> None:
    """A name of the attacker's own that resolves to 127.0.0.1."""
    async with serve() as client:
        for host, status in (
            ("evil.test", 403), (f"evil.test:{client.port}", 403), ("localhost:1", 200),
            ("[::1]:8", 200), ("", 403),
        ):  # fmt: skip
            async with client.get("/", headers={"Host": host}) as answer:
                assert answer.status == status, host
        for path in ("/view/one", "/page.css", "/static/js/textual.js", "/socket/one/dark"):
            async with client.get(path, headers={"Host": "evil.test"}) as answer:
                assert answer.status == 403, path


async def test_a_socket_is_for_pages_of_this_server() -> None:
    async with serve() as client:
        for origin in ({}, {"Origin": "http://evil.test"}, {"Origin": "null"},
                       {"Origin": f"http://localhost:{client.port + 1}"}):  # fmt: skip
            with pytest.raises(WSServerHandshakeError) as refused:
                await client.ws_connect("/socket/one/dark", headers=origin)
            assert refused.value.status == 403


async def test_with_a_token_nothing_answers_without_it() -> None:
    async with serve("s3cret") as client:
        url = client.make_url("/")
        for path in ("/", "/view/one", "/page.css", "/static/js/textual.js", "/?token=wrong"):
            async with client.get(path) as answer:
                assert answer.status == 403, path
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
            async with browser.get(url, headers={"Cookie": "txtop=wrong"}) as answer:
                assert answer.status == 403
            async with browser.get(f"{url}view/one?token=s3cret") as answer:
                assert answer.status == 200
                assert "token" not in str(answer.url)
                cookie = answer.history[0].headers["Set-Cookie"]
                assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
        # A token stands for the name: such a server is reached by any.
        headers = {"Host": "gpu7.example", "Cookie": "txtop=s3cret"}
        async with client.get("/", headers=headers) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("session", ["two", "..%2Fone", "%2Fetc%2Fpasswd", ".", "%00"])
async def test_a_browser_opens_what_is_listed_alone(session: str) -> None:
    async with serve() as client:
        for path in (f"view/{session}", f"socket/{session}/dark"):
            async with client.get(f"/{path}", headers=own_origin(client)) as answer:
                assert answer.status == 404


async def test_pages_are_inert_and_ask_for_nothing_elsewhere() -> None:
    async with serve() as client:
        for path in ("/", "/view/%3Cb%3E"):
            async with client.get(path) as answer:
                page = await answer.text()
                assert answer.status == 200 and "<b>" not in page and "\x1b" not in page
                assert "//" not in page
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy and "unsafe-eval" not in policy


async def test_a_viewer_draws_takes_keys_and_follows_the_size() -> None:
    async with serve() as client:
        async with client.ws_connect(
            "/socket/one/light?width=91&height=31", headers=own_origin(client)
        ) as socket:
            await read_until(socket, b"91 31")
            for odd in ("[", "[]", '["stdin"]', '["resize",{"width":"x"}]', '"a"', "[" * 2000):
                await socket.send_str(odd)
            await socket.send_json(["resize", {"width": 10**9, "height": -4}])
            await socket.send_json(["stdin", "ä\n"])
            await read_until(socket, "got ä 500 1".encode())
        async with client.ws_connect("/socket/one/dark", headers=own_origin(client)) as socket:
            await read_until(socket, b"80 24")
            await socket.send_json(["stdin", "\x04"])
            while not (message := await socket.receive(timeout=60)).type.name.startswith("CLOS"):
                assert message.data
            assert socket.closed


async def test_viewers_are_few_and_leave_nothing_behind() -> None:
    async with serve() as client:
        headers = own_origin(client)
        sockets = [
            await client.ws_connect("/socket/one/dark", headers=headers)
            for _ in range(MOST_VIEWERS)
        ]
        for socket in sockets:
            await read_until(socket, b"80 24")
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect("/socket/one/dark", headers=headers)
        assert refused.value.status == 503
        for socket in sockets:
            await socket.close()
        while True:
            with_room = await client.get("/socket/one/dark", headers=headers)
            if with_room.status != 503:
                break
            await asyncio.sleep(0.02)
