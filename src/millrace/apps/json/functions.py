"""JSON texts into bundles and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from millrace.appkit import ERASE, Answer, Binary, Call, to_json, to_text
from millrace.apps.json.reading import read_json
from millrace.apps.json.structure import Structure
from millrace.errors import DataError

_WHOLE_FLOAT = re.compile(r"[0-9]\.0[,\]}]|[0-9]\.0$|[0-9]e[+-]?[0-9]")


def parse(call: Call) -> Answer:
    """One bundle, or one for each element of an array."""
    value = read_json(call, call.parameters["json"])
    bundles = [
        element if isinstance(element, dict) else {"value": element}
        for element in (value if isinstance(value, list) else [value])
    ]
    structure = Structure.of(call.parameters.get("structure"), call.zone)
    if structure is None:
        return bundles
    if isinstance(value, list):
        return [structure.fit(bundle, f"element {n}: ") for n, bundle in enumerate(bundles, 1)]
    return structure.fit(bundles[0])


def create(call: Call) -> Answer:
    """The open parameters as one object."""
    fields = _fields(call.parameters)
    structure = Structure.of(call.parameters.get("structure"), call.zone)
    if structure is not None:
        fields = structure.fit(fields)
    return {"json": _write(fields, call)}


def transform(call: Call) -> Answer:
    """One value."""
    return {"json": _write(call.parameters.get("object"), call)}


def aggregate(call: Call) -> Answer:
    """One object for each gathered bundle."""
    objects = [_fields(bundle) for bundle in call.bundles]
    structure = Structure.of(call.parameters.get("structure"), call.zone)
    if structure is not None:
        objects = [structure.fit(fields, f"bundle {n}: ") for n, fields in enumerate(objects, 1)]
    return {"json": _write(objects, call)}


def _fields(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in parameters if name not in ("structure", "indent")}


def _write(value: Any, call: Call) -> str:
    text = _compact(value)
    indent = call.parameters.get("indent")
    if indent in (None, "none"):
        return text
    import msgspec

    shown = msgspec.json.format(text, indent=1 if indent == "tab" else int(indent))
    if indent != "tab":
        return shown
    # A text in JSON has no raw line break, so a space after one is always indentation.
    return re.sub(r"\n +", lambda m: "\n" + "\t" * (len(m[0]) - 1), shown)


def _compact(value: Any) -> str:
    """What ``toJSON`` of the expressions gives, ten times as fast.

    The encoder in C leaves to a hook what it does not know, and writes a whole float as ``2.0``:
    when a text looks like that, the slow way is taken.
    """
    import json

    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
        )
    except (ValueError, RecursionError) as error:
        raise DataError("the value cannot be written as JSON: too deep, or not finite") from error
    return to_json(value) if _WHOLE_FLOAT.search(text) else text


def _plain(value: Any) -> Any:
    """Dates, files and bytes in the kinds that JSON has."""
    return None if value is ERASE else to_text(value.name if isinstance(value, Binary) else value)
