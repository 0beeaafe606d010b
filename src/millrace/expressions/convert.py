"""What a value becomes when an expression needs another kind: the lenient rules inside ``{{ }}``.

The strict rules for parameters are in ``coerce.py``. Here a missing value is an empty text or a
zero, numbers are written the way JavaScript writes them, and only what has no sensible reading is
an error.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from millrace.errors import ExpressionError
from millrace.expressions.dates import parse_date_text
from millrace.expressions.scope import EPOCH, MAX_OUTPUT, Marker, Scope, check_size
from millrace.expressions.values import Binary

Number = int | float

EXACT: Final = 2**53
"""Above this a calculated integer is kept as a float, as in JavaScript."""

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER: Final = 400


def text_of(value: Any, scope: Scope) -> str:
    """The text that stands in a template for a value.

    Raises:
        ExpressionError: a file that is not text, or a result over the limit.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _integer_text(value)
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, datetime):
        return date_text(value)
    if isinstance(value, list):
        parts = [text_of(item, scope) for item in _charged(value, scope)]
        check_size(sum(map(len, parts)) + 2 * len(parts))
        return ", ".join(parts)
    if isinstance(value, dict):
        return json_text(value, scope)
    if isinstance(value, Marker):
        return ""
    return text_of_bytes(bytes_of(value, scope))


def _charged(items: list[Any], scope: Scope) -> list[Any]:
    scope.spend(len(items))
    # Only primitives are joined; what is deeper is shown as JSON by the same rule for dicts.
    return [json_text(item, scope) if isinstance(item, list) else item for item in items]


def _integer_text(value: int) -> str:
    try:
        return str(value)
    except ValueError as error:  # Python refuses to print more than 4300 digits
        raise ExpressionError("the number has too many digits") from error


def number_text(value: float) -> str:
    """A number as JavaScript prints it: shortest digits, no ``.0``, exponent from 1e21 on."""
    if not math.isfinite(value):
        raise ExpressionError("the number is not finite")
    if value == 0:
        return "0"
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    shortest = repr(value)
    if "e" not in shortest:
        # Python switches to an exponent below 1e-4, JavaScript below 1e-6.
        return shortest
    mantissa, exponent = shortest.split("e")
    power = int(exponent)
    if -7 < power < 0:
        digits = mantissa.replace(".", "").replace("-", "")
        return f"{'-' if value < 0 else ''}0.{'0' * (-power - 1)}{digits}"
    return f"{mantissa}e{'+' if power > 0 else '-'}{abs(power)}"


