"""A service that answers what a case says, and insists on being asked as the case says."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from millrace.appkit.manifest import Exchange
from millrace.appkit.messages import joined_headers
from millrace.appkit.transport import Headers, Incoming, Outgoing
from millrace.errors import ManifestInvalid

_REQUEST_KEYS = {"method", "url", "path", "headers", "query", "json", "form", "text", "base64"}
_RESPONSE_KEYS = {"status", "headers", "json", "text", "base64"}


class ExchangeDiffers(AssertionError):
    """A module asked something else than its case expects."""


class ExchangeService:
    """The `Transport` of a case: exchanges in order, nothing else."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        for exchange in exchanges:
            for given, known in (
                (exchange.request, _REQUEST_KEYS),
                (exchange.response, _RESPONSE_KEYS),
            ):
                if unknown := set(given) - known:
                    raise ManifestInvalid(f"exchange: unknown key {min(unknown)}")
        self._left = list(exchanges)

    @property
    def unused(self) -> list[str]:
        """The requests that were expected and did not come."""
        return [
            f"{exchange.request.get('method', 'GET')} "
            f"{exchange.request.get('url') or exchange.request.get('path', '')}"
            for exchange in self._left
        ]

    @asynccontextmanager
    async def send(self, request: Outgoing, /) -> AsyncIterator[Incoming]:
        """Compare with the next exchange and give its answer."""
        content = await _content(request)
        shown = f"{request.method} {request.url}"
        if not self._left:
            raise ExchangeDiffers(f"the case expects no further request, got {shown}")
        exchange = self._left.pop(0)
        found = _differences(exchange.request, request, content)
        if found:
            raise ExchangeDiffers(f"{shown}\n" + "\n".join(found))
        yield _answer(exchange.response)

    async def aclose(self) -> None:
        """Nothing is open."""


async def _content(request: Outgoing) -> bytes:
    if isinstance(request.body, bytes):
        return request.body
    return b"".join([piece async for piece in request.body])


def _differences(expected: Mapping[str, Any], request: Outgoing, content: bytes) -> list[str]:
    found: list[str] = []

    def hold(what: str, wanted: Any, got: Any) -> None:
        if wanted != got:
            found.append(f"  {what}: expected {wanted!r}, got {got!r}")

    url = str(request.url)
    parts = urlsplit(url)
    hold("method", expected.get("method", "GET").upper(), request.method)
    if "url" in expected:
        wanted = expected["url"]
        hold("url", wanted, url if "?" in wanted or "query" not in expected else url.split("?")[0])
    if "path" in expected:
        target = f"{parts.path}?{parts.query}" if "?" in expected["path"] else parts.path
        hold("path", expected["path"], target)
    if "query" in expected:
        given = parse_qsl(parts.query, keep_blank_values=True)
        hold("query", _texts(expected["query"]), _collected(given))
    headers = joined_headers(request.headers)
    for name, value in (expected.get("headers") or {}).items():
        hold(f"header {name}", None if value is None else str(value), headers.get(name.lower()))
    if "json" in expected:
        try:
            hold("json", expected["json"], msgspec.json.decode(content))
        except msgspec.DecodeError:
            found.append(f"  json: expected {expected['json']!r}, got no JSON: {content[:200]!r}")
    if "form" in expected:
        given = parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True)
        hold("form", _texts(expected["form"]), _collected(given))
    if "text" in expected:
        hold("text", expected["text"], content.decode("utf-8", "replace"))
    if "base64" in expected:
        hold("body", base64.b64decode(expected["base64"]), content)
    return found


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [str(one) for one in value] if isinstance(value, list) else str(value)
        for name, value in values.items()
    }


def _collected(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    collected: dict[str, Any] = {}
    for name, value in pairs:
        if name not in collected:
            collected[name] = value
        elif isinstance(collected[name], list):
            collected[name].append(value)
        else:
            collected[name] = [collected[name], value]
    return collected


def _answer(response: Mapping[str, Any]) -> Incoming:
    headers: Headers = []
    for name, value in (response.get("headers") or {}).items():
        headers += [(name, str(one)) for one in (value if isinstance(value, list) else [value])]
    content, media_type = b"", None
    if "json" in response:
        content, media_type = msgspec.json.encode(response["json"]), "application/json"
    elif "text" in response:
        content, media_type = str(response["text"]).encode(), "text/plain; charset=utf-8"
    elif "base64" in response:
        content, media_type = base64.b64decode(response["base64"]), "application/octet-stream"
    if media_type and "content-type" not in {name.lower() for name, _ in headers}:
        headers.append(("Content-Type", media_type))

    async def body() -> AsyncIterator[bytes]:
        if content:
            yield content

    return Incoming(status=int(response.get("status", 200)), headers=headers, body=body())
