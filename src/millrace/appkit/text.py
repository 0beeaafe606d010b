"""Bytes, texts and JSON, with the limits that outside data needs."""

from __future__ import annotations

import codecs
import re
from typing import Any

import msgspec

from millrace.errors import BundleValidationError

DEEPEST_JSON = 100
LARGEST_JSON_BYTES = 50 * 1024 * 1024

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# Browsers read these as the Windows code page, and so do the people who send them.
# Source: https://encoding.spec.whatwg.org/#names-and-labels, read 2026-11-21.
_MEANT = {"iso8859-1": "cp1252", "ascii": "cp1252", "latin-1": "cp1252", "gb2312": "gb18030"}
_decode_json = msgspec.json.Decoder().decode
_BYTE = re.compile(r"\(byte (\d+)\)")


def charset_of(content_type: str | None) -> str | None:
    """The charset that a Content-Type declares."""
    match = _CHARSET.search(content_type or "")
    return match[1].lower() if match else None


def decode_text(content: bytes, declared: str | None = None) -> str:
    """Bytes as text: by their byte order mark, then as declared, then UTF-8.

    Bytes that do not fit become U+FFFD: a text with a damaged letter is better than none.

    Args:
        content: The bytes.
        declared: Name of a charset; an unknown one counts as none.
    """
    for mark, charset in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(charset, errors="replace")
    name = "utf-8"
    if declared:
        try:
            found = codecs.lookup(declared)
        except (LookupError, ValueError):  # ValueError: a NUL in the name
            found = None
        if found is not None and found._is_text_encoding:
            name = _MEANT.get(found.name, found.name)
    if name == "cp1252":
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return content.decode(name, errors="replace")
    return content.decode(name, errors="replace")


def json_loads(
    text: str | bytes, *, deepest: int = DEEPEST_JSON, largest_bytes: int = LARGEST_JSON_BYTES
) -> Any:
    """JSON from outside; of a key given twice the last one counts.

    Raises:
        BundleValidationError: not JSON (with line and column, never the content), nested deeper
            than `deepest`, or larger than `largest_bytes`.
    """
    if len(text) > largest_bytes:
        raise BundleValidationError(f"the JSON is larger than {largest_bytes // 1024 // 1024} MB")
    if isinstance(text, bytes) and text.startswith(tuple(mark for mark, _ in _MARKS)):
        text = decode_text(text)
    elif isinstance(text, str) and text[:1] == "\ufeff":
        text = text[1:]
    try:
        value = _decode_json(text)
    except msgspec.DecodeError as error:
        raise BundleValidationError(_where(str(error), text)) from None
    except RecursionError:
        raise _too_deep(deepest) from None
    except UnicodeError:
        raise BundleValidationError("the JSON holds half a character (a lone surrogate)") from None
    _check_depth(value, deepest)
    return value


def _where(message: str, text: str | bytes) -> str:
    match = _BYTE.search(message)
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    at = int(match[1]) if match else len(raw)
    reason = message.split(": ", 1)[-1].split(" (byte")[0].lower()
    if "truncated" in reason:
        reason = "it ends too early"
    if not raw.strip():
        return "this is not JSON: the text is empty"
    before = raw[:at]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return f"this is not JSON: {reason} at line {line}, column {column}"


def _check_depth(value: Any, deepest: int) -> None:
    # Level by level and containers only: 60 ms for a document of 10 MB.
    level = [value] if value.__class__ in (dict, list) else []
    depth = 0
    while level:
        depth += 1
        if depth > deepest:
            raise _too_deep(deepest)
        level = [
            inner
            for outer in level
            for inner in (outer.values() if outer.__class__ is dict else outer)
            if inner.__class__ is dict or inner.__class__ is list
        ]


def _too_deep(deepest: int) -> BundleValidationError:
    return BundleValidationError(f"the JSON is nested more than {deepest} levels deep")
