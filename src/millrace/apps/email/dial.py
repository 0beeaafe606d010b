"""How this app reaches a server: the guarded address, and TLS that still asks for the name."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from millrace.appkit import Call
from millrace.errors import InvalidConfigurationError

SMTP_PORTS = {"tls": 465, "starttls": 587, "none": 25}
IMAP_PORTS = {"tls": 993, "starttls": 143, "none": 143}


@dataclass(frozen=True, kw_only=True)
class Server:
    """One server as a connection describes it."""

    host: str
    port: int
    security: str
    """``tls``, ``starttls`` or ``none``."""

    user: str
    password: str
    tls: ssl.SSLContext | None
    """Checks the certificate for `host`, whatever address the socket was opened to."""

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.host}:{self.port}"

    def address(self, call: Call) -> str:
        """Where to connect; asks the name server, so it blocks.

        Raises:
            InvalidConfigurationError: the guard refuses it.
        """
        return call.dialer.check(self.host, self.port)


def smtp_server(connection: Mapping[str, Any] | None) -> Server:
    """The sending side of an ``smtp`` connection."""
    return _server(connection or {}, "", SMTP_PORTS)


def imap_server(connection: Mapping[str, Any] | None) -> Server:
    """The mailbox of an ``imap`` connection, or the one beside an ``smtp`` connection.

    Raises:
        InvalidConfigurationError: the connection names no IMAP server.
    """
    given = connection or {}
    return _server(given, "imap_" if "imap_host" in given else "", IMAP_PORTS)


def _server(given: Mapping[str, Any], prefix: str, ports: Mapping[str, int]) -> Server:
    host = str(given.get(f"{prefix}host") or "").strip()
    security = given.get(f"{prefix}security") or "tls"
    if not host:
        raise InvalidConfigurationError("Email: the connection names no server.")
    if security not in ports:
        raise InvalidConfigurationError("Email: the encryption must be tls, starttls or none.")
    return Server(
        host=host,
        port=int(given.get(f"{prefix}port") or ports[security]),
        security=security,
        user=str(given.get("user") or ""),
        password=str(given.get("password") or ""),
        tls=None if security == "none" else _context(host, str(given.get("ca") or "")),
    )


class _Named(ssl.SSLContext):
    """A TLS context that asks for one name.

    The libraries pass on what they connected to, which is the address that the guard allowed; the
    certificate must be for the name that the owner of the connection typed.
    """

    name: str

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        options["server_hostname"] = self.name
        return super().wrap_socket(*args, **options)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        options["server_hostname"] = self.name
        return super().wrap_bio(*args, **options)


# Reading the machine's authorities takes about 20 ms, so a context is kept per server.
@lru_cache(maxsize=64)
def _context(host: str, ca: str) -> ssl.SSLContext:
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.name = host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if ca:
            context.load_verify_locations(cadata=ca)
        else:
            context.load_default_certs()
    except (ssl.SSLError, ValueError) as error:
        raise InvalidConfigurationError(
            "Email: the certificate authority of the connection is not PEM text."
        ) from error
    return context
