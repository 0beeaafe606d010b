"""Where the outside begins: which addresses may be called.

The rule is about addresses, not names: every name is resolved, *every* address it has must pass,
and the socket is opened to one that passed: a name cannot mean something else a moment later.
Spellings (``127.1``, ``0x7f.1``, octal, circled digits) need no rule of their own for that reason.

``ipaddress.is_global`` is not enough: it calls NAT64- and 6to4-wrapped private addresses, multicast
and some metadata addresses global (measured on CPython 3.11.7). So IPv4 is what stands in no
special-use list, and IPv6 is ``2000::/3`` without its special parts.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence

from millrace.errors import ConnectionFailure, InvalidConfigurationError

IPv4or6 = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WEB_PORTS = frozenset({80, 443, 8080, 8443})
MAIL_PORTS = frozenset({25, 465, 587, 2525, 143, 993})
CONNECT_SECONDS = 5.0

# Source: https://www.iana.org/assignments/iana-ipv4-special-registry, read 2026-11-21;
# 168.63.129.16 is Azure's host channel, public in form only.
_REFUSED_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24"),
            *("192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",
        ),
    )
)
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
# Source: https://www.iana.org/assignments/iana-ipv6-special-registry, read 2026-11-21.
_REFUSED_6 = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
_NEVER = frozenset(
    map(
        ipaddress.ip_address,
        (
            *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200"),
            *("168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
        ),
    )
)
"""Metadata services of the clouds: they hand out the machine's own credentials."""


class Guard:
    """Decides which addresses may be called.

    Args:
        allow: Networks that may be called though they are private, each with one port or None for
            every port: ``[("127.0.0.1/32", 8025)]``. Cloud metadata addresses are refused even so.
        ports: Ports that may be called at public addresses; None: every port.

    Connections are pooled per installation, so one guard holds for everyone who shares a client.
    """

    def __init__(
        self,
        *,
        allow: Iterable[tuple[str, int | None]] = (),
        ports: Iterable[int] | None = WEB_PORTS,
    ) -> None:
        self._allow: tuple[tuple[_Network, int | None], ...] = tuple(
            (ipaddress.ip_network(network, strict=False), port) for network, port in allow
        )
        self._ports = None if ports is None else frozenset(ports)

    def at_ports(self, ports: Iterable[int] | None) -> Guard:
        """The same guard for another kind of service, whose public ports are others."""
        guard = Guard(ports=ports)
        guard._allow = self._allow
        return guard

    def is_allowed(self, address: IPv4or6, port: int) -> bool:
        """Whether a socket to this address and port may be opened."""
        if address.version == 6 and (address.scope_id or address.ipv4_mapped):
            return False
        if address in _NEVER:
            return False
        for network, only in self._allow:
            if address.version == network.version and address in network and only in (None, port):
                return True
        if self._ports is not None and port not in self._ports:
            return False
        if isinstance(address, ipaddress.IPv4Address):
            return not any(address in network for network in _REFUSED_4)
        return address in _GLOBAL_6 and not any(address in network for network in _REFUSED_6)

    def choose(self, host: str, port: int, addresses: Sequence[str]) -> list[str]:
        """The addresses that a name has, when all of them pass.

        Raises:
            InvalidConfigurationError: one is refused. The text is the same whatever the reason, so
                that nobody can map a network with it.
        """
        for text in addresses:
            if not self.is_allowed(ipaddress.ip_address(text), port):
                raise InvalidConfigurationError(
                    f"{host}, port {port}, may not be called from here: only public addresses on "
                    "the usual ports. Whoever runs this installation can allow more."
                )
        return list(addresses)

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses to connect to, in order of preference.

        Raises:
            ConnectionFailure: there is no such name.
            InvalidConfigurationError: it may not be called.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:
            raise _no_such_name(host) from error
        return self.choose(host, port, _addresses(found))


class GuardedDialer:
    """The same guard for protocols that are not HTTP (SMTP, IMAP)."""

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard or Guard(ports=MAIL_PORTS)

    def check(self, host: str, port: int) -> str:
        """The address to connect to; the name stays what TLS is checked against. Blocks for DNS.

        Raises:
            ConnectionFailure: there is no such name.
            InvalidConfigurationError: it may not be called.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise _no_such_name(host) from error
        return self._guard.choose(host, port, _addresses(found))[0]


def _addresses(found: Iterable[tuple]) -> list[str]:
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _no_such_name(host: str) -> ConnectionFailure:
    return ConnectionFailure(
        f"there is no server called {host[:100]}; check the address", detail={"sent": False}
    )
