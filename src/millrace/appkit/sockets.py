"""Guarded sockets for the connection pool: asyncio's own streams behind the pool's interface.

The guard stands here, below everything that knows URLs: whatever is asked for, redirects included,
is resolved, held against the guard, and connected to by address. The name stays what TLS checks.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore2

from millrace.appkit.guard import Guard
from millrace.errors import InvalidConfigurationError


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens sockets to addresses that the guard lets pass."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 the interface of httpcore2
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A socket to the first address that answers; all of them must pass."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._guard.resolve(host, port)
                return await self._first(addresses, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("no answer") from error

    async def _first(self, addresses: list[str], port: int) -> Stream:
        failed: OSError | None = None
        for address in addresses:
            try:
                reader, writer = await asyncio.open_connection(address, port)
            except OSError as error:
                failed = failed or error
            else:
                return Stream(reader, writer)
        raise httpcore2.ConnectError("cannot connect") from failed

    async def connect_unix_socket(self, *args: Any, **options: Any) -> Any:
        """Refused: sockets of this machine are not outside."""
        raise InvalidConfigurationError("sockets of this machine may not be called")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Stream(httpcore2.AsyncNetworkStream):
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """What has come; empty at the end."""
        try:
            return await self._reader.read(max_bytes)
        except (OSError, ssl.SSLError) as error:
            raise httpcore2.ReadError("the connection broke") from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send; waits while the other side is slow."""
        if not buffer:
            return
        try:
            self._writer.write(buffer)
            await self._writer.drain()
        except (OSError, ssl.SSLError) as error:
            raise httpcore2.WriteError("the connection broke") from error

    async def aclose(self) -> None:
        """Close, without waiting for the other side."""
        # abort, not close: nothing is left to be sent, and a TLS peer could let us wait.
        self._writer.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        """Encrypt from here on."""
        try:
            async with asyncio.timeout(timeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except TimeoutError as error:
            await self.aclose()
            raise httpcore2.ConnectTimeout("no answer") from error
        except (OSError, ssl.SSLError) as error:
            await self.aclose()
            raise httpcore2.ConnectError("no TLS") from error
        except BaseException:
            await self.aclose()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        """What the pool wants to know; ``is_readable`` means that an idle connection is gone."""
        if info == "is_readable":
            return self._is_gone()
        names = {"ssl_object": "ssl_object", "socket": "socket"}
        names |= {"client_addr": "sockname", "server_addr": "peername"}
        return self._writer.get_extra_info(names[info]) if info in names else None

    def _is_gone(self) -> bool:
        if self._reader.at_eof() or self._writer.is_closing():
            return True
        open_socket: socket.socket | None = self._writer.get_extra_info("socket")
        if open_socket is None or open_socket.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(open_socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))
