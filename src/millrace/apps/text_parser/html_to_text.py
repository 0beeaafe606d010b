"""HTML pages as plain text."""

from __future__ import annotations

import re
from typing import Any

from millrace.appkit import Call
from millrace.apps.text_parser.document import read_page

_BLANKS = re.compile(r"[ \t\r\n\f]+")
_ADDRESS = re.compile(r"https?://|mailto:|tel:")
_NEWLINES = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
_LEFT_OUT = frozenset(["head", "script", "style", "template", "svg", "math", "noscript", "select"])
_HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])
_PARAGRAPHS = _HEADINGS | {"p", "ul", "ol", "dl", "blockquote", "pre", "table", "figure", "form"}
# fmt: off
_LINES = frozenset({
    "div", "section", "article", "header", "footer", "nav", "aside", "main", "address",
    "fieldset", "details", "summary", "figcaption", "li", "dt", "dd", "tr", "caption",
    "center", "body",
})
# fmt: on


def html_to_text(call: Call) -> dict[str, Any]:
    """The text that a reader of the page would see."""
    given = call.parameters
    html = given.get("html") or ""
    writer = _Writer(
        shows_links=given.get("links", True), is_loud=given.get("uppercase_headings") is True
    )
    if html.strip():
        writer.walk(read_page(html).root)
    return {"text": writer.text().replace("\n", _NEWLINES[given.get("newline") or "lf"])}


class _Writer:
    """Walks a page without recursion and writes its text.

    Blanks and line breaks are only noted where they stand and written before the next visible text,
    so that none is doubled and none is left at the end.
    """

    def __init__(self, *, shows_links: bool, is_loud: bool) -> None:
        self._shows_links = shows_links
        self._is_loud = is_loud
        self._pieces: list[str] = []
        self._breaks = 0
        self._has_blank = False
        self._mark = ""
        """What stands before the next text of a list item."""
        self._prefixes: list[str] = []
        self._lists: list[int | None] = []
        """Of each open list the next number, None when it has no numbers."""
        self._links: list[tuple[str, int]] = []
        self._kept_spaces = 0
        self._headings = 0

    def text(self) -> str:
        """What was written."""
        return "".join(self._pieces)

    def walk(self, root: Any) -> None:
        """Write an element and everything in it."""
        node = root
        while node is not None:
            if node.tag == "-text":
                self._write(node.text(deep=False))
            elif node.tag not in _LEFT_OUT and not node.tag.startswith("-"):
                self._open(node)
                if node.child is not None:
                    node = node.child
                    continue
                self._close(node)
            while node.next is None or node.mem_id == root.mem_id:
                node = node.parent
                if node is None or node.mem_id == root.mem_id:
                    return
                self._close(node)
            node = node.next

    def _open(self, node: Any) -> None:
        tag = node.tag
        if tag in _PARAGRAPHS:
            self._break(1 if tag in ("ul", "ol") and self._lists else 2)
        elif tag in _LINES:
            self._break(1)
        if tag == "br":
            self._breaks += 1
            self._has_blank = False
        elif tag == "hr":
            self._break(2)
            self._write("----------")
            self._break(2)
        elif tag == "img":
            self._write(node.attributes.get("alt") or "")
        elif tag == "li":
            self._item()
        elif tag in ("ul", "ol"):
            if self._lists:
                self._prefixes.append("   ")
            self._lists.append(_start(node) if tag == "ol" else None)
        elif tag == "blockquote":
            self._prefixes.append("> ")
        elif tag == "pre":
            self._kept_spaces += 1
        elif tag in _HEADINGS:
            self._headings += 1
        elif tag == "a":
            self._links.append((node.attributes.get("href") or "", len(self._pieces)))
        elif tag in ("td", "th") and not self._is_line_start():
            self._pieces.append("\t")
            self._has_blank = False

    def _close(self, node: Any) -> None:
        tag = node.tag
        if tag in ("ul", "ol"):
            self._lists.pop()
            if self._lists:
                self._prefixes.pop()
        elif tag == "blockquote":
            self._prefixes.pop()
        elif tag == "pre":
            self._kept_spaces -= 1
        elif tag in _HEADINGS:
            self._headings -= 1
        elif tag == "a":
            self._close_link()
        if tag in _PARAGRAPHS:
            self._break(1 if tag in ("ul", "ol") and self._lists else 2)
        elif tag in _LINES:
            self._break(1)

    def _item(self) -> None:
        number = self._lists[-1] if self._lists else None
        if number is None:
            self._mark = " * " if len(self._lists) < 2 else "* "
        else:
            self._mark = f"{number}. "
            self._lists[-1] = number + 1

    def _close_link(self) -> None:
        address, start = self._links.pop()
        shown = "".join(self._pieces[start:]).strip()
        if self._shows_links and shown and _ADDRESS.match(address):
            is_said = shown in (address, _ADDRESS.sub("", address).rstrip("/"))
            if not is_said:
                self._write(f" [{address}]")

    def _write(self, text: str) -> None:
        if self._kept_spaces:
            for index, line in enumerate(text.replace("\r\n", "\n").split("\n")):
                self._breaks += index > 0
                self._put(line)
            return
        text = _BLANKS.sub(" ", text)
        if text.startswith(" "):
            self._has_blank = True
            text = text[1:]
        ends_blank = text.endswith(" ")
        if text := text.rstrip(" ").replace("\xa0", " "):
            self._put(text.upper() if self._headings and self._is_loud else text)
        self._has_blank = self._has_blank or ends_blank

    def _put(self, text: str) -> None:
        if not text:
            return
        if self._is_line_start():
            if self._pieces:
                prefix = "".join(self._prefixes)
                self._pieces.append(f"\n{prefix}" * self._breaks if self._breaks else "")
            else:
                self._pieces.append("".join(self._prefixes))
            self._pieces.append(self._mark)
            self._mark = ""
        elif self._has_blank:
            self._pieces.append(" ")
        self._breaks = 0
        self._has_blank = False
        self._pieces.append(text)

    def _is_line_start(self) -> bool:
        return self._breaks > 0 or not self._pieces

    def _break(self, count: int) -> None:
        self._breaks = max(self._breaks, count)
        self._has_blank = False


def _start(node: Any) -> int:
    start = node.attributes.get("start") or "1"
    return int(start) if re.fullmatch(r"-?[0-9]{1,9}", start) else 1
