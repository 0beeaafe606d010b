"""Collections into XML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from millrace.appkit import Answer, Call, to_text
from millrace.errors import BundleValidationError, DataError

DEEPEST = 100

_NAME = re.compile(r"[A-Za-z_\u00c0-\uffff][\w.-]*(?::[A-Za-z_\u00c0-\uffff][\w.-]*)?")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OWN = {
    "content",
    "structure",
    "root",
    "public_id",
    "system_id",
    "strip_declaration",
    "indent",
}


def create(call: Call) -> Answer:
    """A document of the content, or of the open parameters."""
    given = call.parameters
    content = given.get("content")
    if content is None:
        content = {name: value for name, value in given.items() if name not in _OWN}
    root = given.get("root")
    if not root:
        if not isinstance(content, Mapping) or len(content) != 1:
            raise BundleValidationError("root: without it the content must have exactly one field")
        root, content = next(iter(content.items()))
    is_indented = given.get("indent") is True
    parts = [] if given.get("strip_declaration") else ['<?xml version="1.0" encoding="UTF-8"?>']
    parts += _document_type(root, given.get("public_id"), given.get("system_id"))
    if isinstance(content, list):  # as parsing gives a root that was an array of one
        content = content[0] if len(content) == 1 else {"item": content}
    pieces = _element(_checked(root), content, 0, is_indented)
    parts.append(("\n" if is_indented else "").join(pieces))
    return {"xml": "\n".join(parts)}


def _document_type(root: str, public_id: str | None, system_id: str | None) -> list[str]:
    if not system_id:
        if public_id:
            raise BundleValidationError("public_id needs a system_id too")
        return []
    quoted = ""
    for name, text in (("public_id", public_id), ("system_id", system_id)):
        if text and re.search(r"[\"<>\x00-\x1f]", text):
            raise BundleValidationError(f"{name} has a sign that an identifier cannot have")
        quoted += f' "{text}"' if text else ""
    return [f"<!DOCTYPE {root} {'PUBLIC' if public_id else 'SYSTEM'}{quoted}>"]


def _element(name: str, value: Any, level: int, is_indented: bool) -> Iterator[str]:
    """The element in pieces, one for each line when indented."""
    if level > DEEPEST:
        raise DataError(f"the content has more than {DEEPEST} levels")
    space = "  " * level if is_indented else ""
    if not isinstance(value, Mapping):
        yield space + _leaf(name, "", _text(value, name))
        return
    attributes = ""
    for key, item in (value.get("_attributes") or {}).items():
        attributes += f" {_checked(key)}={quoteattr(_text(item, key))}"
    text = _text(value.get("_value"), name)
    children = [key for key in value if key not in ("_attributes", "_value")]
    if not children:
        yield space + _leaf(name, attributes, text)
        return
    yield f"{space}<{name}{attributes}>{escape(text)}"
    for key in children:
        checked = _checked(key)
        items = value[key]
        for item in items if isinstance(items, list) else [items]:
            yield from _element(checked, item, level + 1, is_indented)
    yield f"{space}</{name}>"


def _leaf(name: str, attributes: str, text: str) -> str:
    return f"<{name}{attributes}>{escape(text)}</{name}>" if text else f"<{name}{attributes}/>"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BundleValidationError(f"{name[:60]} cannot be the name of an element or attribute")
    return name


def _text(value: Any, name: str) -> str:
    text = "" if value is None else to_text(value)
    if _NOT_XML.search(text):
        raise DataError(f"{name}: the text has a control character, which XML cannot hold")
    return text
