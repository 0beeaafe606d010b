"""Make HTML from Python: whatever is not an element is escaped, so nothing can be forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


class Element:
    """Makes elements of one kind: ``p("Hello ", b("you"), class_="greeting")``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *content: Any, **attributes: Any) -> Html:
        """The element.

        Args:
            content: Elements, texts, numbers, lists of them; None and False are left out.
            attributes: A trailing underscore is dropped and others become hyphens; True gives the
                bare attribute, None and False leave it out.
        """
        written = "".join(_attribute(name, value) for name, value in attributes.items())
        if self._name in _VOID:
            return Html(f"<{self._name}{written}>")
        return Html(f"<{self._name}{written}>{html(*content)}</{self._name}>")


def html(*content: Any) -> Html:
    """Contents one after the other."""
    return Html("".join(_content(part) for part in content))


def _content(part: Any) -> str:
    if part is None or part is False:
        return ""
    if isinstance(part, Html):
        return part
    if isinstance(part, str):
        return escape(part)
    if isinstance(part, Iterable):
        return "".join(_content(inner) for inner in part)
    return escape(str(part))


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


a, b, body, button, code = map(Element, ("a", "b", "body", "button", "code"))
dd, details, div, dl, dt = map(Element, ("dd", "details", "div", "dl", "dt"))
footer, form, h1, h2, h3 = map(Element, ("footer", "form", "h1", "h2", "h3"))
circle, img = map(Element, ("circle", "img"))
head, header, input_, label, li = map(Element, ("head", "header", "input", "label", "li"))
link, main, meta, nav, ol, p = map(Element, ("link", "main", "meta", "nav", "ol", "p"))
path, pre, section, small, span = map(Element, ("path", "pre", "section", "small", "span"))
summary, svg, table, tbody, td = map(Element, ("summary", "svg", "table", "tbody", "td"))
th, thead, time, title, tr, ul = map(Element, ("th", "thead", "time", "title", "tr", "ul"))
root = Element("html")
