"""``millrace serve``: everything in one process."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from millrace.errors import SettingsInvalid

if TYPE_CHECKING:
    from millrace.settings import Settings

BACKLOG = 2048
"""Connections that wait while the process is busy or still starting."""

GRACE_SECONDS = 3.0
"""How long requests that are under way may take when the process is to end."""

PRACTICE_PORTS = (1, 2, 3)
"""The demo's shop, SMTP and IMAP listen this much above the port, so that they stay the same."""


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0: any free one.")
@click.option("--demo", is_flag=True, help="With a practice service and scenarios that use it.")
def serve(data: Path | None, host: str | None, port: int | None, demo: bool) -> None:
    """Start Millrace: pages, API, webhooks, schedules and executions in one process.

    The first start makes the data folder with the database and the master key, and prints a link
    that signs the owner in once.
    """
    from millrace.log import configure
    from millrace.settings import read_settings

    settings = read_settings(data=data, host=host, port=port)
    configure(level=settings.log.level, format=settings.log.format)
    # Bound before anything slow is imported: whoever calls meanwhile waits instead of failing.
    with _listen(settings.host, settings.port) as listening, _runner() as runner:
        settings = read_settings(data=data, host=host, port=listening.getsockname()[1])
        runner.run(_serve(settings, listening, with_demo=demo))


def link(settings: Settings, secret: str) -> str:
    """The address that signs its holder in."""
    return f"{settings.address}/sign-in?token={secret}"


def _listen(host: str, port: int) -> socket.socket:
    """Listen where the settings say.

    Raises:
        SettingsInvalid: the port is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsInvalid(
            f"{host}:{port} cannot be listened on: {error.strerror or error}. "
            "Choose another --port."
        ) from error
    listening.setblocking(False)
    return listening


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _serve(settings: Settings, listening: socket.socket, *, with_demo: bool) -> None:
    from millrace.api.app import App
    from millrace.cli.building import build_runtime

    stopping = _stopping()
    loopback = [("127.0.0.1/32", None)] if with_demo else []
    runtime = await build_runtime(settings, allow=loopback)
    practice = None
    try:
        is_new = await runtime.users.owner() is None
        owner = await runtime.users.ensure_owner()
        lines = []
        if with_demo:
            practice, lines = await _start_demo(runtime, owner, settings)
        await runtime.start()
        app = App(runtime, settings)
        server = await _Server.start(app, listening)
        address = settings.address
        if is_new:
            address = link(settings, await runtime.users.create_sign_in_link(by=owner))
            lines.append(
                "The link signs you in once, within 15 minutes. Another: millrace owner-link"
            )
        click.echo("\n".join([f"Millrace runs at {address}", *lines]))
        await app.warm_up()
        await asyncio.to_thread(runtime.services.http.warm_up)
        # What was made so far lives as long as the process: the collector need not look at it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        await stopping.wait()
        await server.close()
    finally:
        if practice is not None:
            await practice.stop()
        await runtime.close()


async def _start_demo(runtime: Any, owner: Any, settings: Settings) -> tuple[Any, list[str]]:
    """The practice service, and what the demo makes of it."""
    from millrace import practice
    from millrace.practice.demo import SAMPLE_ORDER, seed

    web, smtp, imap = (settings.port + offset for offset in PRACTICE_PORTS)
    service = await practice.start(port=web, smtp_port=smtp, imap_port=imap)
    demo = await seed(runtime, owner, service)
    lines = [f"The practice shop is at {service.url}"]
    if demo.webhook_address:
        order = f"-H 'content-type: application/json' -d '{SAMPLE_ORDER}'"
        lines.append(f"Try: curl {order} {demo.webhook_address}")
    return service, lines


def _stopping() -> asyncio.Event:
    """Set when somebody wants the process to end, be it in the middle of starting."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    return stopping


class _Server:
    """uvicorn's HTTP protocol on a socket of ours; signals and start-up are the command's."""

    def __init__(self, state: Any, server: asyncio.Server) -> None:
        self._state = state
        self._server = server
        self._clock = asyncio.create_task(self._tick())

    @classmethod
    async def start(cls, app: Any, listening: socket.socket) -> _Server:
        """Answer those who call at a socket."""
        import uvicorn
        from uvicorn.server import ServerState

        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
        )
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()

        new: Any = config.http_protocol_class

        def protocol() -> asyncio.Protocol:
            return new(config=config, server_state=state, app_state={})

        server = await loop.create_server(protocol, sock=listening, backlog=BACKLOG)
        # uvicorn's own server writes this header anew each second; here it is done the same way.
        state.default_headers = _date()
        return cls(state, server)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._state.default_headers = _date()

    async def close(self) -> None:
        """Take no new connections; let requests end for a moment, then cut them off."""
        self._clock.cancel()
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=GRACE_SECONDS)
        for connection in list(self._state.connections):
            if connection.transport is not None:
                connection.transport.abort()


def _date() -> list[tuple[bytes, bytes]]:
    from email.utils import formatdate

    return [(b"date", formatdate(usegmt=True).encode())]
