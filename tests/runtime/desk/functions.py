"""A polled list of a hundred records, two files, and failures of any type."""

from __future__ import annotations

import asyncio
from typing import Any

from millrace import errors
from millrace.appkit import Call

RECORDS = 100
_TYPES = {
    kind.type: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.ModuleError)
}


async def watch(call: Call) -> list[dict[str, Any]]:
    """The records behind the cursor, oldest first."""
    assert call.state is not None
    last, limit = call.state.get("lastId", 0), int(call.parameters.get("limit") or 10)
    found = [{"id": id} for id in range(last + 1, min(last + limit, RECORDS) + 1)]
    if found:
        call.state["lastId"] = found[-1]["id"]
    return found


async def file(call: Call) -> dict[str, Any]:
    """A file of so many bytes."""
    size = int(call.parameters.get("size") or 0)
    content = (b"%d " % size * size)[:size]
    return {"name": "picture", "data": call.files.keep(content, name="picture.png")}


async def act(call: Call) -> dict[str, Any]:
    """Give the value back, or fail as told."""
    kind = call.parameters.get("fail")
    if kind:
        raise _TYPES[kind](f"told to fail with {kind}")
    return {"value": call.parameters.get("value")}


async def fail_once(call: Call) -> dict[str, Any]:
    """Fail unless a record of the data store says that it may go on."""
    assert call.records is not None
    record = call.records.get("failure")
    if record and record.get("type"):
        raise _TYPES[record["type"]](f"told to fail with {record['type']}")
    return {"value": call.parameters.get("value")}


def broken(call: Call) -> dict[str, Any]:
    """Has a bug."""
    raise ZeroDivisionError("password=hunter2")


async def work(call: Call) -> dict[str, Any]:
    """Take some time."""
    await asyncio.sleep(float(call.parameters.get("seconds") or 0))
    return {"value": call.parameters.get("seconds")}
