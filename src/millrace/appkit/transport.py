"""The network part of the HTTP client: guarded sockets, pooled connections, TLS.

Replaced as a whole by cases and tests; everything that has a policy of its own (redirects, retries,
signing, sizes) is above, in ``http.py``.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from millrace.appkit.guard import CONNECT_SECONDS, Guard
from millrace.errors import ConnectionFailure, InvalidConfigurationError, ModuleTimeoutError

Headers = list[tuple[str, str]]

_LARGEST_HEAD_BYTES = 64 * 1024
_MOST_CONNECTIONS = 200
_KEPT_IDLE = 40
_IDLE_SECONDS = 15.0
_MOST_POOLS = 20
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


class Transport(Protocol):
    """Something that carries one request."""

    def send(self, request: Outgoing, /) -> AbstractAsyncContextManager[Incoming]:
        """Send; leaving the context gives the connection back.

        Raises:
            ConnectionFailure: ``detail["sent"]`` says whether the server may have seen the request.
            ModuleTimeoutError: likewise.
            InvalidConfigurationError: the guard refused.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class PooledTransport:
    """HTTP/1.1 over guarded sockets; idle connections are kept for a few seconds and used again."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._pools: OrderedDict[Tls, Any] = OrderedDict()

    def _pool(self, tls: Tls) -> Any:
        pool = self._pools.get(tls)
        if pool is None:
            import httpcore2

            pool = httpcore2.AsyncConnectionPool(
                ssl_context=_ssl_context(tls),
                max_connections=_MOST_CONNECTIONS,
                max_keepalive_connections=_KEPT_IDLE,
                keepalive_expiry=_IDLE_SECONDS,
                network_backend=_backend(self._guard),
            )
            if len(self._pools) >= _MOST_POOLS:
                # Dropped, not closed: whoever is using it finishes, its sockets go with it.
                self._pools.popitem()
            self._pools[tls] = pool
        return pool

    @asynccontextmanager
    async def send(self, request: Outgoing, /) -> AsyncIterator[Incoming]:
        """See `Transport.send`."""
        import httpcore2

        url = request.url
        host = url.host
        seconds = request.timeout_seconds
        connect = min(CONNECT_SECONDS, seconds)
        is_sent = False
        try:
            async with self._pool(request.tls).stream(
                request.method,
                httpcore2.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=[(name.encode(), value.encode()) for name, value in request.headers],
                content=None
                if request.body == b"" and request.method in _BODILESS
                else request.body,
                extensions={
                    "timeout": {
                        "connect": connect,
                        "read": seconds,
                        "write": seconds,
                        "pool": seconds,
                    }
                },
            ) as answer:
                is_sent = True
                headers = [
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in answer.headers
                ]
                if sum(len(name) + len(value) for name, value in headers) > _LARGEST_HEAD_BYTES:
                    raise ConnectionFailure(
                        f"{host} answered with headers of more than 64 KB", detail={"sent": True}
                    )
                yield Incoming(
                    status=answer.status, headers=headers, body=answer.aiter_stream().__aiter__()
                )
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise ConnectionFailure(_unreachable(host, error), detail={"sent": False}) from error
        except httpcore2.PoolTimeout as error:
            raise ModuleTimeoutError(
                f"{host} was not asked: too many requests are under way", detail={"sent": False}
            ) from error
        except httpcore2.TimeoutException as error:
            raise ModuleTimeoutError(
                f"{host} did not answer within {seconds:g} seconds", detail={"sent": True}
            ) from error
        except httpcore2.LocalProtocolError as error:
            raise InvalidConfigurationError(
                f"the request to {host} cannot be written as HTTP: {error}"
            ) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            where = "in the middle of its answer" if is_sent else "without an answer"
            raise ConnectionFailure(
                f"{host} closed the connection {where}", detail={"sent": True}
            ) from error

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()


def _backend(guard: Guard) -> Any:
    """A network backend that asks the guard before it opens a socket."""
    import httpcore2

    sockets: Any = httpcore2.AnyIOBackend()

    class GuardedBackend(httpcore2.AsyncNetworkBackend):
        async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
            addresses = await guard.resolve(host, port)
            last = len(addresses) - 1
            for index, address in enumerate(addresses):
                try:
                    return await sockets.connect_tcp(address, port, *args, **options)
                except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                    if index == last:
                        raise
            raise AssertionError  # a name that resolves has at least one address

        async def connect_unix_socket(self, *args: Any, **options: Any) -> Any:
            raise InvalidConfigurationError("sockets of this machine may not be called")

    return GuardedBackend()


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
