"""Which items of a polled service are new: the cursor of a trigger.

State per module and scenario: ``lastId``, and ``lastDate`` when items are told apart by date. It is
kept by the caller when the cycle commits, so what was rolled back is given again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from millrace.appkit.call import Call
from millrace.appkit.manifest import Polling
from millrace.appkit.render import render
from millrace.errors import DataError
from millrace.expressions.coerce import coerce

Key = tuple[Any, ...]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class _Item:
    key: Key
    value: Any


class Cursor:
    """What a trigger has already given, and what of a page is new."""

    def __init__(self, polling: Polling, call: Call, *, zone: tzinfo) -> None:
        self._polling = polling
        self._call = call
        self._zone = zone
        self._is_first = not call.state
        self._found: list[_Item] = []
        self._newest: Key | None = None
        self._seen = self._begin()

    def _begin(self) -> Key | None:
        """The key up to which everything is old; None: nothing is."""
        state = self._call.state
        if not self._is_first:
            if self._polling.type == "id":
                return _id_key(state.get("lastId"))
            date = coerce(state.get("lastDate"), "date", zone=UTC) or _EPOCH
            return (date, *_id_key(state.get("lastId")))
        start = self._call.parameters.get("start") or "now"
        if start == "since" and self._polling.type == "date":
            since = coerce(self._call.parameters.get("since"), "date", zone=self._zone) or _EPOCH
            return (since, *_id_key(None))
        return None

    @property
    def is_new_only_from_now(self) -> bool:
        """The first check of a trigger that starts with what comes later."""
        return self._is_first and (self._call.parameters.get("start") or "now") == "now"

    def take(self, items: Sequence[Any], names: Mapping[str, Any]) -> bool:
        """Look at a page.

        Returns:
            False when the following pages hold only what is old.
        """
        has_old = False
        for value in items:
            key = self._key(value, names)
            if self._newest is None or key > self._newest:
                self._newest = key
            if self._seen is not None and key <= self._seen:
                has_old = True
            else:
                self._found.append(_Item(key=key, value=value))
        if self.is_new_only_from_now and self._polling.order == "desc" and items:
            return False
        return not (has_old and self._polling.order == "desc")

    def _key(self, value: Any, names: Mapping[str, Any]) -> Key:
        seen = {**names, "item": value}
        identity = render(self._polling.id, seen)
        if identity is None:
            raise DataError("the service gave an item without an id")
        if self._polling.type == "id":
            return _id_key(identity)
        date = coerce(render(self._polling.date or "", seen), "date", zone=self._zone)
        if date is None:
            raise DataError("the service gave an item without a date")
        return (date, *_id_key(identity))

    def enough(self, limit: int) -> bool:
        """Whether the oldest new items are all known: only when the service sorts them so."""
        return self._polling.order == "asc" and len(self._found) >= limit

    def give(self, limit: int) -> list[Any]:
        """The oldest new items, at most `limit`; the state moves to the last of them."""
        if self.is_new_only_from_now:
            self._move(self._newest or self._empty_key())
            return []
        unique = {item.key: item for item in self._found}
        chosen = sorted(unique.values(), key=lambda item: item.key)[:limit]
        if chosen:
            self._move(chosen[-1].key)
        elif self._is_first:
            self._move(self._seen or self._empty_key())
        return [item.value for item in chosen]

    def _empty_key(self) -> Key:
        """Nothing was there at the first check: everything later is new."""
        return _id_key(None) if self._polling.type == "id" else (_EPOCH, *_id_key(None))

    def _move(self, key: Key) -> None:
        state = self._call.state
        state.clear()
        if self._polling.type == "date":
            state["lastDate"] = key[0].astimezone(UTC).isoformat().replace("+00:00", "Z")
        state["lastId"] = key[-1]


def _id_key(identity: Any) -> Key:
    """Sorts ids: numbers as numbers (also when written as text) before texts."""
    if identity is None:
        return (0, "")
    if isinstance(identity, bool):
        return (2, str(identity))
    if isinstance(identity, int | float):
        return (1, identity)
    text = str(identity)
    if text.isascii() and text.isdigit() and len(text) < 300:
        return (1, int(text))
    return (2, text)
