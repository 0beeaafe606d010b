"""``millrace serve``: everything in one process."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from millrace.errors import SettingsInvalid

if TYPE_CHECKING:
    from millrace.settings import Settings

log = logging.getLogger(__name__)

BACKLOG = 2048
"""Connections that wait while the process is busy or still starting."""

STOP_SECONDS = 10
"""How long requests under way may take when the process is asked to stop."""


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0: any free one.")
@click.option("--demo", is_flag=True, help="Start a practice shop and mail server, with scenarios.")
def serve(data: Path | None, host: str | None, port: int | None, demo: bool) -> None:
    """Start Millrace: pages, API, webhooks, schedules and executions in one process.

    At the first start it makes the data folder and prints a link that signs the owner in.
    """
    from millrace.log import configure
    from millrace.settings import read_settings

    settings = read_settings(data=data, host=host, port=port)
    configure(level=settings.log.level, format=settings.log.format)
    # Bound before anything slow is imported: whoever calls meanwhile waits instead of failing.
    listening = _listen(settings.host, settings.port)
    if settings.port == 0:
        settings = read_settings(data=data, host=host, port=listening.getsockname()[1])
    with listening:
        _loop().run(_serve(settings, listening, is_demo=demo))


async def _serve(settings: Settings, listening: socket.socket, *, is_demo: bool) -> None:
    import uvicorn

    from millrace.api.app import App
    from millrace.cli.opening import open_runtime

    practice, allow = None, ()
    if is_demo:
        practice, allow = await _practice()
    runtime = await open_runtime(settings, allow=allow)
    try:
        is_first = await runtime.users.owner() is None
        owner = await runtime.users.ensure_owner()
        await runtime.start()
        app = App(runtime, settings)
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        click.echo(f"Millrace listens on {settings.address}")
        # The owner of a fresh installation must get in; later `millrace owner-link` does it.
        if is_first:
            secret = await runtime.users.create_sign_in_link(by=owner)
            click.echo(f"Sign in (once, within 15 minutes): {link(settings, secret)}")
        if practice is not None:
            await _seed(runtime, owner, practice)
        warming = asyncio.create_task(asyncio.to_thread(app.warm_up))
        await serving
        await asyncio.gather(warming, return_exceptions=True)
    finally:
        await runtime.close()
        if practice is not None:
            await practice.close()


def link(settings: Settings, secret: str) -> str:
    """The address that signs its holder in."""
    return f"{settings.address}/sign-in?token={secret}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsInvalid(
            f"{host}:{port} cannot be listened on: {error.strerror}. Choose another --port."
        ) from error
    listening.setblocking(False)
    return listening


def _loop() -> asyncio.Runner:
    """A runner on uvloop where there is one: its loop answers about a third faster."""
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _practice() -> tuple[Any, tuple[tuple[str, int | None], ...]]:
    """The practice service, and what modules must be allowed to call for it."""
    from millrace.practice import start

    practice = await start()
    ports = (practice.port, practice.smtp_port, practice.imap_port)
    return practice, tuple((f"{practice.host}/32", port) for port in ports)


async def _seed(runtime: Any, owner: Any, practice: Any) -> None:
    from millrace.practice.demo import seed

    demo = await seed(runtime, owner, practice)
    click.echo(f"The practice shop is at {practice.url}")
    if demo.webhook_address:
        click.echo(f"Send orders to {demo.webhook_address}")
