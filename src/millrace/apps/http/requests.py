"""Requests to any address."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any

from millrace.appkit import Answer, Binary, Call, json_loads, refusal, said, to_text, xml_loads
from millrace.apps.http.paging import Pager
from millrace.errors import BundleValidationError, DataError, InvalidConfigurationError

Pairs = list[tuple[str, Any]]


async def request(call: Call) -> Answer:
    """One request, or one for each page."""
    options = _options(call)
    paging = call.parameters.get("paging") or {}
    if paging.get("type") not in (None, "", "none"):
        return _pages(call, options, Pager(paging))
    response = await _ask(call, call.parameters["url"], options)
    return _bundle(call, response)


async def _pages(call: Call, options: dict[str, Any], pager: Pager) -> AsyncIterator[dict]:
    url = call.parameters["url"]
    query = options.pop("query")
    while pager.has_more:
        asked_url, asked_query = pager.place(url, query)
        response = await _ask(call, asked_url, {**options, "query": asked_query})
        bundle = _bundle(call, response)
        pager.read(_data(response, parse=True), response.headers, asked_url)
        if pager.is_empty and pager.page > 1:
            return
        yield bundle


async def get_file(call: Call) -> Answer:
    """A download; the file never stands in memory as a whole."""
    options = _options(call)
    name = call.parameters.get("file_name") or None
    response = await _ask(
        call, call.parameters["url"], {**options, "as_file": "always", "file_name": name}, "GET"
    )
    file = response.file
    return {
        "statusCode": response.status,
        "fileName": file.name if file else None,
        "data": file or response.text,
        "fileSize": file.size_bytes if file else len(response.content),
        "headers": _headers_of(call, response),
    }


async def resolve(call: Call) -> Answer:
    """Where the redirects of an address end; asked with HEAD, with GET when that is refused."""
    url = call.parameters["url"]
    options = {"timeout_seconds": call.parameters.get("timeout") or 40}
    response = await _ask(call, url, options, "HEAD", is_checked=False)
    if response.status in (400, 403, 404, 405, 501):
        response = await _ask(call, url, options, "GET", is_checked=False)
    return {"url": response.url, "statusCode": response.status}


def retrieve_headers(call: Call) -> Answer:
    """One bundle for each header, of a list or of a collection."""
    given = call.parameters["headers"]
    wanted = to_text(call.parameters.get("name")).strip().lower()
    if isinstance(given, Mapping):
        pairs = [(name, value) for name, value in given.items() if name not in ("name", "value")]
        pairs = pairs or [(given.get("name"), given.get("value"))]
    elif isinstance(given, list):
        pairs = [(one.get("name"), one.get("value")) for one in given if isinstance(one, Mapping)]
    else:
        raise BundleValidationError("headers: the headers of an HTTP module are expected")
    return [
        {"name": to_text(name), "value": to_text(value)}
        for name, value in pairs
        if name and (not wanted or to_text(name).lower() == wanted)
    ]


async def _ask(
    call: Call,
    url: str,
    options: dict[str, Any],
    method: str | None = None,
    is_checked: bool = True,
) -> Any:
    if call.http is None:
        raise InvalidConfigurationError("there is no way out of here")
    verb = method or call.parameters.get("method") or "GET"
    response = await call.http.request(verb, url, **options)
    if is_checked and response.status >= 400 and call.parameters.get("stop_on_error") is not False:
        raise refusal(response.status, _reason(response), headers=response.headers, now=call.now)
    return response


def _options(call: Call) -> dict[str, Any]:
    """The request, as the client takes it."""
    given = call.parameters
    headers = [
        (name, value)
        for name, value in _pairs(given.get("headers"), "headers")
        if name and value != ""
    ]
    if given.get("user") or given.get("password"):
        pair = f"{to_text(given.get('user'))}:{to_text(given.get('password'))}".encode()
        headers.append(("Authorization", f"Basic {base64.b64encode(pair).decode()}"))
    names = {name.lower() for name, _ in headers}
    if given.get("idempotency_key") and "idempotency-key" not in names:
        headers.append(("Idempotency-Key", call.key))
    body = _body(given, names)
    if (
        body.get("content") is not None
        and given.get("content_type")
        and "content-type" not in names
    ):
        headers.append(("Content-Type", to_text(given["content_type"]).strip()))
    elif body.pop("is_json", False) and "content-type" not in names:
        headers.append(("Content-Type", "application/json"))
    body.pop("is_json", None)
    if given.get("use_certificate") and not given.get("certificate"):
        raise InvalidConfigurationError(
            "certificate: the service is to see our certificate, and there is none; paste it as PEM"
        )
    return {
        "headers": headers,
        "query": _query(given),
        **body,
        "timeout_seconds": given.get("timeout") or 40,
        "retries": given.get("retries") or 0,
        "follow_redirects": given.get("follow_redirects") is not False,
        "follow_all_redirects": given.get("follow_all_redirects") is not False,
        "share_cookies": bool(given.get("share_cookies")),
        "verify": given.get("verify") is not False,
        "ca": given.get("ca") or None,
        "certificate": given.get("certificate") or None,
        "as_file": "auto",
    }


def _body(given: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """Which body is meant, by its type or else by what is filled in."""
    fields, text = given.get("fields"), given.get("body")
    kind = given.get("body_type")
    if kind is None:
        if given.get("json") is not None:
            kind = "json"
        elif text not in (None, ""):
            kind = "raw"
        elif fields:
            kind = "multipart" if any(_is_file(field) for field in fields) else "form"
    if kind == "json" and given.get("json") is not None:
        return {"json": given["json"]}
    if kind in ("json", "raw"):
        if text in (None, ""):
            return {}
        if isinstance(text, dict | list):
            return {"json": text}
        content = text if isinstance(text, bytes | Binary) else to_text(text).encode()
        return {"content": content, "is_json": kind == "json"}
    if kind == "form":
        return {"form": [(name, to_text(value)) for name, value in _pairs(fields, "fields")]}
    if kind == "multipart":
        return {"multipart": [_part(field) for field in fields or ()]}
    return {}


def _is_file(field: Any) -> bool:
    value = _value(field)
    return isinstance(value, bytes | Binary)


def _value(field: Any) -> Any:
    """Of a field; Make calls the content of a file `data`."""
    if not isinstance(field, Mapping):
        return None
    return field["data"] if field.get("data") is not None else field.get("value")


def _part(field: Any) -> tuple[str, Any]:
    if not isinstance(field, Mapping):
        raise BundleValidationError("fields: each needs a name and a value")
    name = to_text(field.get("name") or field.get("key"))
    value = _value(field)
    file_name = to_text(field.get("file_name") or field.get("fileName"))
    if file_name and isinstance(value, Binary):
        value = Binary(
            id=value.id, name=file_name, size_bytes=value.size_bytes, media_type=value.media_type
        )
    elif file_name:
        content = value if isinstance(value, bytes) else to_text(value).encode()
        value = (file_name, content, "application/octet-stream")
    return name, value if value is not None else ""


def _pairs(given: Any, what: str) -> Pairs:
    """``[{name, value}]`` or ``{name: value}``; Make says `key` here and there."""
    if isinstance(given, Mapping):
        return [(str(name), value) for name, value in given.items()]
    pairs: Pairs = []
    for one in given or ():
        if not isinstance(one, Mapping):
            raise BundleValidationError(f"{what}: each needs a name and a value")
        name = to_text(one.get("name") or one.get("key")).strip()
        value = one.get("value")
        pairs.append((name, to_text(value) if what == "headers" else value))
    return [(name, value) for name, value in pairs if name]


def _query(given: Mapping[str, Any]) -> Pairs:
    """The query; repeated keys numbered when that is asked for."""
    pairs: Pairs = []
    for name, value in _pairs(given.get("query"), "query"):
        if isinstance(value, list):
            pairs += [(name, one) for one in value]
        else:
            pairs.append((name, "" if value is None else value))
    if not given.get("numbered_keys"):
        return pairs
    names = [name for name, _ in pairs]
    counted: dict[str, int] = {}
    numbered: Pairs = []
    for name, value in pairs:
        if names.count(name) > 1:
            index = counted.get(name, 0)
            counted[name] = index + 1
            numbered.append((f"{name}[{index}]", value))
        else:
            numbered.append((name, value))
    return numbered


def _bundle(call: Call, response: Any) -> dict[str, Any]:
    file = response.file
    return {
        "statusCode": response.status,
        "headers": _headers_of(call, response),
        "cookieHeaders": [
            value for name, value in response.header_list if name.lower() == "set-cookie"
        ],
        "data": _data(response, parse=call.parameters.get("parse_response") is not False),
        "fileSize": file.size_bytes if file else len(response.content),
    }


def _headers_of(call: Call, response: Any) -> Any:
    if call.parameters.get("headers_as") == "collection":
        return {
            name: value.split("\n") if name == "set-cookie" else value
            for name, value in response.headers.items()
        }
    return [{"name": name.lower(), "value": value} for name, value in response.header_list]


def _data(response: Any, *, parse: bool) -> Any:
    """The body as data, text or file. What claims to be JSON and is not stays a text."""
    if response.file is not None:
        return response.file
    if not parse or not response.content.strip():
        return response.text
    kind = response.media_type
    try:
        if kind.endswith(("/json", "+json")):
            return json_loads(response.content)
        if kind in ("application/xml", "text/xml") or (
            kind.endswith("+xml") and kind not in ("image/svg+xml", "application/xhtml+xml")
        ):
            return xml_loads(response.content)
    except DataError:
        return response.text
    return response.text


def _reason(response: Any) -> str:
    return said(_data(response, parse=True)) if response.file is None else ""
