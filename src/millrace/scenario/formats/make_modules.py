"""One module of a Make export and ours: what belongs to what, in both directions.

Much in an export has no meaning for us or several spellings for one meaning, and all of it must
come back unchanged. So a module is not inverted exactly. It is read for its meaning, written back
in one regular way, and where that differs from the original the original is kept beside the module,
under ``make``. On export such an original is put back wherever it still means the same as what
would be written; an edited module therefore shows its edits and keeps the rest.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from millrace.expressions import OPERATOR_ALIASES
from millrace.scenario.model import Filter

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class MakeModule:
    """How one module of Make's becomes one of ours."""

    module: str
    """Ours: ``http:request``."""

    rename: Mapping[str, str] = field(default_factory=dict)
    """Their parameter → ours; dots go into collections on both sides. ``*`` names our collection
    for all fields that are not named; an empty text drops a parameter that means nothing here."""

    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Ours → their value → our value. Their value is looked up as text, so ``true`` finds True."""

    constants: Mapping[str, Any] = field(default_factory=dict)
    """Ours, set on import because their module is one special case of ours."""

    resource: Mapping[str, str] = field(default_factory=dict)
    """Their parameter → what of the team's it names: ``{"hook": "webhook"}``."""

    static: tuple[str, ...] = ()
    """Theirs that stand in `parameters` and not in `mapper`, for modules that were made here."""


_AGGREGATOR = {
    "feeder": "source",
    "flags.groupBy": "group_by",
    "flags.stopIfEmpty": "stop_if_empty",
}

BUILTIN: Mapping[str, MakeModule] = {
    "builtin:BasicRouter": MakeModule(module="flow:router"),
    "builtin:BasicIfElse": MakeModule(module="flow:if"),
    "builtin:BasicFeeder": MakeModule(module="flow:iterator"),
    "builtin:BasicRepeater": MakeModule(module="flow:repeater"),
    "builtin:BasicAggregator": MakeModule(
        module="flow:array-aggregator",
        rename={**_AGGREGATOR, "target": "target", "*": "fields"},
        static=("feeder", "target"),
    ),
    "builtin:Ignore": MakeModule(module="flow:ignore"),
    "builtin:Resume": MakeModule(module="flow:resume"),
    "builtin:Commit": MakeModule(module="flow:commit"),
    "builtin:Rollback": MakeModule(module="flow:rollback"),
    "builtin:Break": MakeModule(module="flow:break"),
    # Not Make's own, but what people and language models write for util:FunctionSleep.
    "builtin:Sleep": MakeModule(
        module="tools:sleep",
        rename={"timeout": "duration", "delay": "duration", "seconds": "duration"},
    ),
}
"""What the engine itself carries out; everything else comes from the apps."""

_BY_TYPE = {
    "account": "connection",
    "hook": "webhook",
    "keychain": "key",
    "datastore": "data_store",
    "udt": "structure",
}
_BY_NAME = {"__IMTCONN__": "connection", "__IMTHOOK__": "webhook", "hook": "webhook"}
_BY_NAME |= {"datastore": "data_store"}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What one module of an export means, without the flows inside it."""

    id: str
    version: int | None
    name: str
    place: tuple[float, float] | None
    parameters: Mapping[str, Any]
    resources: Mapping[str, str]
    filter: Filter | None
    fallback: int | None
    """Router: which route is taken when no other was."""


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; 1, 1.0 and true are three."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def whole_number(value: Any) -> int | None:
    """The whole number that a value says, also as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value) if len(value) < 19 else None
    return value if isinstance(value, int) else None


def truth(value: Any, default: bool) -> bool:
    """The truth that a value says, also as text."""
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(
            value.strip().lower(), default
        )
    return bool(value) if isinstance(value, bool | int | float) else default


def spec_of(name: str, known: Mapping[str, MakeModule]) -> MakeModule | None:
    """The conversion for one of Make's modules."""
    return known.get(name) or BUILTIN.get(name)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _get(data: Any, path: list[str]) -> tuple[bool, Any]:
    for step in path:
        if not isinstance(data, dict) or step not in data:
            return False, None
        data = data[step]
    return True, data


