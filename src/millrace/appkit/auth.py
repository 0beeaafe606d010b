"""Connections: how a request is signed, and where a secret may go.

A connection is bound to hosts. Its secrets are added to a request only when the address it is
really sent to is one of them: not on a redirect to elsewhere, not to a page address that a service
made up. Nothing here puts a secret into a message or a representation.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from millrace.appkit.http import BoundHttp, HttpClient
from millrace.appkit.manifest import ConnectionManifest
from millrace.appkit.render import render
from millrace.appkit.transport import Headers
from millrace.clock import Clock
from millrace.errors import ConnectionFailure, InvalidAccessTokenError, InvalidConfigurationError

Query = list[tuple[str, str]]
_EARLY = timedelta(seconds=60)
"""A token is renewed this long before it expires: clocks differ, and requests take time."""


class Connection:
    """One connection, opened: signs requests; see ``http.Signer``.

    Args:
        manifest: Its type.
        fields: What the owner typed, secrets in plain.
        app: For messages.
    """

    def __init__(
        self, manifest: ConnectionManifest, fields: Mapping[str, Any], *, app: str = ""
    ) -> None:
        self._manifest = manifest
        self._fields = filled_fields(manifest, fields)
        self._app = app
        self.hosts = hosts_of(manifest, self._fields)

    def __repr__(self) -> str:
        return f"<Connection {self._manifest.type} of {self._app}>"

    def may_sign(self, url: Any) -> bool:
        """Whether its secrets may go to this address."""
        host = _plain_host(url.raw_host.decode("ascii"))
        port = url.port or (443 if url.scheme == "https" else 80)
        return any(matches_host(pattern, host, port) for pattern in self.hosts)

    async def sign(self, method: str, url: Any) -> tuple[Headers, Query]:
        """Headers and query pairs to be added."""
        headers, query = self._own(self._manifest.type)
        if self._manifest.sign is not None:
            names = {"connection": self._fields}
            for target, templates in (
                (headers, self._manifest.sign.headers),
                (query, self._manifest.sign.query),
            ):
                for name, template in templates.items():
                    value = render(template, names)
                    if value not in (None, ""):
                        target.append((name, str(value)))
        return [(name, _one_line(value)) for name, value in headers], query

    def _own(self, kind: str) -> tuple[Headers, Query]:
        if kind == "basic":
            pair = f"{self._text('username')}:{self._text('password')}".encode()
            return [("Authorization", f"Basic {base64.b64encode(pair).decode()}")], []
        if kind == "bearer":
            return [("Authorization", f"Bearer {self._needed('token')}")], []
        if kind == "api_key":
            name = self._text("name") or "X-API-Key"
            prefix = self._text("prefix")
            key = self._needed("key")
            value = f"{prefix} {key}" if prefix else key
            if self._text("placement") == "query":
                return [], [(name, value)]
            return [(name, value)], []
        return [], []

    def _text(self, name: str) -> str:
        return str(self._fields.get(name) or "")

    def _needed(self, name: str) -> str:
        value = self._text(name)
        if not value:
            raise InvalidConfigurationError(f"the connection has no {name}; fill it in again")
        return value

    async def renew(self) -> bool:
        """There is nothing to renew in a connection that is typed in."""
        return False


@dataclass(kw_only=True)
class _Token:
    value: str = field(repr=False)
    expires_at: datetime | None


class Tokens:
    """Access tokens of this process, by connection. Fetched once however many ask at a time."""

    def __init__(self) -> None:
        self._kept: dict[str, _Token] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def forget(self, connection_id: str) -> None:
        """The connection was changed or removed."""
        self._kept.pop(connection_id, None)
        self._locks.pop(connection_id, None)

    def kept(self, connection_id: str, now: datetime) -> _Token | None:
        """A token that is good for at least another minute."""
        token = self._kept.get(connection_id)
        if token is None or (token.expires_at is not None and token.expires_at - _EARLY <= now):
            return None
        return token

    def keep(self, connection_id: str, token: _Token) -> None:
        """Keep a token."""
        self._kept[connection_id] = token

    def drop(self, connection_id: str, value: str | None) -> None:
        """A service refused this token; a newer one stays."""
        token = self._kept.get(connection_id)
        if token is not None and token.value == value:
            del self._kept[connection_id]

    def lock(self, connection_id: str) -> asyncio.Lock:
        """Held while a token is fetched."""
        return self._locks.setdefault(connection_id, asyncio.Lock())


class ClientCredentials(Connection):
    """OAuth 2.0 client credentials: a token is fetched when it is needed and kept until it expires.

    Source: RFC 6749, section 4.4, read 2026-11-21.
    """

    def __init__(
        self,
        manifest: ConnectionManifest,
        fields: Mapping[str, Any],
        *,
        app: str = "",
        connection_id: str,
        tokens: Tokens,
        http: BoundHttp,
        clock: Clock,
    ) -> None:
        super().__init__(manifest, fields, app=app)
        self._id = connection_id
        self._tokens = tokens
        self._http = http
        self._clock = clock
        self._used: str | None = None

    async def sign(self, method: str, url: Any) -> tuple[Headers, Query]:
        """The token as a bearer token."""
        headers, query = await super().sign(method, url)
        token = await self._token()
        self._used = token.value
        return [*headers, ("Authorization", f"Bearer {_one_line(token.value)}")], query

    async def renew(self) -> bool:
        """Fetch another token, unless somebody else just did."""
        self._tokens.drop(self._id, self._used)
        await self._token()
        return True

    async def _token(self) -> _Token:
        token = self._tokens.kept(self._id, self._clock.now())
        if token is not None:
            return token
        async with self._tokens.lock(self._id):
            token = self._tokens.kept(self._id, self._clock.now())
            if token is None:
                token = await self._fetch()
                self._tokens.keep(self._id, token)
        return token

    async def _fetch(self) -> _Token:
        source = self._manifest.token
        names = {"connection": self._fields}
        url = str(render(source.url if source else "{{connection.token_url}}", names) or "")
        form = {"grant_type": "client_credentials"}
        scope = self._text("scope") or (source.scope if source else "")
        if isinstance(scope, str) and scope:
            form["scope"] = str(render(scope, names))
        headers: Headers = []
        identity, secret = self._needed("client_id"), self._needed("client_secret")
        if (source is not None and source.in_body) or self._fields.get("in_body"):
            form |= {"client_id": identity, "client_secret": secret}
        else:
            from urllib.parse import quote

            pair = f"{quote(identity, safe='')}:{quote(secret, safe='')}".encode()
            headers.append(("Authorization", f"Basic {base64.b64encode(pair).decode()}"))
        answer = await self._http.request(
            "POST",
            url,
            headers=[*headers, ("Accept", "application/json")],
            form=form,
            follow_redirects=False,
            max_bytes=1024 * 1024,
            is_signed=False,
        )
        if answer.status in (429, 500, 502, 503, 504):
            raise ConnectionFailure(
                f"the service that gives access tokens is not available ({answer.status})",
                detail={"sent": False},
            )
        token = self._read_token(answer) if answer.status < 300 else None
        if token is None:
            raise InvalidAccessTokenError(
                f"no access token was given for this connection (status {answer.status}); "
                "check the client id, the client secret and the scope"
            )
        return token

    def _read_token(self, answer: Any) -> _Token | None:
        from millrace.errors import DataError

        try:
            body = answer.json()
        except DataError:
            return None
        if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
            return None
        seconds = body.get("expires_in")
        try:
            lasts = timedelta(seconds=float(seconds)) if seconds is not None else None
        except (TypeError, ValueError, OverflowError):
            lasts = None
        return _Token(
            value=body["access_token"], expires_at=self._clock.now() + lasts if lasts else None
        )


def open_connection(
    manifest: ConnectionManifest,
    fields: Mapping[str, Any],
    *,
    app: str,
    connection_id: str,
    client: HttpClient,
    tokens: Tokens,
) -> Connection:
    """A connection ready to sign.

    Args:
        manifest: Its type.
        fields: What the owner typed, secrets in plain.
        app: Name of the app whose connection it is.
        connection_id: Under which its tokens are kept; `Tokens.forget` it when its fields change.
        client: For fetching tokens.
        tokens: Where they are kept.
    """
    if manifest.type == "oauth2_client_credentials":
        return ClientCredentials(
            manifest,
            fields,
            app=app,
            connection_id=connection_id,
            tokens=tokens,
            http=client.bind(),
            clock=client.clock,
        )
    return Connection(manifest, fields, app=app)


def filled_fields(manifest: ConnectionManifest, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What ``call.connection`` is: as typed by the owner, with defaults for what was left empty."""
    defaults = {
        parameter.name: parameter.default
        for parameter in manifest.fields
        if parameter.default is not None
    }
    return defaults | {name: value for name, value in fields.items() if value is not None}


