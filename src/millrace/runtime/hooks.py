"""What a webhook does with a request: admit it, read it into a bundle, answer it.

Everything here is about one request and free of the server: the gateway in ``api/hooks.py`` brings
the bytes and takes the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from millrace.appkit.call import Files
from millrace.appkit.text import charset_of, decode_text, json_loads
from millrace.errors import DataError, ModuleError
from millrace.expressions import coerce
from millrace.expressions.values import Binary
from millrace.runtime.webhooks import HookConfig

MAX_BODY_BYTES = 5 * 1024 * 1024
"""Source: Make's help, webhooks, "maximum payload", read 2026-11-21."""

MAX_PARTS = 1_000
MAX_QUEUE = 10_000
"""Waiting events of one webhook. Source: Make's help, webhook queue."""

REPLY_SECONDS = 180.0
"""How long a caller waits for a response module; then it hears that the event was accepted."""

MAX_DEPTH = 100

ACCEPTED = b"Accepted"

HEADER_NAMES = frozenset(
    {
        "cache-control", "content-disposition", "content-language", "content-type", "etag",
        "expires", "last-modified", "location", "retry-after", "vary", "www-authenticate",
    }
)  # fmt: skip
"""Headers a response module may set, besides ``x-…``: none of them gives power over our origin."""