def date_text(value: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and ``Z``."""
    try:
        moment = value.astimezone(UTC)
    except OverflowError as error:  # an offset at the very edge of the calendar
        raise ExpressionError("the date is outside the years 1 to 9999") from error
    return (
        f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{moment.hour:02d}:"
        f"{moment.minute:02d}:{moment.second:02d}.{moment.microsecond // 1000:03d}Z"
    )


def text_of_bytes(data: bytes) -> str:
    """UTF-8 text, without a byte order mark.

    Raises:
        ExpressionError: the bytes are not UTF-8 text.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExpressionError("the file is not text in UTF-8") from error


def bytes_of(value: Any, scope: Scope) -> bytes:
    """The bytes of a file or of a value's text.

    Raises:
        ExpressionError: the text holds half a character pair, or the file cannot be read.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, Binary):
        return scope.bytes_of(value)
    text = text_of(value, scope)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ExpressionError(
            "the text holds a broken character (half a surrogate pair)"
        ) from error


def json_text(value: Any, scope: Scope, *, indent: int = 0) -> str:
    """A value as JSON; dates as ISO text, files as their name, numbers as JavaScript prints them.

    Raises:
        ExpressionError: the result would be too large, or a text cannot be encoded.
    """
    measure(value)
    try:
        data = msgspec.json.encode(plain(value, scope))
        if indent:
            data = msgspec.json.format(data, indent=indent)
        return data.decode()
    except (
        ArithmeticError,
        UnicodeError,
        ValueError,
        RecursionError,
        msgspec.MsgspecError,
    ) as error:
        raise ExpressionError("the value cannot be written as JSON") from error


def plain(value: Any, scope: Scope) -> Any:
    """The same value in the kinds that JSON has."""
    if isinstance(value, dict):
        return {
            str(key): plain(item, scope)
            for key, item in value.items()
            if not isinstance(item, Marker)
        }
    if isinstance(value, list):
        return [plain(item, scope) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < EXACT else value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else float(value)
    if isinstance(value, datetime):
        return date_text(value)
    if isinstance(value, Binary):
        return value.name
    if isinstance(value, Marker):
        return None
    return text_of_bytes(bytes_of(value, scope))


def measure(value: Any) -> None:
    """Refuse a value that would be too large when written out.

    Lists may share parts, so a small one in memory can be huge as JSON; this walks what would be
    written and stops at the limit.

    Raises:
        ExpressionError: more than `MAX_OUTPUT`.
    """
    size = 0
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
            size += 2 * len(item)
        elif isinstance(item, dict):
            pending.extend(item.values())
            size += sum(map(len, item)) + 4 * len(item)
        elif isinstance(item, (str, bytes)):
            size += len(item)
        size += 6
        if size + len(pending) > MAX_OUTPUT:
            raise ExpressionError(f"the result would be larger than {MAX_OUTPUT} characters")


def number_from_text(text: str) -> Number | None:
    """The number a text spells, or None; ``5.0`` is the integer 5."""
    text = text.strip()
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    if len(text) <= 40 and text.lstrip("+-").isdigit():
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) <= EXACT else number


def number_or_none(value: Any) -> Number | None:
    """The number a value stands for; None when it is not one, as an empty text is not."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return number_from_text(value)
    return None


def number_of(value: Any) -> Number:
    """The number for a calculation: nothing counts as 0, a date as its milliseconds.

    Raises:
        ExpressionError: the value is not a number.
    """
    kind = type(value)
    if kind is int:
        return value
    if value is None or value == "" or isinstance(value, Marker):
        return 0
    if isinstance(value, datetime):
        return milliseconds(value)
    number = number_or_none(value)
    if number is None:
        raise ExpressionError(f"a number is expected, not {kind_of(value)}")
    return number


def integer_of(value: Any) -> int:
    """A whole number; a fraction is cut off.

    Raises:
        ExpressionError: the value is not a number, or no computer counts that far.
    """
    number = number_of(value)
    if abs(number) > EXACT:
        raise ExpressionError("the number is too large here")
    return int(number)


def result(number: Number) -> Number:
    """A calculated number as it may leave a function.

    Raises:
        ExpressionError: it is infinite or not a number.
    """
    if isinstance(number, float):
        if not math.isfinite(number):
            raise ExpressionError("the result is not a finite number")
        return int(number) if number.is_integer() and abs(number) <= EXACT else number
    return number if -EXACT <= number <= EXACT else _as_float(number)


def _as_float(number: int) -> float:
    try:
        return float(number)
    except OverflowError as error:
        raise ExpressionError("the result is not a finite number") from error


def milliseconds(value: datetime) -> int:
    """Milliseconds since 1970."""
    delta = value - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def date_or_none(value: Any, scope: Scope) -> datetime | None:
    """A date, or a text that spells one; None for everything else."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        return parse_date_text(value, scope.zone)
    return None


def date_of(value: Any, scope: Scope) -> datetime:
    """A date, or the date that a text spells in the scope's zone.

    Raises:
        ExpressionError: the value is neither.
    """
    date = date_or_none(value, scope)
    if date is None:
        raise ExpressionError(
            f"a date is expected, not {kind_of(value)}; use parseDate to make one"
        )
    return date


def list_of(value: Any) -> list[Any]:
    """A list; nothing is an empty one.

    Raises:
        ExpressionError: the value is something else.
    """
    if isinstance(value, list):
        return value
    if value is None or value == "":
        return []
    raise ExpressionError(f"an array is expected, not {kind_of(value)}")


def is_true(value: Any) -> bool:
    """Whether `if`, ``&`` and ``|`` take a value for true: not null, false, 0 or empty text."""
    kind = type(value)
    if kind is bool:
        return value
    if kind is list or kind is dict:
        return True
    return bool(value)


def is_empty(value: Any) -> bool:
    """Whether a value is nothing: null, missing or an empty text."""
    return value is None or value == ""


def kind_of(value: Any) -> str:
    """The kind of a value in the words of the editor; never the value."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text" if value else "an empty text"
    if isinstance(value, datetime):
        return "a date"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, dict):
        return "a collection"
    if isinstance(value, Marker):
        return f"the keyword {value.name}"
    return "a file"
