"""Collections into XML, the way back from `xml.xml_loads`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from millrace.appkit.values import to_text
from millrace.appkit.xml import DEEPEST_XML
from millrace.errors import BundleValidationError, DataError

_NAME = re.compile(r"[A-Za-z_\u00c0-\uffff][\w.-]*(?::[A-Za-z_\u00c0-\uffff][\w.-]*)?")
_WRONG_IN_NAME = re.compile(r"[^\w.-]")
_WRONG_FIRST = re.compile(r"[^A-Za-z_\u00c0-\uffff]")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_dumps(
    content: Any, *, root: str, is_indented: bool = False, mends_names: bool = False
) -> str:
    """One element with everything in it; no declaration.

    An array repeats its element, ``_attributes`` and ``_value`` become attributes and text.

    Args:
        content: Any value.
        root: Name of the element.
        is_indented: A line for each element.
        mends_names: True: signs that a name cannot have become ``_``; False: they are an error.

    Raises:
        BundleValidationError: a name that no element can have.
        DataError: a control character, or more than 100 levels.
    """
    if isinstance(content, list):  # as parsing gives an element that was one of an array
        content = content[0] if len(content) == 1 else {"item": content}
    name = _mended if mends_names else _checked
    pieces = _element(name(root), content, 1, is_indented, name)
    return ("\n" if is_indented else "").join(pieces)


def _element(
    tag: str, value: Any, level: int, is_indented: bool, name: Callable[[str], str]
) -> Iterator[str]:
    """The element in pieces, one for each line when indented."""
    if level > DEEPEST_XML:
        raise DataError(f"the content has more than {DEEPEST_XML} levels")
    space = "  " * (level - 1) if is_indented else ""
    if not isinstance(value, Mapping):
        yield space + _leaf(tag, "", _text(value, tag))
        return
    attributes = "".join(
        f" {name(key)}={quoteattr(_text(item, key))}"
        for key, item in (value.get("_attributes") or {}).items()
    )
    text = _text(value.get("_value"), tag)
    children = [key for key in value if key not in ("_attributes", "_value")]
    if not children:
        yield space + _leaf(tag, attributes, text)
        return
    yield f"{space}<{tag}{attributes}>{escape(text)}"
    for key in children:
        items = value[key]
        for item in items if isinstance(items, list) else [items]:
            yield from _element(name(key), item, level + 1, is_indented, name)
    yield f"{space}</{tag}>"


def _leaf(tag: str, attributes: str, text: str) -> str:
    return f"<{tag}{attributes}>{escape(text)}</{tag}>" if text else f"<{tag}{attributes}/>"


def _text(value: Any, name: str) -> str:
    text = "" if value is None else to_text(value)
    if _NOT_XML.search(text):
        raise DataError(f"{name[:60]}: the text has a control character, which XML cannot hold")
    return text


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BundleValidationError(f"{name[:60]} cannot be the name of an element or attribute")
    return name


def _mended(name: str) -> str:
    mended = _WRONG_IN_NAME.sub("_", name)
    return f"_{mended}" if not mended or _WRONG_FIRST.match(mended) else mended
