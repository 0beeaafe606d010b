"""What comes in through a webhook, and what goes back."""

from __future__ import annotations

import re
from typing import Any

from millrace.appkit import Answer, Binary, Call, to_json, to_text
from millrace.errors import BundleValidationError

MOST_HEADERS = 16
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{0,4096}")
_RESERVED = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding", "upgrade"}
)


def receive(call: Call) -> Answer:
    """The events that the webhook accepted; the runtime hands them over."""
    return [dict(event) for event in call.bundles]


def respond(call: Call) -> Answer:
    """Set what the caller is told."""
    given = call.parameters
    status = given.get("status") or 200
    body, media_type = _body(given)
    headers = _headers(given.get("headers") or [])
    if media_type and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", media_type))
    call.response = {"status": status, "headers": headers, "body": body}
    return {"status": status}


def _body(given: Any) -> tuple[Any, str]:
    """The body as text or file, and its type."""
    if given.get("json") is not None:
        return to_json(given["json"]), "application/json"
    body = given.get("body")
    if isinstance(body, Binary):
        return body, body.media_type
    if isinstance(body, dict | list):
        return to_json(body), "application/json"
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    text = to_text(body)
    return text, "text/plain; charset=utf-8" if text else ""


def _headers(given: Any) -> list[tuple[str, str]]:
    headers = []
    if len(given) > MOST_HEADERS:
        raise BundleValidationError(f"headers: at most {MOST_HEADERS} may be set")
    for entry in given:
        if not isinstance(entry, dict):
            raise BundleValidationError("headers: each needs a key and a value")
        name = to_text(entry.get("key") or entry.get("name")).strip()
        value = to_text(entry.get("value")).strip(" \t")
        if not name:
            continue
        if not _NAME.fullmatch(name):
            raise BundleValidationError("headers: a name holds a character it may not hold")
        if name.lower() in _RESERVED:
            raise BundleValidationError(f"headers: {name} may not be set; it is set for you")
        if not _VALUE.fullmatch(value):
            raise BundleValidationError(
                f"headers: {name} holds a line break or more than 4096 characters"
            )
        headers.append((name, value))
    return headers
