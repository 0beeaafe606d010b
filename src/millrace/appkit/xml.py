"""XML into collections, the way the expressions expect it; no entities, no DTD, no network.

``<order id="7"><line>tea</line><line>cup</line></order>`` becomes
``{order: {_attributes: {id: "7"}, line: ["tea", "cup"]}}``: every child is an array, an element
with nothing but text is that text, text beside attributes or children is ``_value``.
"""

from __future__ import annotations

import re
from typing import Any

from millrace.errors import BundleValidationError, DataError

LARGEST_XML_BYTES = 50 * 1024 * 1024
DEEPEST_XML = 100
"""Levels of elements; the parser itself would stop at 256."""

_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
# Fifteen digits are what a float holds exactly; no leading zero, no trailing one: nothing is lost.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{0,14}[1-9])?")


def read_xml(given: str | bytes) -> Any:
    """The root element, as lxml has it.

    Raises:
        BundleValidationError: not well-formed; with the line, never the content.
        DataError: too large, or with a document type.
    """
    import lxml.etree as etree

    if len(given) > LARGEST_XML_BYTES:
        raise DataError(f"the XML is larger than {LARGEST_XML_BYTES >> 20} MB")
    encoding = None
    if isinstance(given, str):
        # A text is characters already: what its declaration says of bytes no longer counts.
        given = _DECLARATION.sub("", given.removeprefix("\ufeff"), count=1)
        given = given.encode("utf-8", "replace")
        encoding = "utf-8"
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
    information = root.getroottree().docinfo
    if information.doctype or information.internalDTD is not None:
        raise _document_type()
    return root


def xml_loads(given: str | bytes, *, keeps_texts: bool = False) -> dict[str, Any]:
    """A document as a collection: ``{root: …}``.

    Args:
        given: The document.
        keeps_texts: True: a text that looks like a number stays a text.

    Raises:
        BundleValidationError: not well-formed.
        DataError: too large, too deep, or with a document type.
    """
    root = read_xml(given)
    return {_name(root): _value(root, keeps_texts, 1)}


def _document_type() -> DataError:
    return DataError("the XML has a document type (<!DOCTYPE …>), which is refused; remove it")


def _value(element: Any, keeps_texts: bool, level: int) -> Any:
    if level > DEEPEST_XML:
        raise DataError(f"the XML has more than {DEEPEST_XML} levels")
    attributes = _attributes(element)
    found: dict[str, Any] = {"_attributes": attributes} if attributes else {}
    if len(element) == 0:
        text = _number(element.text or "", keeps_texts)
        if not attributes:
            return text
        return found if text == "" else {**found, "_value": text}
    texts = [element.text or ""]
    for child in element:
        texts.append(child.tail or "")
        if isinstance(child.tag, str):
            found.setdefault(_name(child), []).append(_value(child, keeps_texts, level + 1))
    if text := " ".join(stripped for text in texts if (stripped := text.strip())):
        found["_value"] = text
    return found


def _number(text: str, keeps_texts: bool) -> Any:
    text = text.strip()
    if keeps_texts or not _NUMBER.fullmatch(text) or text == "-0" or len(text) > 17:
        return text
    return float(text) if "." in text else int(text)


def _attributes(element: Any) -> dict[str, str]:
    """Attributes as written, with the namespaces that this element declares."""
    found: dict[str, str] = {}
    parent = element.getparent()
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
