"""Regular expressions over texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from millrace.appkit import Answer, Call, compile_pattern
from millrace.errors import DataError

LARGEST_RESULT = 50 * 1024 * 1024
"""Characters; a short pattern and a long new value can make very much out of little."""

# Source: ECMA-262, GetSubstitution, https://tc39.es/ecma262/#sec-getsubstitution, read 2026-11-21.
_SUBSTITUTE = re.compile(r"\$(?:(\$)|(&)|([1-9][0-9]?)|<([^>]*)>)")


def match(call: Call) -> Answer:
    """One bundle for each match, or for the first one."""
    given = call.parameters
    pattern = compile_pattern(given["pattern"], _flags(call))
    text = given.get("text") or ""
    if given.get("global"):
        return _matches(call, pattern, text)
    found = pattern.search(text)
    if found is None:
        return {} if given.get("continue_when_no_result") else None
    return _bundle(found, 1)


def _matches(call: Call, pattern: Any, text: str) -> Iterator[dict[str, Any]]:
    number = 0
    for number, found in enumerate(pattern.finditer(text), 1):
        yield _bundle(found, number)
    if number == 0 and call.parameters.get("continue_when_no_result"):
        yield {}


def _bundle(found: Any, number: int) -> dict[str, Any]:
    bundle: dict[str, Any] = {"i": number, "__IMTMATCH__": found.group()}
    for index, group in enumerate(found.groups(), 1):
        bundle[f"${index}"] = group
    bundle.update(found.groupdict())
    return bundle


def replace(call: Call) -> dict[str, Any]:
    """The text with what matched replaced."""
    given = call.parameters
    pattern = compile_pattern(given["pattern"], _flags(call))
    text = given.get("text") or ""
    substitute = _substitution(given.get("value") or "", pattern)
    pieces: list[str] = []
    size = at = 0
    for found in pattern.finditer(text):
        start, end = found.span()
        pieces += (text[at:start], substitute(found))
        size += start - at + len(pieces[-1])
        if size > LARGEST_RESULT:
            raise DataError(f"the result is larger than {LARGEST_RESULT >> 20} MB")
        at = end
        if not given.get("global", True):
            break
    pieces.append(text[at:])
    return {"text": "".join(pieces)}


def _substitution(value: str, pattern: Any) -> Callable[[Any], str]:
    """What stands for a match; parts that name no group stay as they are written."""
    if "$" not in value:
        return lambda found: value
    names = pattern.groupindex

    def one(written: re.Match[str], found: Any) -> str:
        dollar, whole, number, name = written.groups()
        if dollar:
            return "$"
        if whole:
            return found.group()
        if name is not None:
            if not names:
                return written.group()
            return (found.group(name) or "") if name in names else ""
        group = _group(number, pattern.groups, found)
        return written.group() if group is None else group

    return lambda found: _SUBSTITUTE.sub(lambda written: one(written, found), value)


def _group(number: str, count: int, found: Any) -> str | None:
    """Group 12, or group 1 and the sign 2 when there are not as many, or None."""
    if int(number) <= count:
        return found.group(int(number)) or ""
    if len(number) == 2 and int(number[0]) <= count:
        return (found.group(int(number[0])) or "") + number[1]
    return None


def _flags(call: Call) -> str:
    given = call.parameters
    return (
        ("" if given.get("sensitive", True) else "i")
        + ("m" if given.get("multiline") else "")
        + ("s" if given.get("singleline") else "")
    )
