"""A value as a tree that people can read and fold, without any script."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from millrace.api.pages.html import Html, details, div, html, span, summary
from millrace.api.pages.layout import counted, size_of
from millrace.expressions.values import Binary

LONGEST_TEXT = 4_000
MOST_ITEMS = 200
"""In one collection or array; the API gives all of them."""

DEEPEST = 30
_OPEN_DEPTH = 2
"""Levels that are unfolded at first; large ones never are."""
_OPEN_ITEMS = 12


def tree(value: Any) -> Html:
    """The whole tree."""
    is_foldable = _is_container(value) and len(value) > 0
    return div(_inside(value, 0) if is_foldable else _leaf(value), class_="tree")


def bundles(value: Any) -> Html:
    """What a module gave: one tree for each bundle, with its number if there are several."""
    if not isinstance(value, list):
        return tree(value)
    if not value:
        return div(span("no bundles", class_="none"), class_="tree")
    if len(value) == 1:
        return tree(value[0])
    shown = [_branch(f"bundle {number}", one, 1) for number, one in enumerate(value[:20], 1)]
    return div(shown, _rest(len(value) - 20), class_="tree")


def _inside(value: Any, depth: int) -> Html:
    if depth > DEEPEST:
        return span("… deeper than is shown here", class_="none")
    if isinstance(value, dict):
        pairs = list(value.items())
    else:
        pairs = [(str(number), one) for number, one in enumerate(value, 1)]
    shown = [_branch(str(key), one, depth) for key, one in pairs[:MOST_ITEMS]]
    return html(shown, _rest(len(pairs) - MOST_ITEMS))


def _branch(key: str, value: Any, depth: int) -> Html:
    if not _is_container(value) or not value:
        return div(span(key, class_="k"), ": ", _leaf(value))
    kind = counted(len(value), "field" if isinstance(value, dict) else "item")
    is_open = depth < _OPEN_DEPTH and len(value) <= _OPEN_ITEMS
    return details(
        summary(span(key, class_="k"), f" · {kind}"),
        div(_inside(value, depth + 1), class_="in"),
        open=is_open,
    )


def _leaf(value: Any) -> Html:
    if value is None:
        return span("null", class_="none")
    if isinstance(value, bool):
        return span("true" if value else "false", class_="n")
    if isinstance(value, int | float):
        return span(value, class_="n")
    if isinstance(value, datetime):
        return span(value.isoformat().replace("+00:00", "Z"), class_="n")
    if isinstance(value, Binary):
        about = f"file {value.name} · {value.media_type} · {size_of(value.size_bytes)}"
        return span(about, class_="n")
    if isinstance(value, bytes):
        start = base64.b64encode(value[:60]).decode()
        return span(f"{counted(len(value), 'byte')}: {start}", class_="n")
    if isinstance(value, dict | list):
        return span(
            "empty " + ("collection" if isinstance(value, dict) else "array"), class_="none"
        )
    text = str(value)
    if not text:
        return span("empty text", class_="none")
    if len(text) > LONGEST_TEXT:
        more = counted(len(text) - LONGEST_TEXT, "more character")
        return html(span(text[:LONGEST_TEXT], class_="t"), span(f" … {more}", class_="none"))
    return span(text, class_="t")


def _is_container(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)


def _rest(number: int) -> Html | None:
    return div(span(f"… {number:,} more", class_="none")) if number > 0 else None
