"""`txtop web`: running and recorded sessions in a browser."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from txtop.cli.common import SessionDirOption
from txtop.errors import RunError, TxtopError, UsageError
from txtop.options import limits

if TYPE_CHECKING:
    from txtop.web.server import Server

TOKEN_VARIABLE = "TXTOP_WEB_TOKEN"


def web(
    *,
    port: Annotated[int, Parameter(help="default 8765; 0 takes a free one")] = 8765,
    host: Annotated[
        str, Parameter(help="address to listen on; default 127.0.0.1, others need a token")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        Parameter(help=f"what the address must carry; auto draws one; or ${TOKEN_VARIABLE}"),
    ] = None,
    allow_control: Annotated[
        bool, Parameter(help="let a browser pause, skip and stop; without it, it can only look")
    ] = False,
    session_dir: SessionDirOption = None,
) -> int:
    """Show sessions in a browser, live or replayed."""
    limits.check_integer("--port", port, 0)
    token = token if token is not None else os.environ.get(TOKEN_VARIABLE) or None
    if token == "":
        raise UsageError("--token is empty", "--token auto draws one")
    if find_spec("textual_serve") is None:
        raise TxtopError("txtop web needs textual-serve", "pip install 'txtop[web]'")
    from txtop.web.server import Server, is_loopback

    if token is None and not is_loopback(host):
        raise UsageError(f"--host {host} is open to others", "--token auto draws a token for it")
    if token == "auto":
        from secrets import token_urlsafe

        token = token_urlsafe(16)

    import asyncio

    from txtop.cli.web_outcomes import WebOutcomes
    from txtop.web.sessions import build_source

    outcomes = WebOutcomes()
    source = build_source(session_dir, allow_control=allow_control, read_outcomes=outcomes.read)
    server = Server(source, token)
    try:
        asyncio.run(_serve(server, host, port, token))
    except OSError as error:
        raise RunError(
            f"cannot listen on {host} port {port}: {error.strerror}", "--port takes another"
        ) from error
    except KeyboardInterrupt:
        return 0
    return 0


async def _serve(server: Server, host: str, port: int, token: str | None) -> None:
    """Serve until the process is interrupted. Raises `OSError` if the address is taken."""
    import asyncio

    from aiohttp import web as aiohttp_web

    runner = aiohttp_web.AppRunner(server.build_app(), access_log=None)
    await runner.setup()
    try:
        site = aiohttp_web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        named = f"[{host}]" if ":" in host else host
        secret = f"?token={token}" if token else ""
        print(f"http://{named}:{bound}/{secret}  (ctrl+c ends it)", file=sys.stderr, flush=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
