"""The answers of modules, taken page by page: a stream is never held whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any

from millrace.engine.commands import CallModule

PAGE = 500
"""Bundles taken from a stream at a time."""

Page = tuple[list[dict[str, Any]], bool]
"""Bundles, and whether there may be more of them."""


class Pages:
    """The streams that one execution has begun to read, by the key of their operation."""

    __slots__ = ("_streams",)

    def __init__(self) -> None:
        self._streams: dict[str, Any] = {}

    def begun(self, command: CallModule) -> Any:
        """The stream whose next page is asked for; None when the module must be asked (again)."""
        return self._streams.get(command.key) if command.page else None

    def drop(self, command: CallModule) -> None:
        """Forget a stream: a generator that raised gives nothing any more."""
        self._streams.pop(command.key, None)

    def first(self, command: CallModule, answer: Any) -> Page:
        """The bundles of an answer; of a stream the page that was asked for."""
        if answer.__class__ is dict:
            return [answer], False
        if answer is None:
            return [], False
        if answer.__class__ is list:
            return (answer[command.page :] if command.page else answer), False
        if not isinstance(answer, Iterator):
            return list(answer), False
        # Asked again after a restart: what was delivered is skipped.
        for _ in islice(answer, command.page):
            pass
        bundles = list(islice(answer, PAGE))
        has_more = len(bundles) == PAGE
        if has_more:
            self._streams[command.key] = answer
        return bundles, has_more

    def next(self, command: CallModule, stream: Iterator[dict[str, Any]]) -> Page:
        """The next page of a stream."""
        bundles = list(islice(stream, PAGE))
        if len(bundles) == PAGE:
            return bundles, True
        self.drop(command)
        return bundles, False

    async def take(
        self, command: CallModule, stream: AsyncIterator[dict[str, Any]], *, is_new: bool
    ) -> Page:
        """The page of an asynchronous stream that was asked for."""
        skip = command.page if is_new else 0
        bundles: list[dict[str, Any]] = []
        async for bundle in stream:
            if skip:
                skip -= 1
                continue
            bundles.append(bundle)
            if len(bundles) == PAGE:
                self._streams[command.key] = stream
                return bundles, True
        self.drop(command)
        return bundles, False
