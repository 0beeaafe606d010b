"""Events for whoever watches (editor, command line). Nothing is kept, nobody is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

BACKLOG = 1_000
"""Events a slow listener may lag behind before it loses the oldest."""


class Live:
    """Passes events on to the listeners of a team."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Queue[dict[str, Any]]]] = {}

    def is_watched(self, team_id: str) -> bool:
        """Whether making an event is worth the trouble."""
        return team_id in self._listeners

    def publish(self, team_id: str, event: dict[str, Any]) -> None:
        """Tell everyone who listens to the team."""
        for queue in self._listeners.get(team_id, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    async def subscribe(
        self, team_id: str, *, execution_id: str | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a team from now on, or those of one execution until it ends."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(BACKLOG)
        listeners = self._listeners.setdefault(team_id, set())
        listeners.add(queue)
        try:
            while True:
                event = await queue.get()
                if execution_id is not None and event.get("execution_id") != execution_id:
                    continue
                yield event
                if execution_id is not None and event["type"] == "finished":
                    return
        finally:
            listeners.discard(queue)
            if not listeners:
                self._listeners.pop(team_id, None)
