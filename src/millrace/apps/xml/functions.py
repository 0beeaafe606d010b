"""XML documents into collections and back."""

from __future__ import annotations

import re
from typing import Any

from millrace.appkit import Binary, Call, xml_dumps, xml_loads
from millrace.errors import BundleValidationError

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_WRONG_IN_IDENTIFIER = re.compile(r"[\"<>\x00-\x1f]")
_OWN = frozenset({
    "content", "structure", "root", "public_id", "system_id", "strip_declaration", "indent",
})  # fmt: skip


def parse(call: Call) -> dict[str, Any]:
    """The document as one bundle: ``{root: {child: […], _attributes, _value}}``."""
    given = call.parameters["xml"]
    if isinstance(given, Binary):
        given = call.files.read(given)
    if not isinstance(given, str | bytes):
        raise BundleValidationError("xml: a text or a file is expected")
    return xml_loads(given, keeps_texts=call.parameters.get("preserve_numbers_as_text") is True)


def create(call: Call) -> dict[str, Any]:
    """A document of the content, or of the open parameters."""
    given = call.parameters
    content = given.get("content")
    if content is None:
        content = {name: value for name, value in given.items() if name not in _OWN}
    root = given.get("root")
    if not root:
        if not isinstance(content, dict) or len(content) != 1:
            raise BundleValidationError("root: without it the content must have exactly one field")
        root, content = next(iter(content.items()))
    element = xml_dumps(content, root=root, is_indented=given.get("indent") is True)
    parts = [] if given.get("strip_declaration") else [_DECLARATION]
    parts += _document_type(root, given.get("public_id"), given.get("system_id"))
    return {"xml": "\n".join([*parts, element])}


def _document_type(root: str, public_id: str | None, system_id: str | None) -> list[str]:
    if not system_id:
        if public_id:
            raise BundleValidationError("public_id needs a system_id too")
        return []
    quoted = ""
    for name, text in (("public_id", public_id), ("system_id", system_id)):
        if text and _WRONG_IN_IDENTIFIER.search(text):
            raise BundleValidationError(f"{name} has a sign that an identifier cannot have")
        quoted += f' "{text}"' if text else ""
    return [f"<!DOCTYPE {root} {'PUBLIC' if public_id else 'SYSTEM'}{quoted}>"]
