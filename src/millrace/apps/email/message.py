"""Read a received message into a bundle, however broken it is.

The parser is the old, forgiving one (``compat32``): the new policy's header parsers raise on some
of the headers that real mail has. Decoding is done here, with replacement instead of errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from millrace.appkit import decode_text
from millrace.appkit.call import Files

MAX_ATTACHMENTS = 500
"""Parts kept as attachments; more are counted but not kept."""

_UNSAFE_NAME = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_TRIPS = (TypeError, ValueError, LookupError)
"""What the standard library raises when the parameters of a header contradict each other."""

_PRIORITY = {"1": "high", "2": "high", "high": "high", "urgent": "high", "4": "low", "5": "low"}


def read_message(raw: bytes, *, files: Files, is_whole: bool = True) -> dict[str, Any]:
    """The bundle of a message: headers, texts and attachments.

    Args:
        raw: The message as stored by the server.
        files: Where attachments are kept.
        is_whole: False when `raw` was cut off: attachments, which would be cut too, are left out.
    """
    try:
        message = message_from_bytes(raw)
        text, html, attachments = _bodies(list(_leaves(message)), files=files, keeps=is_whole)
    except (RecursionError, *_TRIPS):
        # Parts nested hundreds of times, or parameters that the standard library trips over: the
        # headers are still good, and the message as a whole becomes an attachment.
        message = BytesHeaderParser().parsebytes(raw)
        whole = Message()
        whole["Content-Type"] = "message/rfc822"
        whole.set_payload(raw.decode("ascii", "surrogateescape"))
        text, html, attachments = _bodies([whole], files=files, keeps=is_whole)
    headers = _headers(message)
    return {
        "messageId": _first(headers, "message-id"),
        "date": _date(_first(headers, "date")),
        "subject": _first(headers, "subject"),
        "from": (_addresses(headers, "from") or [None])[0],
        "to": _addresses(headers, "to"),
        "cc": _addresses(headers, "cc"),
        "bcc": _addresses(headers, "bcc"),
        "replyTo": _addresses(headers, "reply-to"),
        "inReplyTo": _first(headers, "in-reply-to"),
        "references": re.findall(r"<[^<>\s]+>", _first(headers, "references") or ""),
        "priority": _priority(headers),
        "text": text,
        "html": html,
        "headers": headers,
        "attachments": attachments,
        "isWhole": is_whole,
    }


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold something; a forwarded message is one part, not its parts."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        payload: Any = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting += reversed(payload)
        else:
            yield part


def _bodies(
    parts: list[Message], *, files: Files, keeps: bool
) -> tuple[str | None, str | None, list[dict[str, Any]]]:
    texts: list[str] = []
    pages: list[str] = []
    attachments: list[dict[str, Any]] = []
    for part in parts:
        kind = part.get_content_type()
        is_named = bool(_asked(part.get_filename)) or part.get_content_disposition() == "attachment"
        if kind == "text/plain" and not is_named:
            texts.append(_text(part))
        elif kind == "text/html" and not is_named:
            pages.append(_text(part))
        elif keeps and len(attachments) < MAX_ATTACHMENTS:
            attachments.append(_attachment(part, len(attachments) + 1, files))
    return "\n".join(texts) if texts else None, "\n".join(pages) if pages else None, attachments


def _text(part: Message) -> str:
    return decode_text(_bytes(part), _asked(part.get_content_charset)).replace("\r\n", "\n")


def _bytes(part: Message) -> bytes:
    inner: Any = part.get_payload()
    if part.get_content_type() == "message/rfc822" and isinstance(inner, list):
        return inner[0].as_bytes() if inner else b""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _asked(question: Callable[[], str | None]) -> str | None:
    """What a part says of itself, or None when it says it so that the standard library trips."""
    try:
        return question()
    except _TRIPS:
        return None


def _attachment(part: Message, number: int, files: Files) -> dict[str, Any]:
    content = _bytes(part)
    kind = part.get_content_type()
    given = _decode(_asked(part.get_filename) or "")
    suffix = ".eml" if kind == "message/rfc822" else ""
    name = _UNSAFE_NAME.sub("_", given).strip(" .")[-200:] or f"attachment-{number}{suffix}"
    kept = files.keep(content, name=name, media_type=kind)
    cid = str(part.get("Content-ID") or "").strip().strip("<>")
    return {
        "fileName": name,
        "data": kept,
        "contentType": kind,
        "size": kept.size_bytes,
        "cid": cid or None,
    }


def _headers(message: Message) -> dict[str, Any]:
    """Lower-case name → its text, or an array when it comes several times."""
    headers: dict[str, Any] = {}
    for name, value in message.raw_items():
        name, text = name.lower(), _decode(str(value))
        known = headers.get(name)
        if known is None:
            headers[name] = text
        elif isinstance(known, list):
            known.append(text)
        else:
            headers[name] = [known, text]
    return headers


def _decode(value: str) -> str:
    """RFC 2047 words and raw 8-bit text, unfolded."""
    if _ESCAPED_BYTE.search(value):
        # The parser keeps bytes that are not ASCII as lone surrogates.
        value = decode_text(value.encode("utf-8", "surrogateescape"))
    value = re.sub(r"\r?\n(?=[ \t])", "", value)
    if "=?" not in value:
        return value.strip()
    try:
        words = decode_header(value)
    except HeaderParseError:
        return value.strip()
    return "".join(
        decode_text(word, charset) if isinstance(word, bytes) else word for word, charset in words
    ).strip()


def _first(headers: Mapping[str, Any], name: str) -> str | None:
    value = headers.get(name)
    return value[0] if isinstance(value, list) else value


def _addresses(headers: Mapping[str, Any], name: str) -> list[dict[str, str]]:
    value = headers.get(name)
    lines = value if isinstance(value, list) else [value] if value else []
    return [
        {"address": address, "name": display}
        for display, address in getaddresses(lines)
        if address or display
    ]


def _date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        found = parsedate_to_datetime(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _priority(headers: Mapping[str, Any]) -> str:
    for name in ("x-priority", "importance", "priority"):
        words = (_first(headers, name) or "").split()
        if words and (found := _PRIORITY.get(words[0].lower())):
            return found
    return "normal"
