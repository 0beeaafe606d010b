"""The strict rules: what a mapped value becomes when a parameter expects a type.

One matrix, known to users of Make: expected type against received kind. Nothing (null) stays
nothing, and so do the instructions `ignore` and `erase`; whether a parameter is required is asked
elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import msgspec

from millrace.errors import BundleValidationError, ExpressionError
from millrace.expressions.convert import (
    json_text,
    kind_of,
    milliseconds,
    number_from_text,
    text_of,
)
from millrace.expressions.dates import parse_date_text, zone_named
from millrace.expressions.scope import Marker, Scope
from millrace.expressions.values import Binary

Read = Callable[[Binary], bytes]

_EMAIL: Final = re.compile(
    r"[^@\s<>(),;:\"\[\]\\]{1,64}@[^@\s<>(),;:\"\[\]\\.]+(?:\.[^@\s<>(),;:\"\[\]\\.]+)*"
)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]+[^\s]*")
_FILENAME: Final = re.compile(r"[^/\\:*?\"<>|\x00-\x1f]{1,255}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_COLOR: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_TIME: Final = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?(?:\s*([AaPp])[Mm])?", re.ASCII
)


def coerce(
    value: Any,
    type_name: str,
    *,
    zone: tzinfo = UTC,
    read_bytes: Read | None = None,
    encoding: str = "utf-8",
) -> Any:
    """The value as a parameter of that type receives it.

    Args:
        value: Any value of a bundle.
        type_name: A parameter type: text, number, date, ... A type that holds anything (`any`,
            `select`, `udt`, `hidden`, ...) and an unknown one give the value unchanged.
        zone: What a date without an offset is read in.
        read_bytes: Opens a file where a text is expected; without it a file is refused there.
        encoding: What text becomes bytes in, where a buffer is expected.

    Raises:
        BundleValidationError: the value does not fit. The message names both kinds, never the
        value.
    """
    if value is None or isinstance(value, Marker):
        return value
    rule = _RULES.get(type_name)
    if rule is None:
        return value
    return rule(value, _Context(type_name, zone, read_bytes, encoding))


class _Context:
    """What a rule needs besides the value."""

    __slots__ = ("encoding", "read_bytes", "type_name", "zone")

    def __init__(
        self, type_name: str, zone: tzinfo, read_bytes: Read | None, encoding: str
    ) -> None:
        self.type_name = type_name
        self.zone = zone
        self.read_bytes = read_bytes
        self.encoding = encoding

    def refuse(self, value: Any, why: str = "") -> BundleValidationError:
        detail = f" ({why})" if why else ""
        return BundleValidationError(
            f"{_ARTICLES.get(self.type_name, self.type_name)} is expected, not "
            f"{kind_of(value)}{detail}"
        )


_ARTICLES: Final = {
    "array": "an array",
    "boolean": "a boolean",
    "buffer": "a file",
    "collection": "a collection",
    "color": "a colour",
    "date": "a date",
    "email": "an e-mail address",
    "filename": "a file name",
    "integer": "a whole number",
    "json": "JSON",
    "number": "a number",
    "path": "a path",
    "port": "a port from 0 to 65535",
    "text": "a text",
    "time": "a time",
    "timestamp": "a timestamp",
    "timezone": "a time zone",
    "uinteger": "a whole number from 0",
    "url": "an address with its scheme, such as https://…",
    "uuid": "a UUID",
}


def _text(value: Any, context: _Context) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        raise context.refuse(value)
    if isinstance(value, list) and any(isinstance(item, (list, dict, Binary)) for item in value):
        raise context.refuse(value, "its items are not all plain values")
    if isinstance(value, Binary) and context.read_bytes is None:
        raise context.refuse(value)
    try:
        return text_of(value, Scope(read_bytes=context.read_bytes))
    except ExpressionError as error:
        raise context.refuse(value, "it is not text in UTF-8, or too large") from error


def _number(value: Any, context: _Context) -> int | float | None:
    if isinstance(value, bool):
        raise context.refuse(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise context.refuse(value, "not a finite one")
        return value
    if isinstance(value, str):
        if not value.strip():
            return None
        number = number_from_text(value)
        if number is not None:
            return number
    raise context.refuse(value)


def _integer(value: Any, context: _Context) -> int | None:
    number = _number(value, context)
    if isinstance(number, float):
        if not number.is_integer():
            raise context.refuse(value, "it has a fraction")
        return int(number)
    return number


def _uinteger(value: Any, context: _Context) -> int | None:
    number = _integer(value, context)
    if number is not None and number < 0:
        raise context.refuse(value, "it is negative")
    return number


def _port(value: Any, context: _Context) -> int | None:
    number = _integer(value, context)
    if number is not None and not 0 <= number <= 65_535:
        raise context.refuse(value, "it is outside")
    return number


def _boolean(value: Any, context: _Context) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value not in ("", "false")
    return True  # also 0: a number that is there is true


def _date(value: Any, context: _Context) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        if not value.strip():
            return None
        date = parse_date_text(value, context.zone)
        if date is not None:
            return date
        raise context.refuse(value, "it must have a day, a month and a year")
    raise context.refuse(value, "use parseDate to make one")


def _timestamp(value: Any, context: _Context) -> int | float | None:
    """Unix seconds."""
    if isinstance(value, str) and number_from_text(value) is None:
        value = _date(value, context)
        if value is None:
            return None
    if isinstance(value, datetime):
        exact = milliseconds(value)
        return exact // 1000 if exact % 1000 == 0 else exact / 1000
    return _number(value, context)


def _time(value: Any, context: _Context) -> str | None:
    if isinstance(value, datetime):
        return f"{value.astimezone(context.zone):%H:%M:%S}"
    if not isinstance(value, str):
        raise context.refuse(value)
    if not value.strip():
        return None
    seconds = seconds_of_day(value)
    if seconds is None:
        raise context.refuse(value, "it must look like 09:30 or 09:30:15")
    whole = int(seconds)
    fraction = round((seconds - whole) * 1000)
    shown = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{shown}.{fraction:03d}" if fraction else shown


def seconds_of_day(text: str) -> float | None:
    """Seconds since midnight of ``9:30``, ``09:30:15`` or ``9:30 PM``; None for other texts."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if match[5]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[5] in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return hour * 3600 + minute * 60 + second + min(float(match[4] or 0), 0.999)


