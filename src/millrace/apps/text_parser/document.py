"""Read HTML pages, and refuse those that are built to hang whoever reads them."""

from __future__ import annotations

import re
from typing import Any

from millrace.errors import DataError

LARGEST_PAGE = 10 * 1024 * 1024
DEEPEST = 2_000
"""Elements open at once. Reading takes time with the square of it: 20,000 took 0.7 s."""

MOST_REOPENED = 2_000_000
"""Styles open at once times tags: an HTML reader opens ``<b>`` again in each paragraph until it is
closed, which makes gigabytes out of a small page."""

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
# Closed by themselves, or never closed.
# fmt: off
_LIGHT = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param",
    "source", "track", "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody",
    "tfoot", "option", "optgroup", "colgroup", "rp", "rt", "html", "head", "body",
})
_FORMATTING = frozenset({
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
})
# fmt: on


def read_page(html: str) -> Any:
    """The page as a tree.

    Raises:
        DataError: too large or too deep.
    """
    from selectolax.lexbor import LexborHTMLParser

    if len(html) > LARGEST_PAGE:
        raise DataError(f"the HTML is larger than {LARGEST_PAGE >> 20} MB")
    if html.count("<") > DEEPEST:
        _check(html)
    return LexborHTMLParser(html)


def _check(html: str) -> None:
    depth = formatting = most_formatting = tags = 0
    for found in _TAG.finditer(html):
        tags += 1
        closing, name = found.groups()
        name = name.lower()
        if name in _LIGHT:
            continue
        step = -1 if closing else 1
        depth = max(depth + step, 0)
        if name in _FORMATTING:
            formatting = max(formatting + step, 0)
            most_formatting = max(most_formatting, formatting)
        if depth > DEEPEST:
            raise DataError(f"the HTML has more than {DEEPEST} elements inside each other")
    if most_formatting * tags > MOST_REOPENED:
        raise DataError("the HTML has too many text styles that are never closed")
