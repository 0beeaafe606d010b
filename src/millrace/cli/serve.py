"""``millrace serve``: everything in one process."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path
from typing import Any

import click

from millrace.settings import Settings, read_settings

GRACE_SECONDS = 3.0
"""How long requests that are under way may take when the process is to end."""

PRACTICE_PORTS = (1, 2, 3)
"""The demo's shop, SMTP and IMAP listen this much above the port, so that they stay the same."""


@click.command(short_help="Start Millrace: pages, API, webhooks, schedules.")
@click.option("--data", type=click.Path(path_type=Path), help="The folder with all that is kept.")
@click.option("--host", help="The address to listen on; 127.0.0.1 unless you say otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on.")
@click.option("--demo", is_flag=True, help="With a practice service and scenarios that use it.")
def serve(data: Path | None, host: str | None, port: int | None, demo: bool) -> None:
    """Start Millrace: pages, API, webhooks, schedules and executions in one process.

    The first start makes the data folder with the database and the master key, and prints a link
    that signs the owner in once.
    """
    from millrace.log import configure

    settings = read_settings(data=data, host=host, port=port)
    configure(level=settings.log.level, format=settings.log.format)
    with _runner() as runner:
        runner.run(_serve(settings, with_demo=demo))


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _serve(settings: Settings, *, with_demo: bool) -> None:
    from millrace.api.app import App
    from millrace.cli.building import build_runtime

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
        server = await _Server.listen(App(runtime, settings), settings)
        address = settings.public_url.rstrip("/") or server.address
        runtime.address = address
        if is_new:
            secret = await runtime.users.create_sign_in_link(by=owner)
            address += f"/sign-in?token={secret}"
            lines.append(
                "The link signs you in once, within 15 minutes. Another: millrace owner-link"
            )
        click.echo("\n".join([f"Millrace runs at {address}", *lines]))
        # What was made so far lives as long as the process: the collector need not look at it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        await _stop_signal()
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


async def _stop_signal() -> None:
    """Wait until somebody wants the process to end."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


class _Server:
    """uvicorn's HTTP protocol on a socket of ours; signals and start-up are the command's."""

    def __init__(self, config: Any, state: Any, server: asyncio.Server) -> None:
        self._config = config
        self._state = state
        self._server = server
        host, port = server.sockets[0].getsockname()[:2]
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @classmethod
    async def listen(cls, app: Any, settings: Settings) -> _Server:
        """Listen where the settings say.

        Raises:
            OSError: the port is taken.
        """
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

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(config=config, server_state=state, app_state={})

        server = await loop.create_server(protocol, settings.host, settings.port, backlog=2048)
        # uvicorn's own server writes this header anew each second; here it is done the same way.
        state.default_headers = _date()
        self = cls(config, state, server)
        self._clock = asyncio.create_task(self._tick())
        return self

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