_EXTENSION = re.compile(r"x-[a-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Refused(Exception):
    """A request is answered with a status and a sentence, and nothing is kept."""

    def __init__(
        self, status: int, message: str, *, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class Buckets:
    """Rate limits: a token bucket per webhook."""

    def __init__(self) -> None:
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, hook: HookConfig, now_seconds: float) -> float:
        """Take a token; answers 0, or the seconds until there is one."""
        requests, seconds = hook.settings.requests, hook.settings.per_seconds
        if not requests:
            return 0.0
        level, at = self._levels.get(hook.id, (float(requests), now_seconds))
        level = min(requests, level + (now_seconds - at) * requests / seconds)
        if level < 1:
            self._levels[hook.id] = (level, now_seconds)
            return (1 - level) * seconds / requests
        self._levels[hook.id] = (level - 1, now_seconds)
        return 0.0


@dataclass(kw_only=True)
class Request:
    """What arrived."""

    method: str
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    client: str = ""

    def header(self, name: bytes) -> bytes:
        """A header by its lower-case name; empty when it is missing."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""


def admit(
    hook: HookConfig | None, request: Request, *, now_seconds: float, buckets: Buckets
) -> HookConfig:
    """Whether the request may come in.

    An unknown, a disabled and an expired address are answered alike: nobody learns which exist.

    Raises:
        Refused: 410, 405, 403 or 429.
    """
    if (
        hook is None
        or not hook.is_enabled
        or (hook.expires_at_ms is not None and hook.expires_at_ms <= now_seconds * 1000)
    ):
        raise Refused(410, "This webhook does not exist (any more).")
    method = hook.settings.method
    if method and request.method != method:
        raise Refused(405, f"This webhook takes {method}.")
    if hook.networks and not is_within(request.client, hook.networks):
        raise Refused(403, "This address may not call the webhook.")
    wait = buckets.take(hook, now_seconds)
    if wait:
        seconds = max(1, round(wait + 0.5))
        raise Refused(429, "Too many requests; slow down.", retry_after_seconds=seconds)
    return hook


def is_within(client: str, networks: Sequence[Network]) -> bool:
    """Whether an address is one of the networks'; what is no address is in none."""
    try:
        address: Address = ip_address(client)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def read_bundle(hook: HookConfig, request: Request, files: Files) -> dict[str, Any]:
    """The bundle that a request becomes.

    Raises:
        Refused: 400, with the reason; the body is never repeated in it.
    """
    bundle: dict[str, Any] = {}
    if request.query:
        bundle.update(_pairs(request.query))
    settings = hook.settings
    if settings.pass_through:
        bundle["value"] = decode_text(request.body)
    elif request.body:
        bundle.update(_read_body(request, files))
    # Whoever learns a structure anew is about to leave the old one behind.
    if settings.structure and not hook.is_learning:
        bundle = hold_structure(settings.structure, bundle, is_strict=settings.is_strict)
    if settings.get_headers:
        bundle["__IMTHEADERS__"] = [
            {"name": name.decode("latin-1"), "value": value.decode("latin-1")}
            for name, value in request.headers
        ]
    if settings.get_method:
        bundle["__IMTMETHOD__"] = request.method
    return bundle


def _read_body(request: Request, files: Files) -> dict[str, Any]:
    declared = request.header(b"content-type")
    kind = declared.partition(b";")[0].strip().lower()
    if kind == b"application/json" or kind.endswith(b"+json"):
        return read_json(request.body)
    if kind == b"application/x-www-form-urlencoded":
        return _pairs(request.body)
    if kind == b"multipart/form-data":
        return _read_parts(request.body, declared, files)
    if kind.startswith(b"text/") or kind in (b"application/xml", b""):
        if not kind and request.body.lstrip()[:1] in (b"{", b"["):
            return read_json(request.body)
        return {"value": decode_text(request.body, charset_of(declared.decode("latin-1")))}
    media_type = kind.decode("latin-1")
    return {"data": files.keep(request.body, name="body", media_type=media_type)}


def read_json(body: bytes) -> dict[str, Any]:
    """A JSON body as a bundle; an array comes under ``array``, anything else under ``value``.

    Raises:
        Refused: 400; it is no JSON, or nested too deeply.
    """
    try:
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
            value = json_loads(decode_text(body))
        else:
            value = _json.decode(body)
    except (msgspec.DecodeError, DataError, UnicodeDecodeError, RecursionError):
        try:
            # A byte-order mark, another Unicode encoding, or truly no JSON: the careful way tells.
            value = json_loads(decode_text(body))
        except ModuleError as error:
            raise Refused(400, f"The body cannot be read: {error.message}") from error
    if value.__class__ is dict:
        return value
    return {"array": value} if isinstance(value, list) else {"value": value}


_json = msgspec.json.Decoder()


def _pairs(encoded: bytes) -> dict[str, Any]:
    """A query or form; a key that comes several times becomes a list."""
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(decode_text(encoded), keep_blank_values=True, max_num_fields=MAX_PARTS)
    except ValueError as error:
        raise Refused(400, f"More than {MAX_PARTS} fields.") from error
    for name, value in pairs:
        _add(values, name, value)
    return values


def _add(values: dict[str, Any], name: str, value: Any) -> None:
    known = values.get(name)
    if known is None:
        values[name] = value
    elif isinstance(known, list):
        known.append(value)
    else:
        values[name] = [known, value]


def _read_parts(body: bytes, declared: bytes, files: Files) -> dict[str, Any]:
    """A multipart form: fields as text, files as ``{name, mime, data}``."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(declared)[1].get(b"boundary")
    if not boundary:
        raise Refused(400, "The multipart body declares no boundary.")
    collected = _Parts()
    try:
        parser = MultipartParser(boundary, collected.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, "The multipart body is broken.") from error
    if not collected.is_ended:
        raise Refused(400, "The multipart body is cut off.")
    bundle: dict[str, Any] = {}
    for part in collected.parts:
        _add(bundle, part.name, part.value(files))
    return bundle


@dataclass(kw_only=True)
class _Part:
    """A part of a multipart body; a file is kept only when the whole body could be read."""

    name: str
    file_name: str | None
    media_type: str
    content: bytes

    def value(self, files: Files) -> Any:
        if self.file_name is None:
            return decode_text(self.content)
        binary = files.keep(self.content, name=self.file_name, media_type=self.media_type)
        return {"name": self.file_name, "mime": self.media_type, "data": binary}


class _Parts:
    """Collects the parts of a multipart body."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.is_ended = False
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._data = bytearray()

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_header_field": self._field,
            "on_header_value": self._value,
            "on_header_end": self._header,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise Refused(413, f"More than {MAX_PARTS} parts.")
        self._headers, self._data = {}, bytearray()
        self._header_name = self._header_value = b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _finish(self) -> None:
        self.is_ended = True

    def _end(self) -> None:
        from python_multipart.multipart import parse_options_header

        options = parse_options_header(self._headers.get(b"content-disposition", b""))[1]
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise Refused(400, "A part of the multipart body has no name.")
        mime = self._headers.get(b"content-type", b"application/octet-stream")
        file_name = None
        if b"filename" in options:
            given = options[b"filename"].decode("utf-8", "replace")
            file_name = given.replace("\\", "/").rpartition("/")[2] or "file"
        part = _Part(
            name=name,
            file_name=file_name,
            media_type=mime.partition(b";")[0].strip().decode("latin-1").lower(),
            content=bytes(self._data),
        )
        self.parts.append(part)


def hold_structure(
    structure: Sequence[Mapping[str, Any]],
    bundle: dict[str, Any],
    *,
    is_strict: bool,
    within: str = "",
) -> dict[str, Any]:
    """A bundle held against a data structure: types coerced, missing fields refused.

    Raises:
        Refused: 400, naming the field by its path: ``lines[2].qty``.
    """
    held = dict(bundle)
    known = {str(spec.get("name")) for spec in structure}
    if is_strict and (extra := sorted(set(bundle) - known)):
        raise Refused(400, f"{within}{extra[0]}: not in the data structure.")
    for spec in structure:
        name = str(spec.get("name"))
        value = held.get(name)
        if value is None:
            if spec.get("required"):
                raise Refused(400, f"{within}{name}: a value is required.")
            if spec.get("default") is not None:
                held[name] = spec["default"]
            continue
        held[name] = _held(spec, value, is_strict=is_strict, path=within + name)
    return held


def _held(spec: Mapping[str, Any], value: Any, *, is_strict: bool, path: str) -> Any:
    """One value held against its field."""
    kind = str(spec.get("type", "any"))
    try:
        value = coerce(value, kind, zone=UTC)
    except ModuleError as error:
        raise Refused(400, f"{path}: {error.message}") from error
    inner = spec.get("spec") or spec.get("fields")
    if kind == "array" and isinstance(value, list):
        item = {"type": "collection", "fields": inner} if inner else {"type": spec.get("item")}
        if item["type"]:
            return [
                _held(item, one, is_strict=is_strict, path=f"{path}[{number}]")
                for number, one in enumerate(value, 1)
            ]
    elif inner and isinstance(value, dict):
        return hold_structure(inner, value, is_strict=is_strict, within=f"{path}.")
    return value


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the caller hears."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def plain_reply(status: int, text: str | bytes, *, retry_after: int | None = None) -> Reply:
    """A reply of ours: a sentence."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    body = text if isinstance(text, bytes) else text.encode()
    return Reply(status=status, headers=tuple(headers), body=body)


def reply_of(response: Mapping[str, Any], files: Files) -> Reply:
    """The reply that a response module made."""
    status = int(response.get("status") or 200)
    body = response.get("body")
    headers: dict[bytes, bytes] = {}
    for entry in response.get("headers") or ():
        name, value = _header_pair(entry)
        if name in HEADER_NAMES or _EXTENSION.fullmatch(name):
            headers[name.encode()] = _CONTROL.sub(" ", value).encode("utf-8", "replace")
    if isinstance(body, Binary):
        headers.setdefault(b"content-type", body.media_type.encode("latin-1", "replace"))
        content = files.read(body)
    elif isinstance(body, bytes):
        content = body
    elif isinstance(body, (dict, list)):
        headers.setdefault(b"content-type", b"application/json; charset=utf-8")
        content = msgspec.json.encode(body)
    else:
        content = b"" if body is None else str(body).encode("utf-8", "replace")
    headers.setdefault(b"content-type", b"text/plain; charset=utf-8")
    location = headers.get(b"location")
    if location is not None and not location.startswith((b"https://", b"http://")):
        del headers[b"location"]
    return Reply(
        status=status if 200 <= status <= 599 else 500,
        headers=tuple(headers.items()),
        body=content,
    )


def _header_pair(entry: Any) -> tuple[str, str]:
    if isinstance(entry, Mapping):
        name, value = entry.get("name", entry.get("key")), entry.get("value")
    else:
        name, value = entry
    return str(name or "").strip().lower(), str(value if value is not None else "")
