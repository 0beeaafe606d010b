"""What the seals of an execution's rows are bound to: a body moved elsewhere does not open."""

from __future__ import annotations


def state_context(scenario_id: str, module: str) -> bytes:
    """What the seal of a module's memory is bound to."""
    return f"state|{scenario_id}|{module}".encode()


def incomplete_context(id: str) -> bytes:
    """What the seal of an incomplete execution is bound to."""
    return f"incomplete|{id}".encode()


def summary_context(execution_id: str) -> bytes:
    """What the seal of an execution's summary is bound to."""
    return f"summary|{execution_id}".encode()
