"""XML into collections, without entities, document types or the network."""

from __future__ import annotations

import re
from typing import Any

from millrace.appkit import Answer, Binary, Call
from millrace.errors import BundleValidationError, DataError

LARGEST_BYTES = 50 * 1024 * 1024
DEEPEST = 100
"""Levels of elements; the parser itself would stop at 256."""

# Fifteen digits: what a float holds exactly. No leading zero, no trailing one: nothing is lost.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{0,14}[1-9])?")
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")


def parse(call: Call) -> Answer:
    """The document as one bundle: ``{root: {child: […], _attributes, _value}}``."""
    given = call.parameters["xml"]
    if isinstance(given, Binary):
        given = call.files.read(given)
    if not isinstance(given, str | bytes):
        raise BundleValidationError("xml: a text or a file is expected")
    root = read_document(given)
    keeps_texts = call.parameters.get("preserve_numbers_as_text") is True
    return {_name(root): _value(root, keeps_texts, 1)}


def read_document(given: str | bytes) -> Any:
    """The root element.

    Raises:
        BundleValidationError: not well-formed; with the line.
        DataError: too large, or with a document type.
    """
    from lxml import etree

    if len(given) > LARGEST_BYTES:
        raise DataError(f"the XML is larger than {LARGEST_BYTES >> 20} MB")
    if isinstance(given, str):
        # A text is characters already: what its declaration says of bytes no longer counts.
        given = _DECLARATION.sub("", given.removeprefix("\ufeff"), count=1)
        given = given.encode("utf-8", "replace")
        encoding = "utf-8"
    else:
        encoding = None
    if not given.strip():
        raise BundleValidationError("the text is not XML: it is empty")
    parser = etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(given, parser)
    except etree.XMLSyntaxError as error:
        if b"<!DOCTYPE" in given[:100_000].upper():
            raise _document_type() from error
        line, column = error.position
        raise BundleValidationError(
            f"the text is not well-formed XML at line {line}, column {column}"
        ) from error
    if root.getroottree().docinfo.doctype or root.getroottree().docinfo.internalDTD is not None:
        raise _document_type()
    return root


def _document_type() -> DataError:
    return DataError("the XML has a document type (<!DOCTYPE …>), which is refused; remove it")


def _value(element: Any, keeps_texts: bool, level: int) -> Any:
    """What stands for an element: its text, or a collection of attributes, children and text."""
    if level > DEEPEST:
        raise DataError(f"the XML has more than {DEEPEST} levels")
    attributes = _attributes(element)
    if len(element) == 0:
        text = _number(element.text or "", keeps_texts)
        if not attributes:
            return text
        return (
            {"_attributes": attributes}
            if text == ""
            else {
                "_attributes": attributes,
                "_value": text,
            }
        )
    found: dict[str, Any] = {"_attributes": attributes} if attributes else {}
    texts = [element.text or ""]
    for child in element:
        texts.append(child.tail or "")
        if isinstance(child.tag, str):
            found.setdefault(_name(child), []).append(_value(child, keeps_texts, level + 1))
    text = " ".join(stripped for text in texts if (stripped := text.strip()))
    if text:
        found["_value"] = text
    return found


def _number(text: str, keeps_texts: bool) -> Any:
    text = text.strip()
    if keeps_texts or not _NUMBER.fullmatch(text) or text == "-0" or len(text) > 17:
        return text
    return float(text) if "." in text else int(text)


def _attributes(element: Any) -> dict[str, str]:
    """Attributes as written, with the namespaces that this element declares."""
    found = {}
    parent = element.getparent()
    if parent is None or element.nsmap != parent.nsmap:
        inherited = {} if parent is None else parent.nsmap
        for prefix, uri in element.nsmap.items():
            if inherited.get(prefix) != uri:
                found["xmlns" if prefix is None else f"xmlns:{prefix}"] = uri
    prefixes = {uri: prefix for prefix, uri in element.nsmap.items() if prefix}
    for key, value in element.attrib.items():
        uri, _, local = key.rpartition("}")
        prefix = "xml" if uri.endswith("/XML/1998/namespace") else prefixes.get(uri[1:])
        found[f"{prefix}:{local}" if uri and prefix else local] = value
    return found


def _name(element: Any) -> str:
    local = element.tag.rpartition("}")[2]
    return f"{element.prefix}:{local}" if element.prefix else local
