"""What a driver is given: one execution to be carried out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from millrace.engine import Limits, Start
from millrace.runtime.program import Program
from millrace.storage.store import EventKind, EventRow


@dataclass(kw_only=True)
class Job:
    """One execution to be carried out."""

    event: EventRow
    program: Program
    execution_id: str
    start: Start
    limits: Limits = field(default_factory=Limits)
    accepted: asyncio.Future[None] | None = None
    """The event's own commit, when nobody has waited for it yet."""

    reply: asyncio.Future[Any] | None = None
    """Whoever waits for a responder's answer."""

    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What modules remember between executions, opened."""

    is_resumed: bool = False
    """Something of it may be in the journal already."""

    kind: EventKind = "manual"
    origin_id: str | None = None
    lane: str | None = None
    """Where the event that began it all was in order; a retry's own lane is another."""
