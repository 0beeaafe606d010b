"""The network part of the HTTP client: guarded sockets, pooled connections, TLS.

Replaced as a whole by cases and tests; everything that has a policy of its own (redirects, retries,
signing, sizes) is above, in ``http.py``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from millrace.appkit.guard import CONNECT_SECONDS, Guard
from millrace.errors import ConnectionFailure, InvalidConfigurationError

Headers = list[tuple[str, str]]

_LARGEST_HEAD_BYTES = 64 * 1024
_MOST_CONNECTIONS = 500
"""In use at a time; who comes later waits, within the time of the request."""

_IDLE_SECONDS = 15.0
_MOST_CONTEXTS = 100
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
"""Without a body they are sent without a Content-Length; some servers refuse a zero there."""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How a server proves who it is, and how we do."""

    verify: bool = True
    ca: str | None = None
    """PEM: trusted besides the authorities of the system."""

    certificate: str | None = None
    """PEM: our certificate and its key, for servers that ask for one."""

    def __repr__(self) -> str:
        return "Tls(…)"


PLAIN_TLS = Tls()


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A request as it goes over the wire."""

    method: str
    url: Any
    """An ``httpx2.URL``: parsed once, and this object is what is connected to."""

    headers: Headers
    body: bytes | AsyncIterable[bytes] = b""
    tls: Tls = PLAIN_TLS
    timeout_seconds: float = 40


@dataclass(kw_only=True)
class Incoming:
    """The head of an answer, and its body as it came."""

    status: int
    headers: Headers
    body: AsyncIterator[bytes]


_Key = tuple[str, str, int | None, Tls]


class Transport(Protocol):
    """Something that carries one request."""

    def send(self, request: Outgoing, /) -> AbstractAsyncContextManager[Incoming]:
        """Send; leaving the context gives the connection back.

        Raises:
            ConnectionFailure: ``detail["sent"]`` says whether the server may have seen the request.
                InvalidConfigurationError: the guard refused.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class PooledTransport:
    """HTTP/1.1 over guarded sockets; idle connections are kept for a few seconds and used again.

    httpcore2 speaks the protocol; which connection is used is decided here, because its own pool
    looks at every connection for every request (measured: a third of the time with 50 at once).
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._sockets: Any = None
        self._contexts: OrderedDict[Tls, ssl.SSLContext] = OrderedDict()
        self._idle: dict[_Key, list[Any]] = {}
        self._slots = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._sweep_at = 0.0

    async def _idle_connection(self, key: _Key) -> Any:
        """A connection to the origin that is still open, the one used last first."""
        waiting = self._idle.get(key)
        while waiting:
            connection = waiting.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _new_connection(self, url: Any, tls: Tls, connect_seconds: float) -> Any:
        import httpcore2

        if self._sockets is None:
            from millrace.appkit.sockets import GuardedBackend

            self._sockets = GuardedBackend(self._guard)
        host, is_secure = url.raw_host.decode(), url.scheme == "https"
        port = url.port or (443 if is_secure else 80)
        context = self._context(tls) if is_secure else None
        stream = await self._sockets.connect_tcp(host, port, connect_seconds)
        if context is not None:
            stream = await stream.start_tls(context, host, connect_seconds)
        return httpcore2.AsyncHTTP11Connection(
            origin=httpcore2.Origin(url.raw_scheme, url.raw_host, port),
            stream=stream,
            keepalive_expiry=_IDLE_SECONDS,
        )

    async def _ask(self, key: _Key, request: Outgoing) -> tuple[Any, Any]:
        """The connection and the head of the answer."""
        import httpcore2

        written = _written(request)
        connection = await self._idle_connection(key)
        if connection is not None:
            try:
                return connection, await connection.handle_async_request(written)
            except (httpcore2.NetworkError, httpcore2.RemoteProtocolError):
                # The server closed it at the same moment. What changes nothing is asked again;
                # of the rest nobody knows whether it arrived.
                if request.method not in _SAFE or not isinstance(request.body, bytes):
                    raise
        connection = await self._new_connection(
            request.url, request.tls, min(CONNECT_SECONDS, request.timeout_seconds)
        )
        return connection, await connection.handle_async_request(written)

    async def _give_back(self, key: _Key, connection: Any) -> None:
        """Keep a connection whose answer was read to its end; close any other."""
        if connection.is_idle():
            self._idle.setdefault(key, []).append(connection)
        elif not connection.is_closed():
            await connection.aclose()
        now = asyncio.get_running_loop().time()
        if now < self._sweep_at:
            return
        self._sweep_at = now + _IDLE_SECONDS
        for origin, waiting in list(self._idle.items()):
            fresh = [one for one in waiting if not one.has_expired()]
            for one in set(waiting) - set(fresh):
                await one.aclose()
            if fresh:
                self._idle[origin] = fresh
            else:
                del self._idle[origin]

    def _context(self, tls: Tls) -> ssl.SSLContext:
        """Made once: reading the authorities of the system takes 20 ms."""
        context = self._contexts.get(tls)
        if context is None:
            context = self._contexts[tls] = _ssl_context(tls)
            while len(self._contexts) > _MOST_CONTEXTS:
                self._contexts.popitem(last=False)
        return context

    @asynccontextmanager
    async def send(self, request: Outgoing, /) -> AsyncIterator[Incoming]:
        """See `Transport.send`."""
        import httpcore2

        host = request.url.host
        key = (request.url.scheme, host, request.url.port, request.tls)
        connection = answer = None
        try:
            async with self._slots:
                connection, answer = await self._ask(key, request)
                headers = [
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in answer.headers
                ]
                if sum(len(name) + len(value) for name, value in headers) > _LARGEST_HEAD_BYTES:
                    raise ConnectionFailure(
                        f"{host} answered with headers of more than 64 KB", detail={"sent": True}
                    )
                try:
                    yield Incoming(status=answer.status, headers=headers, body=_pieces(answer))
                finally:
                    await answer.aclose()
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise ConnectionFailure(_unreachable(host, error), detail={"sent": False}) from error
        except httpcore2.LocalProtocolError as error:
            raise InvalidConfigurationError(
                f"the request to {host} cannot be written as HTTP: {error}"
            ) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            where = "in the middle of its answer" if answer else "without an answer"
            raise ConnectionFailure(
                f"{host} closed the connection {where}", detail={"sent": True}
            ) from error
        finally:
            if connection is not None:
                await self._give_back(key, connection)

    async def aclose(self) -> None:
        """Close every connection."""
        for waiting in self._idle.values():
            for connection in waiting:
                await connection.aclose()
        self._idle.clear()


def _written(request: Outgoing) -> Any:
    """The request as httpcore2 takes it."""
    import httpcore2

    url = request.url
    headers = [(b"Host", url.netloc)]
    headers += [(name.encode(), value.encode()) for name, value in request.headers]
    body: Any = request.body
    if isinstance(body, bytes) and (body or request.method not in _BODILESS):
        headers.append((b"Content-Length", str(len(body)).encode()))
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=headers,
        content=body,
    )


async def _pieces(answer: Any) -> AsyncIterator[bytes]:
    async for piece in answer.stream:
        yield piece


def _ssl_context(tls: Tls) -> ssl.SSLContext:
    import httpcore2

    try:
        if not tls.verify:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif tls.ca:
            context = ssl.create_default_context()
            context.load_verify_locations(cadata=tls.ca)
        else:
            context = httpcore2.default_ssl_context()
        if tls.certificate:
            _load_certificate(context, tls.certificate)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidConfigurationError(
            "the certificate cannot be read; it must be PEM, with its key when it is ours"
        ) from error
    return context


def _load_certificate(context: ssl.SSLContext, pem: str) -> None:
    """Load our certificate; the ssl module reads it from a file only."""
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)


def _unreachable(host: str, error: BaseException) -> str:
    """What a person can do about a server that cannot be reached."""
    cause: BaseException | None = error
    seen = 0
    while cause is not None and seen < 8:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{host} has a certificate that cannot be trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"{host} and we found no common way to encrypt: {cause.reason or 'TLS error'}"
        if isinstance(cause, ConnectionRefusedError):
            return f"{host} refuses connections; is the service running?"
        cause = (
            cause.__cause__
            or cause.__context__
            or (cause.args[0] if cause.args and isinstance(cause.args[0], BaseException) else None)
        )
        seen += 1
    return f"{host} cannot be reached"
