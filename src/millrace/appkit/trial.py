"""Try a module out against the real service, once, and keep what happened as a case."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from millrace.appkit.auth import Tokens, filled_fields, open_connection, secret_values
from millrace.appkit.call import Bundle, Call
from millrace.appkit.cases import CaseContext, bundles_of
from millrace.appkit.catalog import ModuleSpec
from millrace.appkit.guard import Guard, GuardedDialer
from millrace.appkit.http import CookieJar, HttpClient
from millrace.appkit.manifest import ConnectionManifest
from millrace.appkit.memory import MemoryFiles, MemoryRecords
from millrace.appkit.run import operate, prepare_parameters
from millrace.appkit.text import charset_of, decode_text
from millrace.appkit.transport import Incoming, Outgoing, PooledTransport, Transport
from millrace.clock import SystemClock
from millrace.errors import ManifestInvalid, ModuleError
from millrace.expressions.convert import date_text
from millrace.expressions.values import Binary

HIDDEN = "hidden"
"""Stands for every secret; the same in a URL, so that the recorded case can be run."""

_TOKENS = frozenset({"access_token", "refresh_token", "id_token", "client_secret"})
_MOST_BUNDLES = 100
_KEPT_HEADERS = frozenset(
    {"content-type", "link", "location", "retry-after", "content-disposition", "etag"}
)
"""Headers of answers that a module may look at; the rest of a recording would only be noise."""


@dataclass(kw_only=True)
class Trial:
    """What came of trying a module out."""

    bundles: list[Bundle] = field(default_factory=list)
    error: ModuleError | None = None
    case: dict[str, Any] = field(default_factory=dict)
    """The entry for ``cases/<module>.yaml``, without secrets."""


async def try_module(
    spec: ModuleSpec,
    parameters: Mapping[str, Any],
    *,
    fields: Mapping[str, Any] | None = None,
    connection_type: str | None = None,
    name: str = "recorded",
    transport: Transport | None = None,
    guard: Guard | None = None,
    now: datetime | None = None,
) -> Trial:
    """Run one operation of a module against the service itself.

    Args:
        spec: The module.
        parameters: Evaluated values.
        fields: Of the connection.
        connection_type: Which, when the module takes several; default the first.
        name: Of the case.
        transport: Instead of the network.
        guard: Which addresses may be called.
        now: What the module is told; default the time.

    Raises:
        ManifestInvalid: the module cannot be tried (the engine carries it out).
    """
    if spec.manifest.kind in ("structure", "directive"):
        raise ManifestInvalid(f"{spec.name}: the engine carries it out; there is nothing to try")
    moment = now or SystemClock().now()
    recorder = _Recorder(transport or PooledTransport(guard or Guard()))
    client = HttpClient(transport=recorder)
    files = MemoryFiles()
    manifest = _connection(spec, connection_type) if fields is not None else None
    signer = None
    if manifest is not None:
        signer = open_connection(
            manifest,
            fields or {},
            app=spec.app.name,
            connection_id="trial",
            client=client,
            tokens=Tokens(),
        )
    http = client.bind(files=files, signer=signer, cookies=CookieJar())
    trial = Trial()
    try:
        call = Call(
            parameters=prepare_parameters(spec.traits, parameters, zone=UTC),
            context=CaseContext(files=files, http=http, dialer=GuardedDialer(guard)),
            now=moment,
            module_id="1",
            connection=filled_fields(manifest, fields or {}) if manifest else None,
            http=http,
            key="case",
            records=MemoryRecords(),
        )
        async for bundle in bundles_of(operate(spec, call)):
            trial.bundles.append(bundle)
            if len(trial.bundles) == _MOST_BUNDLES:
                break
    except ModuleError as error:
        trial.error = error
    finally:
        await client.aclose()
    secrets = secret_values(manifest, fields or {}) if manifest else []
    case: dict[str, Any] = {
        "case": name,
        "now": date_text(moment),
        "parameters": _plain(dict(parameters), files),
    }
    if fields is not None:
        case["connection"] = dict(fields)
        if connection_type:
            case["connection_type"] = connection_type
    case["exchange"] = recorder.exchanges
    if trial.error is None:
        case["bundles"] = _plain(trial.bundles, files)
    else:
        case["error"] = {"type": trial.error.type, "message": trial.error.message}
    trial.case = without_secrets(case, secrets)
    return trial


def record_case(spec: ModuleSpec, case: Mapping[str, Any]) -> Path:
    """Add a case to those of its module and give the file."""
    import yaml

    path = spec.app.folder / "cases" / spec.path.name
    path.parent.mkdir(exist_ok=True)
    text = yaml.safe_dump([dict(case)], sort_keys=False, allow_unicode=True, width=100)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    joint = "" if not before or before.endswith("\n") else "\n"
    path.write_text(before + joint + text, encoding="utf-8")
    return path


def without_secrets(value: Any, secrets: list[str]) -> Any:
    """The same value with every secret replaced, however it is encoded in a text."""
    forms: set[str] = set()
    for secret in secrets:
        if len(secret) < 3:
            continue
        raw = secret.encode()
        forms |= {secret, quote(secret, safe=""), quote_plus(secret), raw.hex()}
        forms.add(base64.b64encode(raw).decode().rstrip("="))
        forms.add(base64.urlsafe_b64encode(raw).decode().rstrip("="))
    return _replaced(value, sorted(forms, key=len, reverse=True))


def _replaced(value: Any, forms: list[str]) -> Any:
    if isinstance(value, str):
        for form in forms:
            value = value.replace(form, HIDDEN)
        return value
    if isinstance(value, dict):
        return {
            _replaced(key, forms): HIDDEN
            if key in _TOKENS and isinstance(inner, str)
            else _replaced(inner, forms)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_replaced(inner, forms) for inner in value]
    return value


def _connection(spec: ModuleSpec, chosen: str | None) -> ConnectionManifest:
    types = spec.manifest.connections
    name = chosen or (types[0] if types else "")
    if not name:
        raise ManifestInvalid(f"{spec.name}: the module takes no connection")
    return spec.app.connection(name.rpartition(":")[2])


def _plain(value: Any, files: MemoryFiles) -> Any:
    """A value as a case writes it."""
    if isinstance(value, Binary):
        return {
            "$file": {
                "name": value.name,
                "media_type": value.media_type,
                "size_bytes": value.size_bytes,
            }
        }
    if isinstance(value, datetime):
        return {"$date": date_text(value)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, files) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, files) for inner in value]
    return value


class _Recorder:
    """A transport that writes down what passes; what signs a request is left out."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.exchanges: list[dict[str, Any]] = []

    @asynccontextmanager
    async def send(self, request: Outgoing, /) -> AsyncIterator[Incoming]:
        """Send, and keep request and answer."""
        kept: dict[str, Any] = {"method": request.method, "url": str(request.url)}
        if isinstance(request.body, bytes) and request.body:
            kept |= _content(request.body, _header(request.headers, "content-type"))
        async with self._transport.send(request) as incoming:
            pieces = [piece async for piece in incoming.body]
            answer: dict[str, Any] = {"status": incoming.status}
            headers = {n: v for n, v in incoming.headers if n.lower() in _KEPT_HEADERS}
            content = b"".join(pieces)
            encoding = _header(incoming.headers, "content-encoding")
            if encoding:
                headers["Content-Encoding"] = encoding
                answer["base64"] = base64.b64encode(content).decode()
            elif content:
                answer |= _content(content, _header(incoming.headers, "content-type"))
            if "json" in answer and headers.get("Content-Type") == "application/json":
                del headers["Content-Type"]
            if headers:
                answer["headers"] = headers
            self.exchanges.append({"request": kept, "response": answer})

            async def body() -> AsyncIterator[bytes]:
                for piece in pieces:
                    yield piece

            yield Incoming(status=incoming.status, headers=incoming.headers, body=body())

    async def aclose(self) -> None:
        """Close what is behind."""
        await self._transport.aclose()


def _header(headers: list[tuple[str, str]], name: str) -> str:
    return next((value for known, value in headers if known.lower() == name), "")


def _content(content: bytes, media_type: str) -> dict[str, Any]:
    kind = media_type.partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")):
        try:
            return {"json": msgspec.json.decode(content)}
        except msgspec.DecodeError:
            pass
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
    return {"text": decode_text(content, charset_of(media_type))}
