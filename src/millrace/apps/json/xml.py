"""Collections as XML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from millrace.appkit import Answer, Call, to_text
from millrace.apps.json.reading import read_json
from millrace.errors import DataError

_WRONG_IN_NAME = re.compile(r"[^\w.-]")
_WRONG_FIRST = re.compile(r"[^A-Za-z_\u00c0-\uffff]")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(call: Call) -> Answer:
    """JSON as elements; ``_attributes`` and ``_value`` become attributes and text."""
    value = read_json(call, call.parameters["json"])
    root = _name(call.parameters.get("root") or "root")
    if isinstance(value, list):
        value = {"item": value}
    parts = ['<?xml version="1.0" encoding="UTF-8"?>'] if call.parameters["declaration"] else []
    parts.extend(_element(root, value, ""))
    return {"xml": "".join(parts)}


def _element(name: str, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _leaf(name, "", _text(value, path))
        return
    attributes = value.get("_attributes")
    shown = ""
    if isinstance(attributes, Mapping):
        shown = "".join(
            f" {_name(key)}={quoteattr(_text(item, f'{path}{key}: '))}"
            for key, item in attributes.items()
        )
    children = [key for key in value if key not in ("_attributes", "_value")]
    text = _text(value.get("_value"), path)
    if not children:
        yield _leaf(name, shown, text)
        return
    yield f"<{name}{shown}>{escape(text)}"
    for key in children:
        items = value[key]
        for item in items if isinstance(items, list) else [items]:
            yield from _element(_name(key), item, f"{key}: ")
    yield f"</{name}>"


def _leaf(name: str, attributes: str, text: str) -> str:
    return f"<{name}{attributes}>{escape(text)}</{name}>" if text else f"<{name}{attributes}/>"


def _text(value: Any, path: str) -> str:
    text = "" if value is None else to_text(value)
    if _NOT_XML.search(text):
        raise DataError(f"{path}the text has a control character, which XML cannot hold")
    return text


def _name(key: str) -> str:
    """An element name out of any key."""
    name = _WRONG_IN_NAME.sub("_", key)
    return f"_{name}" if not name or _WRONG_FIRST.match(name) else name
