"""Plain data as YAML that people like to read.

Short values stand on one line in the inline style, longer ones below each other, texts of several
lines as block scalars. A text that any YAML version could take for something else is quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_WIDTH = 96
_INLINE = 76
"""A list or map of scalars up to this many characters stands on one line."""

_PLAIN = re.compile(
    r"[A-Za-z/\u00c0-\u024f_]"
    r"(?:[^\s:#,\[\]{}&*!|>'\"%`\\\x00-\x1f\x7f-\x9f\ufeff\ud800-\udfff]"
    r"| (?=[^\s:#])|:(?=[A-Za-z0-9_-]))*\Z"
)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_BLOCK = re.compile(
    "[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""Characters that a block scalar cannot hold; U+2028 and U+2029 end a line in YAML."""

_NEVER_INLINE = frozenset({"flow"})
_COMPACT = frozenset({"make"})
"""Keys whose value is for machines: one line, whatever its length."""


def to_yaml(data: dict[str, Any]) -> str:
    """The data as one YAML document."""
    return "\n".join(_map_lines(data, 0)) + "\n"


def _map_lines(data: dict[str, Any], indent: int) -> Iterator[str]:
    pad = " " * indent
    for key, value in data.items():
        yield from _entry(f"{pad}{_key(str(key))}:", value, indent, key)


def _list_lines(items: list[Any], indent: int) -> Iterator[str]:
    pad = " " * indent
    for item in items:
        if isinstance(item, dict) and item and not _fits(item, indent + 2):
            # The first key stands on the line of the dash.
            lines = _map_lines(item, indent + 2)
            yield f"{pad}- {next(lines).lstrip(' ')}"
            yield from lines
        elif isinstance(item, list | tuple) and item and not _fits(item, indent + 2):
            lines = _list_lines(list(item), indent + 2)
            yield f"{pad}- {next(lines).lstrip(' ')}"
            yield from lines
        else:
            yield from _entry(f"{pad}-", item, indent)


def _entry(head: str, value: Any, indent: int, key: str = "") -> Iterator[str]:
    is_compact = key in _COMPACT
    if isinstance(value, dict | list | tuple) and not is_compact:
        if not value or (key not in _NEVER_INLINE and _fits(value, len(head))):
            yield f"{head} {_inline(value)}"
            return
        yield head
        if isinstance(value, dict):
            yield from _map_lines(value, indent + 2)
        else:
            yield from _list_lines(list(value), indent + 2)
        return
    if isinstance(value, str) and "\n" in value and not is_compact and _blockable(value):
        yield from _block(head, value, indent)
    else:
        yield f"{head} {_json(value) if is_compact else _scalar(value)}"


def _blockable(text: str) -> bool:
    return not _BLOCK.search(text) and not text.startswith((" ", "\t", "\n")) and bool(text.strip())


def _block(head: str, text: str, indent: int) -> Iterator[str]:
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    chomp = "-" if ends == 0 else "" if ends == 1 else "+"
    pad = " " * (indent + 2)
    yield f"{head} |{chomp}"
    for line in [*body.split("\n"), *[""] * max(0, ends - 1)]:
        yield f"{pad}{line}" if line else ""


def _fits(value: Any, used: int) -> bool:
    """Whether a list or map is plain enough for one line."""
    if not value:
        return True
    if _depth(value) > 3 or (isinstance(value, dict) and value.get("flow")):
        return False
    text = _inline(value)
    return len(text) <= _INLINE and used + len(text) <= _WIDTH


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(item) for item in value.values()), default=0)
    if isinstance(value, list | tuple):
        return 1 + max((_depth(item) for item in value), default=0)
    return 0


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{_key(str(key))}: {_inline(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return _scalar(value)


def _key(name: str) -> str:
    # Keys are always text to our reader, so module ids and `on` need no quotes.
    return name if name == "on" or (name.isascii() and name.isdigit()) else _scalar(name)


def _scalar(value: Any) -> str:
    if (
        isinstance(value, str)
        and len(value) < 500
        and _PLAIN.match(value)
        and value.lower() not in _WORDS
        and not value.endswith(" ")
    ):
        return value
    return _json(value)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # What JSON leaves as it is and YAML does not: other line ends, controls, a byte order mark.
    return _BLOCK.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
