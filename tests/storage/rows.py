"""Rows for tests: everything that a test does not care about has a value."""

from __future__ import annotations

from typing import Any

from millrace.ids import new_id
from millrace.storage.store import ExecutionRow, IncompleteRow, NewEvent, Segment

TEAM = "11111111111111111111111111111111"
SCENARIO = "22222222222222222222222222222222"
NOW = 1_790_000_000_000


def event(**known: Any) -> NewEvent:
    values: dict[str, Any] = {
        "id": new_id(),
        "team_id": TEAM,
        "scenario_id": SCENARIO,
        "kind": "webhook",
        "payload": b"sealed",
        "received_at_ms": NOW,
        "due_at_ms": NOW,
    }
    return NewEvent(**values | known)


def execution(id: str | None, **known: Any) -> ExecutionRow:
    values: dict[str, Any] = {
        "team_id": TEAM,
        "id": id,
        "scenario_id": SCENARIO,
        "version_id": None,
        "event_id": None,
        "kind": "webhook",
        "status": "running",
        "started_at_ms": NOW,
    }
    return ExecutionRow(**values | known)


def segment(execution_id: str | None, number: int = 0, **known: Any) -> Segment:
    values: dict[str, Any] = {
        "team_id": TEAM,
        "execution_id": execution_id,
        "number": number,
        "first_seq": number * 10,
        "last_seq": number * 10 + 9,
        "body": b"journal",
    }
    return Segment(**values | known)


def incomplete(execution_id: str | None, **known: Any) -> IncompleteRow:
    values: dict[str, Any] = {
        "team_id": TEAM,
        "id": new_id(),
        "scenario_id": SCENARIO,
        "version_id": None,
        "execution_id": execution_id,
        "created_at_ms": NOW,
        "error_type": "RateLimitError",
        "error_message": "Slow down.",
        "error_module": "3",
        "body": b"all that resuming needs",
        "size_bytes": 23,
    }
    return IncompleteRow(**values | known)
