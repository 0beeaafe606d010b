"""From the bytes of a file to plain data, with limits; and nothing more.

JSON and YAML give the same data: None, bool, int, float, str, list and dict with text keys. YAML is
read as its parser's events, not through a loader, for four reasons: nesting cannot exhaust the
stack, an alias cannot multiply, a key written twice is seen, and a plain scalar means what JSON
would read and is text otherwise. So ``on``, ``yes``, ``07:00``, ``2026-01-31``, ``+420`` and
``007`` stay text.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from millrace.errors import ScenarioInvalid
from millrace.scenario.problems import Problem, invalid, path_of

MAX_BYTES = 10 * 1024 * 1024
"""Size of a file. Make allows 5 MB (Workfront Fusion help, "blueprint", read 2026-11-21)."""

MAX_DEPTH = 100
"""Lists and maps inside each other."""

MAX_VALUES = 1_000_000
"""Values in one file, an aliased one counted each time it is used."""

_BY_HAND = 1024 * 1024
"""Larger JSON texts were written by programs; their faults are not worth a second, slow reading."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_CORE_TAGS = {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
}
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_data(source: str | bytes) -> Any:
    """The plain data that a JSON or YAML text says.

    Raises:
        ScenarioInvalid: The text is too large, nested too deep, not UTF-8 or UTF-16, or not well
            formed; the message says where.
    """
    text = decode(source)
    if not text.strip():
        raise _whole("the file is empty")
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _read_json(text)
        except json.JSONDecodeError as error:
            # What people write by hand: a comma too many, a comment, a bare key. YAML's inline
            # style allows these; where it does not, the complaint about the JSON is the useful one.
            where = f"line {error.lineno}, column {error.colno}"
            refused = _whole(f"not valid JSON at {where}: {error.msg}")
            if len(text) > _BY_HAND:
                raise refused from None
            try:
                return _read_yaml(text)
            except ScenarioInvalid as again:
                if getattr(again.problems[0], "code", "") != "syntax":
                    raise
                raise refused from None
    return _read_yaml(text)


