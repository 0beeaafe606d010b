"""Following the pages of a service, in the four ways that services have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

from millrace.appkit import field_of, to_text

_LINK = re.compile(r"<([^>]*)>([^<]*)")
_NEXT = re.compile(r";\s*rel\s*=\s*\"?[^\";]*\bnext\b", re.IGNORECASE)
_PARAMETERS = {"offset": "offset", "page": "page", "token": "page_token"}


class Pager:
    """Where the next page is, told from the one before."""

    def __init__(self, paging: Mapping[str, Any]) -> None:
        self._type = paging["type"]
        self._given = paging
        self._parameter = paging.get("parameter") or _PARAMETERS.get(self._type, "")
        start = paging.get("start")
        self._position = start if start is not None else (1 if self._type == "page" else 0)
        self._size = paging.get("size")
        self._most = paging.get("max_pages") or 100
        self._next: str | None = None
        self._seen: set[str] = set()
        self.page = 0
        self.has_more = True
        self.is_empty = False

    def place(self, url: str, query: Sequence[tuple[str, Any]]) -> tuple[str, list]:
        """The address and the query of the page to be asked now."""
        self.page += 1
        if self._type == "url" and self._next:
            return self._next, []
        pairs = [(name, value) for name, value in query if name != self._parameter]
        if self._type in ("offset", "page"):
            pairs.append((self._parameter, self._position))
        elif self._type == "token" and self._next:
            pairs.append((self._parameter, self._next))
        size_parameter = self._given.get("size_parameter")
        if size_parameter and self._size and size_parameter not in {name for name, _ in pairs}:
            pairs.append((size_parameter, self._size))
        return url, pairs

    def read(self, data: Any, headers: Mapping[str, str], url: str) -> None:
        """Look at the page that came: is there another?"""
        count = len(self._items(data))
        self.is_empty = count == 0
        self.has_more = self.page < self._most
        if self._type in ("offset", "page"):
            is_last = self._size is not None and count < self._size
            self._size = self._size or count
            self._position += count if self._type == "offset" else 1
            self.has_more = self.has_more and not self.is_empty and not is_last
            return
        self._next = self._following(data, headers, url)
        is_new = bool(self._next) and self._next not in self._seen
        self._seen.add(self._next or "")
        self.has_more = self.has_more and is_new

    def _following(self, data: Any, headers: Mapping[str, str], url: str) -> str | None:
        path = self._given.get("next")
        if path:
            found = to_text(field_of(data, path)) if isinstance(data, Mapping) else ""
        elif self._type == "url":
            found = next_link(headers.get("link", "")) or ""
        else:
            found = ""
        if not found:
            return None
        return urljoin(url, found) if self._type == "url" else found

    def _items(self, data: Any) -> list[Any]:
        path = self._given.get("items")
        if path:
            found = field_of(data, path) if isinstance(data, Mapping) else None
            return found if isinstance(found, list) else []
        if isinstance(data, list):
            return data
        if isinstance(data, Mapping):
            for value in data.values():
                if isinstance(value, list):
                    return value
        return [data] if data else []


def next_link(header: str) -> str | None:
    """The address that a Link header calls the next one.

    Source: RFC 8288, section 3, read 2026-11-21.
    """
    for address, attributes in _LINK.findall(header):
        if _NEXT.search(attributes):
            return address
    return None
