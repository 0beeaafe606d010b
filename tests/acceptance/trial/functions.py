"""Modules that do, fail and hold what a test wants them to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from millrace.appkit import Call
from millrace.errors import (
    ConnectionFailure,
    DataError,
    InvalidAccessTokenError,
    RateLimitError,
    RuntimeFailure,
)

ERRORS = {
    error.type: error
    for error in (
        ConnectionFailure,
        DataError,
        InvalidAccessTokenError,
        RateLimitError,
        RuntimeFailure,
    )
}


def watch(call: Call) -> list[dict[str, Any]]:
    """The next numbers up to `total`, at most `limit` at a time."""
    last = call.state.get("last", 0)
    end = min(last + call.parameters["limit"], call.parameters["total"])
    call.state["last"] = end
    return [{"n": number} for number in range(last + 1, end + 1)]


def search(call: Call) -> list[dict[str, Any]]:
    """The bundles that it is given."""
    return list(call.parameters["bundles"] or [])


def act(call: Call) -> dict[str, Any]:
    """Gives back what it is given, or fails where it is told to.

    `fails` lists values to fail at; while `broken` names a file that exists, everything fails.
    """
    value, parameters = call.parameters.get("value"), call.parameters
    broken = parameters.get("broken")
    if value in (parameters.get("fails") or []) or (broken and Path(broken).exists()):
        raise ERRORS[parameters.get("error") or "RuntimeError"]("told to fail")
    return {"value": value}


def make_file(call: Call) -> dict[str, Any]:
    """A file of a size; its content is its name over and over."""
    size, name = call.parameters["size"], call.parameters["name"]
    content = (name.encode() * size)[:size]
    return {"file": call.files.keep(content, name=name)}


def upload(call: Call) -> dict[str, Any]:
    """Takes a file and says nothing of it."""
    return {"id": call.parameters["file"].size_bytes}