def decode(source: str | bytes) -> str:
    """The text of a file: UTF-8, or UTF-16/32 with a byte order mark.

    Raises:
        ScenarioInvalid: Another encoding, or more than `MAX_BYTES`.
    """
    if len(source) > MAX_BYTES:
        raise _whole(f"the file is larger than {MAX_BYTES // 1024 // 1024} MB", "size")
    if isinstance(source, str):
        return source.removeprefix("\ufeff")
    encoding = "utf-8-sig"
    if source[:4] in (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"):
        encoding = "utf-32"
    elif source[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    try:
        return source.decode(encoding)
    except UnicodeDecodeError as error:
        raise _whole(
            f"byte {error.start + 1} is not {encoding.removesuffix('-sig').upper()}; "
            "save the file as UTF-8",
            "encoding",
        ) from None


def _whole(message: str, code: str = "syntax") -> ScenarioInvalid:
    return invalid([Problem(path="", message=message, code=code)])


def _too_deep(parts: list[str | int]) -> Problem:
    return Problem(
        path=path_of(parts[:5]), message=f"nested more than {MAX_DEPTH} levels deep", code="depth"
    )


def _too_many() -> Problem:
    return Problem(path="", message=f"the file says more than {MAX_VALUES:,} values", code="size")


def _not_finite(parts: list[str | int]) -> Problem:
    return Problem(path=path_of(parts), message="this number is too large", code="number")


def _twice(parts: list[str | int], line: int | None = None) -> Problem:
    where = "" if line is None else f" (again in line {line})"
    return Problem(
        path=path_of(parts), message=f"this key is written twice{where}", code="duplicate-key"
    )


def _read_json(text: str) -> Any:
    repeated: dict[int, list[str]] = {}

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) != len(items):
            times = Counter(name for name, _ in items)
            repeated[id(made)] = sorted(name for name, count in times.items() if count > 1)
        return made

    def constant(name: str) -> float:
        raise _whole(f"{name} is not a JSON number", "number")

    try:
        data = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except RecursionError:
        raise invalid([_too_deep([])]) from None
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python refuses to read integers of more than 4300 digits.
        raise _whole("a number in the file has too many digits", "number") from None
    problems = _inspect(data, repeated)
    if problems:
        raise invalid(problems)
    # Half of a UTF-16 pair cannot be stored anywhere; services that cut texts produce it.
    return _mended(data) if "\\ud" in text or "\\uD" in text else data


def _inspect(data: Any, repeated: dict[int, list[str]]) -> list[Problem]:
    problems: list[Problem] = []
    waiting: list[tuple[Any, tuple[str | int, ...]]] = [(data, ())]
    count = 0
    while waiting:
        value, parts = waiting.pop()
        count += 1 if not isinstance(value, list) else 1 + len(value)
        if count > MAX_VALUES:
            return [_too_many()]
        if isinstance(value, float) and not math.isfinite(value):
            problems.append(_not_finite([*parts]))
        if not isinstance(value, dict | list):
            continue
        if len(parts) >= MAX_DEPTH:
            return [_too_deep([*parts])]
        if isinstance(value, list):
            waiting.extend((item, (*parts, index)) for index, item in enumerate(value))
            continue
        problems.extend(_twice([*parts, name]) for name in repeated.get(id(value), ()))
        waiting.extend((item, (*parts, name)) for name, item in value.items())
    return problems


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return value


class _Open:
    """A list or map that is being read."""

    __slots__ = ("anchor", "count", "data", "key")

    def __init__(self, data: Any, anchor: str | None) -> None:
        self.data = data
        self.anchor = anchor
        self.key: str | None = None
        self.count = 1


def _read_yaml(text: str) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _YamlReader(text).read(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        what = error.problem or error.context or "it cannot be read"
        raise _whole(f"not valid YAML{where}: {what}") from None
    except (yaml.YAMLError, UnicodeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise _whole(f"not valid YAML: {reason}") from None


class _YamlReader:
    """Builds plain data from YAML events, with a stack of its own."""

    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.documents = 0
        self.result: Any = None

    def read(self, events: Any) -> Any:
        import yaml

        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._start(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._end()
            elif isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise _whole("the file holds more than one YAML document; keep one", "shape")
        if self.problems:
            raise invalid(self.problems)
        return self.result

    def _parts(self) -> list[str | int]:
        return [
            len(at.data) if isinstance(at.data, list) else (at.key or "")
            for at in self.stack
            if isinstance(at.data, list) or at.key is not None
        ]

    def _problem(self, event: Any, message: str) -> Problem:
        line = event.start_mark.line + 1
        return Problem(path=path_of(self._parts()), message=f"{message} (line {line})")

    def _scalar(self, event: Any) -> None:
        if self._wants_key():
            self._key(event)
            return
        value: Any = event.value
        if event.tag is not None and event.tag not in _CORE_TAGS | {"!"}:
            self.problems.append(self._problem(event, f"the tag {event.tag} means nothing here"))
        elif event.implicit[0] or (event.tag and not event.tag.endswith(":str") and value):
            value = self._plain(value)
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        self._put(value, 1)

    def _plain(self, value: str) -> Any:
        if value in _WORDS:
            return _WORDS[value]
        if (number := _NUMBER.match(value)) is None:
            return value
        if number[1] or number[2]:
            if not math.isfinite(made := float(value)):
                self.problems.append(_not_finite(self._parts()))
            return made
        # Longer digit strings are identifiers, and Python refuses to read very long ones.
        return int(value) if len(value) <= 30 else value

    def _wants_key(self) -> bool:
        return (
            bool(self.stack)
            and isinstance(self.stack[-1].data, dict)
            and (self.stack[-1].key is None)
        )

    def _key(self, event: Any) -> None:
        at = self.stack[-1]
        at.key = event.value
        if event.value in at.data:
            self.problems.append(_twice(self._parts(), event.start_mark.line + 1))

    def _start(self, event: Any, data: Any) -> None:
        if self._wants_key():
            raise invalid([self._problem(event, "a key must be a text, not a list or a map")])
        if len(self.stack) >= MAX_DEPTH:
            raise invalid([_too_deep(self._parts())])
        if event.tag is not None and event.tag not in _CORE_TAGS:
            self.problems.append(self._problem(event, f"the tag {event.tag} means nothing here"))
        self.stack.append(_Open(data, event.anchor))

    def _end(self) -> None:
        done = self.stack.pop()
        if done.anchor:
            self.anchors[done.anchor] = (done.data, done.count)
        self._put(done.data, done.count)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            inside = any(at.anchor == event.anchor for at in self.stack)
            what = "stands inside what it names" if inside else "names nothing"
            raise invalid([self._problem(event, f"the alias *{event.anchor} {what}")])
        if self._wants_key():
            raise invalid([self._problem(event, "a key must be a text, not an alias")])
        self._put(*self.anchors[event.anchor])

    def _put(self, value: Any, count: int) -> None:
        if not self.stack:
            self.result = value
            return
        at = self.stack[-1]
        at.count += count
        if at.count > MAX_VALUES:
            raise invalid([_too_many()])
        if isinstance(at.data, list):
            at.data.append(value)
        else:
            at.data[at.key] = value
            at.key = None
