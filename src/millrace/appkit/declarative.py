"""Carry out a module that is said in YAML: request → response → bundles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from millrace.appkit.call import Bundle, Call, Http, Response
from millrace.appkit.catalog import ModuleSpec
from millrace.appkit.manifest import Answered, Base, ErrorRule, Paging, Request
from millrace.appkit.polling import Cursor
from millrace.appkit.refusals import refusal, said
from millrace.appkit.render import holds, render, render_url
from millrace.errors import DataError, ManifestInvalid
from millrace.expressions.convert import number_or_none

MOST_PAGES = 1000


async def run_request(spec: ModuleSpec, call: Call) -> AsyncIterator[Bundle]:
    """The bundles of a declarative module, page by page."""
    manifest = spec.manifest
    request, answered = manifest.request, manifest.response or Answered()
    if request is None:
        raise ManifestInvalid(f"{spec.name}: it has neither call nor request")
    names: dict[str, Any] = {
        "parameters": call.parameters,
        "connection": _public_fields(spec, call.connection),
        "state": call.state,
        "key": call.key,
    }
    fill = _Filler(names, call)
    if not fill.holds(request.condition):
        return
    polling = answered.polling
    cursor = Cursor(polling, call, zone=call.zone) if polling else None
    limit = _limit(fill.render(answered.limit), 1 if polling else None)
    given = 0
    async for items in _pages(spec, call, request, answered, fill):
        if cursor is not None:
            if not cursor.take(items, fill.names) or cursor.enough(limit or 1):
                break
            continue
        for item in items:
            if limit is not None and given >= limit:
                return
            given += 1
            yield _bundle(answered, fill, item)
        if limit is not None and given >= limit:
            return
    if cursor is not None:
        for item in cursor.give(limit or 1):
            yield _bundle(answered, fill, item)


async def _pages(
    spec: ModuleSpec, call: Call, request: Request, answered: Answered, fill: _Filler
) -> AsyncIterator[list[Any]]:
    """The items of each page."""
    app = spec.app.manifest
    base = app.base
    if call.http is None:
        raise ManifestInvalid(f"{spec.name}: there is no HTTP client in this call")
    url = _address(base, request.url, fill)
    query = {**fill.render(base.query), **fill.render(request.query)}
    json = fill.render(request.json)
    asked = {repr((url, query, json))}
    page = count = 0
    while page < MOST_PAGES:
        page += 1
        response = await _send(call.http, spec, request, base, fill, url, query, json)
        body = _body(answered, response)
        fill.names.update(
            body=body, headers=dict(response.headers), status=response.status, page=page
        )
        _refuse_errors(spec, answered, response, fill, call)
        items = _items(answered, fill, body)
        count += len(items)
        fill.names.update(count=count, item=items[-1] if items else None)
        yield items
        paging = request.paging
        if paging is None or not items or not fill.holds(paging.condition):
            return
        url, query, json = _next(paging, base, fill, url, query, json)
        mark = repr((url, query, json))
        if not url or mark in asked:
            return
        asked.add(mark)


def _next(
    paging: Paging, base: Base, fill: _Filler, url: str, query: dict[str, Any], json: Any
) -> tuple[str, dict[str, Any], Any]:
    if paging.url is not None:
        # The next address comes whole from the service, with its own query.
        rendered = fill.render(paging.url)
        return _absolute(base, url, str(rendered or "")), {}, json
    return url, {**query, **fill.render(paging.query)}, fill.render(paging.json) or json


async def _send(
    http: Http,
    spec: ModuleSpec,
    request: Request,
    base: Base,
    fill: _Filler,
    url: str,
    query: Mapping[str, Any],
    json: Any,
) -> Response:
    headers = {
        name: str(value)
        for name, value in {**fill.render(base.headers), **fill.render(request.headers)}.items()
        if value is not None
    }
    content = fill.render(request.content)
    if request.text is not None:
        content = str(fill.render(request.text) or "").encode()
    answered = spec.manifest.response
    return await http.request(
        request.method,
        url,
        headers=headers,
        query=query,
        json=json,
        form=fill.render(request.form),
        multipart=list(fill.render(request.multipart).items()) if request.multipart else None,
        content=content,
        timeout_seconds=spec.manifest.timeout_seconds or base.timeout_seconds,
        retries=request.retries,
        as_file="always" if answered is not None and answered.type == "binary" else "never",
    )


def _address(base: Base, source: str, fill: _Filler) -> str:
    url = fill.url(source)
    if url.startswith("/") or not url:
        return fill.url(base.url).rstrip("/") + url
    return url


def _absolute(base: Base, current: str, url: str) -> str:
    if url.startswith("/"):
        parts = urlsplit(current)
        return f"{parts.scheme}://{parts.netloc}{url}"
    return url


def _body(answered: Answered, response: Response) -> Any:
    if response.file is not None:
        return response.file
    kind = answered.type
    if kind == "text":
        return response.text
    if kind == "json" or response.media_type.endswith(("/json", "+json")):
        if not response.content.strip():
            return None
        try:
            return response.json()
        except DataError:
            if kind == "json" and response.status < 400:
                raise
            return response.text
    return response.text


def _items(answered: Answered, fill: _Filler, body: Any) -> list[Any]:
    if answered.iterate is None:
        return [body]
    found = fill.render(answered.iterate)
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _bundle(answered: Answered, fill: _Filler, item: Any) -> Bundle:
    fill.names["item"] = item
    value = item if answered.bundle is None else fill.render(answered.bundle)
    return value if isinstance(value, dict) else {"value": value}


def _refuse_errors(
    spec: ModuleSpec, answered: Answered, response: Response, fill: _Filler, call: Call
) -> None:
    """Raise what an answer means when it is not a success."""
    status = response.status
    if status < 400:
        if fill.holds(answered.valid):
            return
        rule = answered.error or ErrorRule()
        type_: str | None = rule.type
    else:
        found = _rule(answered.errors, status) or _rule(spec.app.manifest.errors, status)
        rule, type_ = found or ErrorRule(), found and found.type
    message = fill.render(rule.message) if rule.message else said(fill.names.get("body"))
    reason = str(message or "the service gave no reason")
    raise refusal(
        status,
        f"{spec.app.manifest.label}: {reason}",
        type_=type_,
        headers=response.headers,
        now=call.now,
    )


def _rule(rules: Mapping[str, ErrorRule], status: int) -> ErrorRule | None:
    """The narrowest rule for a status: ``404``, ``400-409``, ``4xx``, ``*``."""
    best: tuple[int, ErrorRule] | None = None
    for span, rule in rules.items():
        low, _, high = span.partition("-")
        if span == "*":
            first, last = 0, 999
        elif span.endswith("xx"):
            first, last = int(span[0]) * 100, int(span[0]) * 100 + 99
        else:
            first, last = int(low), int(high or low)
        if first <= status <= last and (best is None or last - first < best[0]):
            best = (last - first, rule)
    return best[1] if best else None


def _public_fields(spec: ModuleSpec, fields: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of the connection that are no secrets: only these can be put into a template."""
    if not fields:
        return {}
    hidden: set[str] = set()
    for name in spec.manifest.connections:
        if ":" not in name:
            manifest = spec.app.connection(name)
            hidden |= {field.name for field in manifest.fields if field.secret}
    return {name: value for name, value in fields.items() if name not in hidden}


def _limit(value: Any, default: int | None) -> int | None:
    number = number_or_none(value)
    return default if number is None or number < 0 else int(number)


class _Filler:
    """Fills templates with the names known so far."""

    def __init__(self, names: dict[str, Any], call: Call) -> None:
        self.names = names
        self._now = call.now
        self._zone = call.zone

    def render(self, value: Any) -> Any:
        return render(value, self.names, now=self._now, zone=self._zone)

    def url(self, source: str) -> str:
        return render_url(source, self.names, now=self._now, zone=self._zone)

    def holds(self, condition: str | bool) -> bool:
        return holds(condition, self.names, now=self._now, zone=self._zone)
