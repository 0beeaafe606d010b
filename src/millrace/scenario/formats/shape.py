"""Declarations of what a file may say: one of them reads, complains and gives the JSON Schema.

A shape reads a plain value into what its reader wants, or notes problems and gives None. Nothing
stops at the first problem: whoever mends a file wants to see them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from millrace.scenario.problems import Problem, nearest, path_of

Parts = tuple[str | int, ...]
JsonSchema = dict[str, Any]


class Findings:
    """The problems of one reading."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, parts: Parts, message: str, code: str = "shape") -> None:
        """Note one problem at a place."""
        self.problems.append(Problem(path=path_of(parts), message=message, code=code))


class Shape(Protocol):
    """What a value in a file may be."""

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """The value as the model wants it; None after noting a problem."""
        ...

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """The JSON Schema; named shapes put themselves into `definitions` once."""
        ...


def kind_of(value: Any) -> str:
    """What a person calls a value of plain data."""
    if isinstance(value, bool):
        return f"{value}".lower()
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return {list: "a list", dict: "a map"}.get(type(value), "nothing")


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text; a whole number is taken as one, so that ``name: 2026`` needs no quotes."""

    pattern: str | None = None
    choices: tuple[str, ...] = ()

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            findings.add(parts, f"a text is expected, not {kind_of(value)}; put it in quotes")
            return None
        if self.choices and value not in self.choices:
            known = ", ".join(self.choices)
            findings.add(parts, f"must be one of {known}{nearest(value, self.choices)}", "choice")
            return None
        return value

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        made: JsonSchema = {"type": "string"}
        if self.pattern:
            made["pattern"] = self.pattern
        if self.choices:
            made = {"enum": list(self.choices)}
        return made


@dataclass(frozen=True, kw_only=True)
class Flag:
    """True or false; ``yes`` and ``on`` are texts."""

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        if isinstance(value, bool):
            return value
        findings.add(parts, f"true or false is expected, not {kind_of(value)}")
        return None

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        return {"type": "boolean"}


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole number within bounds."""

    minimum: int | None = None
    maximum: int | None = None

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        if not isinstance(value, int) or isinstance(value, bool):
            findings.add(parts, f"a whole number is expected, not {kind_of(value)}")
        elif self.minimum is not None and value < self.minimum:
            findings.add(parts, f"must be at least {self.minimum}", "range")
        elif self.maximum is not None and value > self.maximum:
            findings.add(parts, f"must be at most {self.maximum}", "range")
        else:
            return value
        return None

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        made: JsonSchema = {"type": "integer"}
        if self.minimum is not None:
            made["minimum"] = self.minimum
        if self.maximum is not None:
            made["maximum"] = self.maximum
        return made


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number, whole or not."""

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        findings.add(parts, f"a number is expected, not {kind_of(value)}")
        return None

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        return {"type": "number"}


@dataclass(frozen=True, kw_only=True)
class Anything:
    """Any plain data, as written."""

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        return value

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        return {}


@dataclass(frozen=True, kw_only=True)
class ListOf:
    """A list; read into a tuple."""

    item: Shape
    length: int | None = None
    hint: str = ""
    """What to do instead, said when something else than a list was found."""

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        if not isinstance(value, list):
            hint = f"; {self.hint}" if self.hint else ""
            findings.add(parts, f"a list is expected, not {kind_of(value)}{hint}")
            return None
        if self.length is not None and len(value) != self.length:
            findings.add(parts, f"{self.length} items are expected, not {len(value)}")
            return None
        return tuple(
            self.item.read(item, (*parts, index), findings) for index, item in enumerate(value)
        )

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        made: JsonSchema = {"type": "array", "items": self.item.schema(definitions)}
        if self.length is not None:
            made |= {"minItems": self.length, "maxItems": self.length}
        return made


@dataclass(frozen=True, kw_only=True)
class MapOf:
    """A map from names of the author's choice."""

    value: Shape

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        if not isinstance(value, dict):
            findings.add(parts, f"a map is expected, not {kind_of(value)}")
            return None
        return {
            name: self.value.read(item, (*parts, name), findings) for name, item in value.items()
        }

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        return {"type": "object", "additionalProperties": self.value.schema(definitions)}


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of a record."""

    shape: Shape
    doc: str
    is_required: bool = False
    default: Any = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """A map with known keys; read into a dict of those that were given, or into what `build` makes.

    A key whose value is null counts as not given, unless any value may stand there.
    """

    keys: Mapping[str, Key]
    doc: str = ""
    build: Callable[[dict[str, Any], Parts, Findings], Any] | None = None
    """Called only when nothing was wrong inside; may still note problems."""

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        if not isinstance(value, dict):
            findings.add(parts, f"a map is expected, not {kind_of(value)}")
            return None
        before = len(findings.problems)
        found: dict[str, Any] = {}
        for name, item in value.items():
            key = self.keys.get(name)
            if key is None:
                message = f"unknown key{nearest(name, self.keys)}"
                findings.add((*parts, name), message, "unknown-key")
            elif item is not None or isinstance(key.shape, Anything):
                found[name] = key.shape.read(item, (*parts, name), findings)
        for name, key in self.keys.items():
            if key.is_required and name not in found:
                findings.add((*parts, name), "is missing", "missing-key")
        if len(findings.problems) > before:
            return None
        return found if self.build is None else self.build(found, parts, findings)

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        properties: dict[str, Any] = {}
        for name, key in self.keys.items():
            properties[name] = key.shape.schema(definitions) | {"description": key.doc}
            if key.default is not None:
                properties[name]["default"] = key.default
        made: JsonSchema = {"type": "object", "properties": properties}
        if self.doc:
            made["description"] = self.doc
        if required := [name for name, key in self.keys.items() if key.is_required]:
            made["required"] = required
        return made | {"additionalProperties": False}


@dataclass(frozen=True, kw_only=True)
class Named:
    """A shape that others refer to by name, which is how shapes hold themselves."""

    name: str
    get: Callable[[], Shape]

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        return self.get().read(value, parts, findings)

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        if self.name not in definitions:
            definitions[self.name] = {}
            definitions[self.name] = self.get().schema(definitions)
        return {"$ref": f"#/$defs/{self.name}"}


@dataclass(frozen=True, kw_only=True)
class Either:
    """One of several shapes, told apart by the type of the value."""

    by_type: Mapping[type, Shape]
    expected: str
    build: Callable[[Any], Any] | None = None

    def read(self, value: Any, parts: Parts, findings: Findings) -> Any:
        """See `Shape`."""
        shape = self.by_type.get(type(value))
        if shape is None:
            findings.add(parts, f"{self.expected} is expected, not {kind_of(value)}")
            return None
        before = len(findings.problems)
        made = shape.read(value, parts, findings)
        return made if self.build is None or len(findings.problems) > before else self.build(made)

    def schema(self, definitions: dict[str, JsonSchema]) -> JsonSchema:
        """See `Shape`."""
        return {"anyOf": [shape.schema(definitions) for shape in self.by_type.values()]}
