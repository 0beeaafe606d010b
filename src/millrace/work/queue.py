"""Handing work out: which events are carried out where, and when."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable
from typing import Protocol

from millrace.storage.store import EventRow, NewEvent

Work = Callable[[EventRow, bool], Awaitable[None]]
"""Carries out one event; True: a dead process may have begun it already."""


class Queue(Protocol):
    """Takes events in and has them carried out, in order within a lane.

    Correctness comes from the store: an event that was accepted is carried out even if everything
    here is forgotten. `wake` is only a hint.
    """

    def put(self, event: NewEvent) -> Future[None]:
        """Accept an event. The future is done when it is on disk; it may be under way before."""
        ...

    def wake(self) -> None:
        """Something may have become due."""
        ...

    async def start(self) -> None:
        """Take over what a dead process left, then begin to carry out."""
        ...

    async def close(self) -> None:
        """Take nothing new; wait for what is under way, then cut it off (it is resumed later)."""
        ...