def _array(value: Any, context: _Context) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _collection(value: Any, context: _Context) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise context.refuse(value)


def _buffer(value: Any, context: _Context) -> bytes | Binary:
    if isinstance(value, (bytes, Binary)):
        return value
    if isinstance(value, (list, dict)):
        raise context.refuse(value)
    try:
        return text_of(value, Scope()).encode(context.encoding)
    except (UnicodeError, LookupError, ExpressionError) as error:
        raise context.refuse(value, "it cannot be written in the encoding asked for") from error


def _json(value: Any, context: _Context) -> str:
    if isinstance(value, str):
        try:
            msgspec.json.decode(value)
        except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
            raise context.refuse(value, "it does not parse") from error
        return value
    try:
        return json_text(value, Scope(read_bytes=context.read_bytes))
    except ExpressionError as error:
        raise context.refuse(value, "it cannot be written as JSON") from error


def _matching(pattern: re.Pattern[str], why: str) -> Callable[[Any, _Context], str]:
    """A text of a certain form; an empty one is left to the check for required parameters."""

    def rule(value: Any, context: _Context) -> str:
        text = _text(value, context)
        if text and not pattern.fullmatch(text.strip()):
            raise context.refuse(value, why)
        return text.strip()

    return rule


def _filename(value: Any, context: _Context) -> str:
    text = _text(value, context)
    if text and (text in (".", "..") or not _FILENAME.fullmatch(text)):
        raise context.refuse(value, "it may not hold slashes, colons or control characters")
    return text


def _path(value: Any, context: _Context) -> str:
    text = _text(value, context)
    if "\x00" in text:
        raise context.refuse(value, "it holds a zero character")
    return text


def _timezone(value: Any, context: _Context) -> str:
    text = _text(value, context)
    if text and zone_named(text) is None:
        raise context.refuse(value, "name one such as Europe/Prague")
    return text


_RULES: Final[dict[str, Callable[[Any, _Context], Any]]] = {
    "array": _array,
    "boolean": _boolean,
    "buffer": _buffer,
    "cert": _text,
    "collection": _collection,
    "color": _matching(_COLOR, "it must look like #a0b1c2"),
    "date": _date,
    "email": _matching(_EMAIL, "it must look like name@example.com"),
    "file": _path,
    "filename": _filename,
    "folder": _path,
    "integer": _integer,
    "json": _json,
    "number": _number,
    "password": _text,
    "path": _path,
    "pkey": _text,
    "port": _port,
    "text": _text,
    "time": _time,
    "timestamp": _timestamp,
    "timezone": _timezone,
    "uinteger": _uinteger,
    "url": _matching(_URL, "it must look like https://example.com"),
    "uuid": _matching(_UUID, "it must be 32 hexadecimal digits in five groups"),
}
