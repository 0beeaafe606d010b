"""Read the YAML of an app folder: fast, strict, with the line of every mistake.

Stricter than YAML 1.1 where that surprises people: only ``true`` and ``false`` are booleans, dates
stay text, keys are text, a key given twice is an error, and there are no tags.
"""

from __future__ import annotations

import difflib
import re
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from millrace.errors import ManifestInvalid

T = TypeVar("T")

_NUMBER = re.compile(
    r"(?P<int>[-+]?(?:0|[1-9][0-9]*))"
    r"|[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)"
)
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<name>[^`]+)`")
_PLACE = re.compile(r" - at `(?P<path>[^`]+)`$")
_STEP = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")

Lines = dict[tuple[str | int, ...], int]
"""Path of keys and indexes → line, 1-based."""


def parse_yaml(text: str, *, file: str = "<text>", lines: Lines | None = None) -> Any:
    """Read one YAML document as plain data.

    Args:
        text: The document.
        file: Named in messages.
        lines: When given, filled with the line of every value.

    Raises:
        ManifestInvalid: not YAML, a key twice or a tag; with file and line.
    """
    import yaml

    parser = getattr(yaml, "CLoader", yaml.Loader)(text)

    anchors: dict[str, Any] = {}

    def wrong(message: str, mark: Any) -> ManifestInvalid:
        return ManifestInvalid(f"{file}:{mark.line + 1}: {message}")

    def build(event: Any, path: tuple[str | int, ...]) -> Any:
        if lines is not None:
            lines[path] = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise wrong(f"there is no anchor {event.anchor}", event.start_mark)
            return anchors[event.anchor]
        value = build_value(event, path)
        if event.anchor is not None:
            anchors[event.anchor] = value
        return value

    def build_value(event: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value) if event.implicit[0] else event.value
        if event.tag is not None and not event.implicit:
            raise wrong(f"the tag {event.tag} is not used here", event.start_mark)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := parser.get_event(), yaml.SequenceEndEvent):
                items.append(build(event, (*path, len(items))))
            return items
        mapping: dict[str, Any] = {}
        while not isinstance(event := parser.get_event(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise wrong("a key must be a text", event.start_mark)
            key = event.value
            if key in mapping:
                raise wrong(f"the key {key} is given twice", event.start_mark)
            mark = event.start_mark
            mapping[key] = build(parser.get_event(), (*path, key))
            if lines is not None:
                lines[(*path, key)] = mark.line + 1
        return mapping

    try:
        parser.get_event()
        if isinstance(parser.get_event(), yaml.StreamEndEvent):
            return None
        value = build(parser.get_event(), ())
        parser.get_event()
        if not isinstance(parser.get_event(), yaml.StreamEndEvent):
            raise ManifestInvalid(f"{file}: one document per file, please")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ManifestInvalid(f"{file}:{line}: {error.problem}") from error
    except RecursionError as error:
        raise ManifestInvalid(f"{file}: nested too deeply") from error
    finally:
        parser.dispose()
    return value


def _scalar(text: str) -> Any:
    """A plain scalar as YAML 1.2's core schema reads it, without octal and hexadecimal."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "-+.0123456789" and (match := _NUMBER.fullmatch(text)):
        return int(text) if match["int"] is not None else float(text)
    return text


def read_document(path: Path, type_: type[T], *, file: str | None = None) -> T:
    """Read one YAML file into the type that declares its shape.

    Args:
        path: The file.
        type_: A msgspec struct, or a list of them.
        file: How messages name the file; default its last two parts.

    Raises:
        ManifestInvalid: with file, line, what is wrong and the nearest known name.
    """
    shown = file or f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestInvalid(f"{shown}: cannot be read: {type(error).__name__}") from error
    data = parse_yaml(text, file=shown)
    try:
        return msgspec.convert(data, type_)
    except msgspec.ValidationError as error:
        raise _explain(error, text, type_, shown) from error


def _explain(error: Exception, text: str, type_: Any, file: str) -> ManifestInvalid:
    """A validation error with the line of the place and the nearest known name."""
    message, path = str(error), ""
    if place := _PLACE.search(message):
        message, path = message[: place.start()], place["path"]
    steps: list[str | int] = []
    for step in _STEP.finditer(path):
        if step["any"]:
            break
        steps.append(int(step["index"]) if step["index"] else step["key"])
    unknown = _UNKNOWN_FIELD.search(message)
    if unknown:
        name = unknown["name"]
        near = difflib.get_close_matches(name, sorted(_field_names(type_)), n=1)
        message = f"unknown key {name}" + (f"; did you mean {near[0]}?" if near else "")
        if " " in name:
            message = f"a text that holds a comma needs quotes inside braces: ... {name}"
        steps.append(name)
    lines: Lines = {}
    parse_yaml(text, file=file, lines=lines)
    while steps and tuple(steps) not in lines:
        steps.pop()
    where = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).lstrip(".")
    return ManifestInvalid(
        f"{file}:{lines.get(tuple(steps), 1)}: {where + ': ' if where else ''}{message}"
    )


@cache
def _field_names(type_: Any) -> frozenset[str]:
    """Every key that may stand anywhere in a document of this type."""
    names: set[str] = set()
    seen: set[Any] = set()

    def visit(node: Any) -> None:
        if node in seen:
            return
        seen.add(node)
        if isinstance(node, type) and issubclass(node, msgspec.Struct):
            for field in msgspec.structs.fields(node):
                names.add(field.encode_name)
                visit(field.type)
        for argument in getattr(node, "__args__", ()):
            visit(argument)

    visit(type_)
    return frozenset(names)