def hosts_of(manifest: ConnectionManifest, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the secrets of a connection may go; see `matches_host` for what each can say."""
    found: list[str] = []
    for template in manifest.hosts:
        value = render(template, {"connection": dict(fields)})
        for one in value if isinstance(value, list) else [value]:
            found += str(one or "").replace(",", " ").split()
    return tuple(_plain_host(host) for host in found)


def matches_host(pattern: str, host: str, port: int) -> bool:
    """``api.example.com``, ``*.example.com`` (below it, not itself), either with ``:port``."""
    name, colon, digits = pattern.rpartition(":")
    if colon and digits.isdigit() and not name.endswith(":"):
        if int(digits) != port:
            return False
        pattern = name
    pattern = pattern.strip("[]")
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1 and "." in pattern[2:]
    return bool(pattern) and host == pattern


def _plain_host(host: str) -> str:
    """Lower case, without a final dot, without scheme and path, names of other scripts as IDNA."""
    text = host.strip().lower().rstrip(".")
    if "://" in text:
        text = text.partition("://")[2]
    text = text.partition("/")[0]
    if text.isascii():
        return text
    import idna

    star, rest = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        return star + idna.encode(rest, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""


def _one_line(value: str) -> str:
    if any(character in value for character in "\r\n\x00"):
        raise InvalidConfigurationError("a field of the connection holds a line break")
    return value


def secret_values(manifest: ConnectionManifest, fields: Mapping[str, Any]) -> list[str]:
    """The texts that must never be stored or shown, for the redactor."""
    return [
        str(fields[parameter.name])
        for parameter in manifest.fields
        if parameter.secret and fields.get(parameter.name)
    ]
