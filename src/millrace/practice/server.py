"""Start and stop the practice service on ports of its own."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from millrace.clock import Clock, SystemClock
from millrace.practice.app import PASSWORD, USER, create_app
from millrace.practice.imap import ImapServer
from millrace.practice.mail import Mail
from millrace.practice.shop import Shop
from millrace.practice.smtp import SmtpServer
from millrace.practice.switches import Switches

_Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_BUFFER_BYTES = 1024 * 1024
"""Longest line of SMTP or IMAP that is read at once."""


class Practice:
    """A running practice service; an async context manager that stops it."""

    def __init__(self, *, host: str, clock: Clock) -> None:
        self.host = host
        self.shop = Shop()
        self.mail = Mail()
        self.app: Switches = create_app(shop=self.shop, mail=self.mail, clock=clock, cut=self._cut)
        self.port = 0
        self.smtp_port = 0
        self.imap_port = 0
        self.user = USER
        self.password = PASSWORD
        self._smtp = SmtpServer(self.mail, clock=clock, user=USER, password=PASSWORD)
        self._imap = ImapServer(self.mail, clock=clock, user=USER, password=PASSWORD)
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._web = ServerState()

    @property
    def url(self) -> str:
        """Where the web part is, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def __aenter__(self) -> Practice:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def _open(self, port: int, smtp_port: int, imap_port: int) -> None:
        try:
            self.smtp_port = await self._listen(self._smtp.serve, smtp_port)
            self.imap_port = await self._listen(self._imap.serve, imap_port)
            await self._serve_web(port)
        except BaseException:
            await self.stop()
            raise

    async def _listen(self, serve: _Serve, port: int) -> int:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.add(writer)
            try:
                await serve(reader, writer)
            finally:
                self._writers.discard(writer)

        server = await asyncio.start_server(handle, self.host, port, limit=_BUFFER_BYTES)
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def _serve_web(self, port: int) -> None:
        # uvicorn's protocol without its Server, which would take the signals of the whole process.
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, lifespan="off", ws="none"
        )
        config.load()
        make: Any = config.http_protocol_class
        server = await asyncio.get_running_loop().create_server(
            lambda: make(config=config, server_state=self._web, app_state={}), self.host, port
        )
        self._servers.append(server)
        self.port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything, at once and without waiting for clients."""
        for server in self._servers:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for connection in list(self._web.connections):
            connection.transport.abort()
        if self._web.tasks:
            # An aborted request ends as soon as it looks; one that sleeps is not waited for.
            _, sleeping = await asyncio.wait(list(self._web.tasks), timeout=0.1)
            for task in sleeping:
                task.cancel()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def _cut(self, client: tuple[str, int], is_reset: bool) -> None:
        """End the web connection that comes from `client`."""
        connections: list[Any] = list(self._web.connections)
        for connection in connections:
            if tuple(connection.client or ()) != client:
                continue
            if is_reset:
                # A linger time of zero makes the close a reset (socket(7)).
                open_socket = connection.transport.get_extra_info("socket")
                linger = struct.pack("ii", 1, 0)
                open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.transport.abort()
            else:
                connection.transport.close()


async def start(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    smtp_port: int = 0,
    imap_port: int = 0,
    clock: Clock | None = None,
) -> Practice:
    """Run the practice service in this event loop.

    Args:
        host: The address to listen at. Everybody who reaches it may use it: keep it on loopback.
        port: For HTTP; 0 lets the system choose, as for the others. See ``Practice.port``.
        smtp_port: For SMTP.
        imap_port: For IMAP.
        clock: What dates are taken from.

    Raises:
        OSError: a port is taken.
    """
    practice = Practice(host=host, clock=clock or SystemClock())
    await practice._open(port, smtp_port, imap_port)
    return practice