def _put(data: Json, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        inner = data.get(step)
        inner = dict(inner) if isinstance(inner, dict) else {}
        data[step] = inner
        data = inner
    data[path[-1]] = value


def _remove(data: Json, path: list[str]) -> None:
    """Take a value out, and the collections that are empty without it."""
    if len(path) > 1 and isinstance(inner := data.get(path[0]), dict):
        copy = dict(inner)
        _remove(copy, path[1:])
        data[path[0]] = copy
        if copy:
            return
        path = path[:1]
    if len(path) == 1:
        data.pop(path[0], None)


def _fitted(spec: MakeModule | None, theirs: Collection[str]) -> MakeModule | None:
    """The conversion with what every aggregator shares, when the module is one."""
    if spec is None or not ("feeder" in theirs or "feeder" in spec.rename):
        return spec
    return replace(spec, rename={**_AGGREGATOR, **spec.rename})


def _aggregates(spec: MakeModule | None) -> bool:
    return spec is not None and "feeder" in spec.rename


def to_ours(theirs: Json, spec: MakeModule | None) -> Json:
    """Our parameters for their `parameters`, `mapper` and ``flags.*`` in one map."""
    if spec is None:
        return dict(theirs)
    ours: Json = {}
    left = dict(theirs)
    for name, target in spec.rename.items():
        if name == "*":
            continue
        path = [name] if name in left else name.split(".")
        is_there, value = _get(left, path)
        if is_there:
            _remove(left, path)
            if name == "feeder" and (source := whole_number(value)) is not None:
                value = str(source)
            if target:
                chosen = spec.values.get(target, {})
                _put(ours, target.split("."), chosen.get(_text(value), value))
    rest = spec.rename.get("*", "")
    for name, value in left.items():
        chosen = spec.values.get(name, {}) if not rest else {}
        path = [*rest.split("."), name] if rest else [name]
        _put(ours, path, chosen.get(_text(value), value))
    for name, value in spec.constants.items():
        _put(ours, name.split("."), value)
    return ours


def to_theirs(ours: Mapping[str, Any], spec: MakeModule | None) -> Json:
    """The regular way to say our parameters in Make."""
    if spec is None:
        return dict(ours)
    left: Json = dict(ours)
    theirs: Json = {}
    for name, value in spec.constants.items():
        if _get(left, name.split(".")) == (True, value):
            _remove(left, name.split("."))
    rest = spec.rename.get("*", "")
    for name, target in spec.rename.items():
        if name == "*" or not target:
            continue
        is_there, value = _get(left, target.split("."))
        if is_there:
            _remove(left, target.split("."))
            path = [name] if name.startswith("flags.") else name.split(".")
            said = _back(value, spec.values.get(target, {}))
            if name == "feeder" and isinstance(said, str) and said.isdigit():
                said = int(said)
            if not _get(theirs, path)[0]:
                _put(theirs, path, said)
    if rest:
        is_there, fields = _get(left, rest.split("."))
        if is_there and isinstance(fields, dict):
            _remove(left, rest.split("."))
            theirs |= fields
    for name, value in left.items():
        theirs.setdefault(name, _back(value, spec.values.get(name, {})))
    return theirs


def _back(value: Any, chosen: Mapping[str, Any]) -> Any:
    for theirs, ours in chosen.items():
        if same(ours, value):
            return {"true": True, "false": False}.get(theirs, theirs)
    return value


def declared(module: Json) -> Iterator[Json]:
    """The fields that Make's editor knew of a module, static ones first."""
    metadata = module.get("metadata")
    for key in ("parameters", "expect"):
        fields = metadata.get(key) if isinstance(metadata, dict) else None
        for each in fields if isinstance(fields, list) else ():
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                yield each


def resource_parameters(module: Json, spec: MakeModule | None) -> dict[str, str]:
    """Their parameter → our word for the resource it names; one parameter per word."""
    found: dict[str, str] = dict(spec.resource) if spec else {}
    for name, target in (spec.rename if spec else {}).items():
        if target == "structure":
            found.setdefault(name, target)
    taken = set(found.values())
    by_type = {
        str(each["name"]): word
        for each in declared(module)
        if (word := _BY_TYPE.get(str(each.get("type")).partition(":")[0]))
    }
    for name, word in {**by_type, **_BY_NAME}.items():
        if name not in found and word not in taken:
            found[name] = word
            taken.add(word)
    return found


def _names_resource(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip()) and "{{" not in value
    return isinstance(value, int) and not isinstance(value, bool)


def resource_type(module: Json, parameter: str) -> str:
    """``google`` for ``account:google``; empty when the export does not say."""
    for each in declared(module):
        if each["name"] == parameter:
            return str(each.get("type") or "").partition(":")[2].partition(",")[0]
    return ""


def resource_label(module: Json, parameter: str) -> str:
    """What its owner called the resource; exports from the editor say it."""
    metadata = module.get("metadata")
    path = ["restore", "parameters", parameter]
    is_there, said = _get(metadata, path) if isinstance(metadata, dict) else (False, None)
    if is_there and isinstance(said, dict):
        extra = said.get("data")
        label = said.get("label") or (extra.get("label") if isinstance(extra, dict) else None)
        return label if isinstance(label, str) else ""
    return ""


def _resource_name(module: Json, parameter: str, word: str, value: Any) -> str:
    # The id stays in the name: two accounts may have one label, and would be taken for one.
    label = resource_label(module, parameter) or resource_type(module, parameter)
    if not label and isinstance(value, str) and not value.isdigit():
        return value
    return f"{label or word.replace('_', ' ')} {value}"


def read_filter(said: Any) -> Filter | None:
    """The condition on a link; None when there is none. Broken rows are left out."""
    if isinstance(said, str) and said.strip():
        return Filter(expression=said)
    if isinstance(said, list):
        said = {"conditions": said}
    if not isinstance(said, dict):
        return None
    rows = said.get("conditions")
    rows = rows if isinstance(rows, list) else []
    if rows and all(isinstance(row, dict) for row in rows):
        # Written by hand without the outer list: the one row is an AND.
        rows = [rows]
    conditions = tuple(
        tuple(_condition(one) for one in row if isinstance(one, dict))
        for row in rows
        if isinstance(row, list) and row
    )
    name = said.get("name")
    name = name if isinstance(name, str) else ""
    return Filter(name=name, conditions=conditions) if conditions or name else None


def _condition(said: Json) -> Json:
    operator = said.get("o", said.get("operator"))
    made = {key: value for key, value in said.items() if key in ("a", "b")}
    made["o"] = "text:equal" if "b" in made else "exist"
    if isinstance(operator, str) and operator.strip():
        folded = operator.strip().lower()
        made["o"] = OPERATOR_ALIASES.get(folded, folded)
    return {key: made[key] for key in ("a", "o", "b") if key in made}


def write_filter(condition: Filter | None) -> Json | None:
    """The condition as Make says it; an expression becomes a comparison with true."""
    if condition is None:
        return None
    rows = [[dict(one) for one in row] for row in condition.conditions]
    if condition.expression is not None:
        rows = [[{"a": condition.expression, "o": "boolean:equal", "b": "true"}]]
    return {"name": condition.name, "conditions": rows}


def read_parts(module: Json, spec: MakeModule | None) -> Parts:
    """What a module of an export means."""
    theirs: Json = {}
    for key in ("parameters", "mapper"):
        if isinstance(said := module.get(key), dict):
            theirs |= said
    spec = _fitted(spec, theirs)
    if _aggregates(spec) and isinstance(flags := module.get("flags"), dict):
        theirs |= {f"flags.{name}": value for name, value in flags.items()}
    fallback = None
    if spec is not None and spec.module == "flow:router":
        fallback = whole_number(theirs.pop("else", None))
    resources = {}
    for name, word in resource_parameters(module, spec).items():
        if name in theirs and _names_resource(theirs[name]):
            resources[word] = _resource_name(module, name, word, theirs.pop(name))
    designer = _get(module.get("metadata"), ["designer"])[1]
    designer = designer if isinstance(designer, dict) else {}
    name, number = designer.get("name"), module.get("id")
    version = whole_number(module.get("version"))
    return Parts(
        id=number.strip() if isinstance(number, str) else str(number) if _is_id(number) else "",
        version=version if spec is None and version is not None and version >= 0 else None,
        name=name if isinstance(name, str) else "",
        place=_place(designer),
        parameters=to_ours(theirs, spec),
        resources=resources,
        filter=read_filter(module.get("filter")),
        fallback=fallback,
    )


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _place(designer: Json) -> tuple[float, float] | None:
    x, y = designer.get("x"), designer.get("y")
    if isinstance(x, bool) or isinstance(y, bool):
        return None
    return (x, y) if isinstance(x, int | float) and isinstance(y, int | float) else None


def write_parts(parts: Parts, name: str, spec: MakeModule | None, kept: Mapping[str, Any]) -> Json:
    """A module as Make says it, without the flows inside it.

    Args:
        parts: What it means.
        name: Make's name of the module.
        spec: Its conversion; None when it is not ours.
        kept: What stood beside it; empty for a module that was made here.
    """
    rest: Json = dict(kept.get("rest", {}))
    spec = _fitted(spec, kept.get("static", ()))
    theirs = _with_originals(to_theirs(parts.parameters, spec), kept, spec)
    flags: Json = {}
    if _aggregates(spec):
        flags = {key[6:]: theirs.pop(key) for key in [*theirs] if key.startswith("flags.")}
    bound = kept.get("resources", {})
    for word, named in parts.resources.items():
        back = [key for key, to in (spec.resource if spec else {}).items() if to == word]
        parameter, value = bound.get(word, (back[0] if back else _default_parameter(word), named))
        theirs[parameter] = value
    if parts.fallback is not None:
        theirs["else"] = parts.fallback
    static = set(kept["static"]) if "static" in kept else {*(spec.static if spec else ())}
    static |= {"feeder", "else", *(parameter for parameter, _ in bound.values())} - set(
        kept.get("mapped", ())
    )
    if "static" not in kept:
        static |= set(_BY_NAME) | set(spec.resource if spec else ())
    made: Json = {"id": parts.id, "module": name}
    if parts.id.isascii() and parts.id.isdigit():
        made["id"] = int(parts.id)
    if parts.version is not None:
        made["version"] = parts.version
    elif "version" in kept or not kept:
        made["version"] = kept.get("version", 1)
    made["parameters"] = {key: value for key, value in theirs.items() if key in static}
    if parts.filter is not None:
        made["filter"] = write_filter(parts.filter)
    made["mapper"] = {key: value for key, value in theirs.items() if key not in static}
    if flags:
        made["flags"] = flags
    metadata = rest.pop("metadata", {})
    designer = metadata.get("designer", {})
    designer = designer if isinstance(designer, dict) else {}
    place = {} if parts.place is None else {"x": parts.place[0], "y": parts.place[1]}
    label = {"name": parts.name} if parts.name else {}
    if place or label:
        metadata = {**metadata, "designer": {**place, **label, **designer}}
    if metadata or "metadata" in kept.get("rest", {}):
        made["metadata"] = metadata
    return {**made, **rest}


def _default_parameter(word: str) -> str:
    return {
        "webhook": "hook", "data_store": "datastore", "key": "keychain", "structure": "type",
    }.get(word, "__IMTCONN__")  # fmt: skip


def _with_originals(theirs: Json, kept: Mapping[str, Any], spec: MakeModule | None) -> Json:
    """Spellings of the original, where they still mean the same."""
    spelled: Json = kept.get("spelled", {})
    absent: list[str] = kept.get("absent_parameters", [])
    if not spelled and not absent:
        return theirs
    meant = to_ours(theirs, spec)
    every = {key: value for key, value in theirs.items() if key not in absent} | spelled
    if same(to_ours(every, spec), meant):
        return every
    for key, value in spelled.items():
        tried = {**theirs, key: value}
        if same(to_ours(tried, spec), meant):
            theirs = tried
    for key in absent:
        tried = {name: value for name, value in theirs.items() if name != key}
        if same(to_ours(tried, spec), meant):
            theirs = tried
    return theirs


HANDLED = ("id", "module", "version", "parameters", "mapper", "flags", "filter")
"""The keys of a module that `read_parts` understands wholly."""


def kept_of(
    module: Json, name: str, parts: Parts, spec: MakeModule | None, inner: set[str]
) -> Json:
    """What must stand beside a module so that it can be written back as it was.

    Args:
        module: The original.
        name: Its name in Make.
        parts: Its meaning, from `read_parts`; without the place when the layout cannot hold it.
        spec: Its conversion.
        inner: Its keys that hold flows and are kept with these.
    """
    kept: Json = {"was": name}
    if parts.version is None and "version" in module:
        kept["version"] = module["version"]
    rest = {key: value for key, value in module.items() if key not in {*HANDLED, *inner}}
    if isinstance(metadata := rest.get("metadata"), dict):
        rest["metadata"] = _trimmed(metadata, parts)
    else:
        rest.pop("metadata", None)
    theirs: Json = {}
    for key in ("parameters", "mapper"):
        if isinstance(said := module.get(key), dict):
            theirs |= said
    mapper = module.get("mapper") if isinstance(module.get("mapper"), dict) else {}
    kept["static"] = sorted(key for key in theirs if key not in (mapper or {}))
    bound = {
        word: [parameter, theirs[parameter]]
        for parameter, word in resource_parameters(module, spec).items()
        if word in parts.resources and parameter in theirs
    }
    if bound:
        kept["resources"] = bound
        if mapped := [parameter for parameter, _ in bound.values() if parameter in (mapper or {})]:
            kept["mapped"] = mapped
    if rest:
        kept["rest"] = rest
    spec = _fitted(spec, theirs)
    regular = to_theirs(parts.parameters, spec)
    elsewhere = {parameter for parameter, _ in bound.values()}
    if parts.fallback is not None:
        elsewhere.add("else")
    shown = {key: value for key, value in theirs.items() if key not in elsewhere}
    if spelled := {
        key: value
        for key, value in shown.items()
        if key not in regular or not same(regular[key], value)
    }:
        kept["spelled"] = spelled
    if absent := sorted(
        key for key in regular if key not in theirs and not key.startswith("flags.")
    ):
        kept["absent_parameters"] = absent
    made = write_parts(parts, name, spec, kept)
    keys = [*HANDLED, "metadata"]
    exact = {
        key: module[key]
        for key in keys
        if key in module and (key not in made or not same(made[key], module[key]))
    }
    if exact:
        kept["exact"] = exact
    if absent := [key for key in keys if key in made and key not in module]:
        kept["absent"] = absent
    return kept


def has_place(kept: Mapping[str, Any]) -> bool:
    """Whether a place was kept that the layout could not hold."""
    metadata = kept.get("rest", {}).get("metadata", {})
    return _get(metadata, ["designer", "x"])[0]


def _trimmed(metadata: Json, parts: Parts) -> Json:
    """The editor's metadata without what the model holds."""
    designer = metadata.get("designer")
    if not isinstance(designer, dict):
        return metadata
    taken = {"x", "y"} if parts.place is not None else set()
    taken |= {"name"} if parts.name else set()
    left = {key: value for key, value in designer.items() if key not in taken}
    trimmed = {key: value for key, value in metadata.items() if key != "designer"}
    return {**trimmed, "designer": left} if left or not taken else trimmed


def restored(made: Json, parts: Parts, kept: Mapping[str, Any], spec: MakeModule | None) -> Json:
    """A written module with the original's spellings, where they still mean the same."""
    # A filter that is an expression is written as a comparison, which reads differently.
    meant = replace(read_parts(made, spec), filter=parts.filter)
    every = {key: value for key, value in made.items() if key not in kept.get("absent", ())}
    every |= kept.get("exact", {})
    if read_parts(every, spec) == meant:
        return every
    read = read_parts(made, spec)
    for key, value in kept.get("exact", {}).items():
        tried = {**made, key: value}
        if read_parts(tried, spec) == (meant if key == "filter" else read):
            made = tried
            read = read_parts(made, spec)
    for key in kept.get("absent", ()):
        tried = {name: value for name, value in made.items() if name != key}
        if read_parts(tried, spec) == read:
            made = tried
    return made
