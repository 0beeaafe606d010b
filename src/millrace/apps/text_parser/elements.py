"""Take elements out of pages and texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from millrace.appkit import Call, compile_pattern
from millrace.apps.text_parser.document import read_page
from millrace.errors import BundleValidationError

_SELECTORS = {
    "image": "img",
    "link": "a[href], area[href]",
    "iframe": "iframe, frame",
    "video": "video, video source",
    "audio": "audio, audio source",
    "heading": "h1, h2, h3, h4, h5, h6",
}
_ADDRESSES = ("href", "src", "data-src", "action")
_BLANKS = re.compile(r"\s+")

_PATTERNS = {
    "email": r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,63}",
    "url": r"(?:https?://|\bwww\.)[^\s<>\"'`{}|\\^]+",
    "phone": r"(?:\+|\(|\b)\d[\d\s().\-/]{5,24}\d\b",
    "number": r"[+-]?\d+(?:[.,]\d+)*",
}


def from_html(call: Call) -> Iterator[dict[str, Any]]:
    """One bundle for each element found."""
    from selectolax.lexbor import SelectolaxError

    given = call.parameters
    kind = given.get("element") or "link"
    selector = (given.get("selector") or "") if kind == "custom" else _SELECTORS[kind]
    page = read_page(given["html"])
    try:
        found = page.css(selector)
    except SelectolaxError as error:
        raise BundleValidationError(
            "selector: this is not a CSS selector; it looks like table.prices td"
        ) from error
    base = given.get("base_url") or ""
    return _or_nothing(call, (_element(node, number, base) for number, node in enumerate(found, 1)))


def _element(node: Any, number: int, base: str) -> dict[str, Any]:
    attributes = {name: value or "" for name, value in node.attributes.items()}
    address = next((attributes[name] for name in _ADDRESSES if attributes.get(name)), None)
    text = _BLANKS.sub(" ", node.text()).strip() or attributes.get("alt", "")
    return {
        "i": number,
        "tag": node.tag,
        "url": _complete(base, address),
        "text": text,
        "attributes": attributes,
    }


def _complete(base: str, address: str | None) -> str | None:
    if not address or not base:
        return address
    try:
        return urljoin(base, address.strip())
    except ValueError:
        return address


def from_text(call: Call) -> Iterator[dict[str, Any]]:
    """One bundle for each part found."""
    given = call.parameters
    kind = given.get("element") or "email"
    source = given.get("pattern") if kind == "custom" else _PATTERNS[kind]
    if not source:
        raise BundleValidationError("pattern is missing")
    parts = (
        _without_trail(found.group()) if kind == "url" else found.group()
        for found in compile_pattern(source).finditer(given.get("text") or "")
    )
    if given.get("unique"):
        parts = iter(dict.fromkeys(parts))
    return _or_nothing(call, ({"i": i, "match": part} for i, part in enumerate(parts, 1)))


def _without_trail(address: str) -> str:
    """An address without the punctuation of the sentence that it stands in."""
    end = len(address)
    unopened = {
        ")": address.count(")") - address.count("("),
        "]": address.count("]") - address.count("["),
    }
    while end:
        last = address[end - 1]
        if unopened.get(last, 0) > 0:
            unopened[last] -= 1
        elif last not in ".,;:!?*":
            break
        end -= 1
    return address[:end]


def _or_nothing(call: Call, bundles: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    is_empty = True
    for bundle in bundles:
        is_empty = False
        yield bundle
    if is_empty and call.parameters.get("continue_when_no_result"):
        yield {}
