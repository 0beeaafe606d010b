"""Functions that leave a line in a file for every effect.

The environment says where the file is and at which effect, and on which side of it, to die.
"""

from __future__ import annotations

import os
from typing import Any

from millrace.appkit import Call
from millrace.errors import RuntimeFailure


def _effect(call: Call, kind: str) -> dict[str, Any]:
    path, die_at = os.environ["PROBE_FILE"], os.environ.get("PROBE_DIE", "")  # noqa: TID251
    with open(path, "a+", encoding="ascii") as file:
        file.seek(0)
        number = len(file.readlines()) + 1
        if die_at == f"before {number}":
            os._exit(9)
        file.write(f"{kind} {call.module_id} {call.parameters.get('value')} {call.key}\n")
        file.flush()
        os.fsync(file.fileno())
    if die_at == f"after {number}":
        os._exit(9)
    return {"value": call.parameters.get("value")}


def pure(call: Call) -> dict[str, Any]:
    """No effect outside, so it leaves no line."""
    if call.parameters.get("value") == "fail":
        raise RuntimeFailure("told to fail")
    return {"value": call.parameters.get("value")}


async def read(call: Call) -> dict[str, Any]:
    """Asks the outside."""
    return _effect(call, "read")


async def keyed(call: Call) -> dict[str, Any]:
    """Changes the outside; the service knows the key."""
    return _effect(call, "keyed")


async def blind(call: Call) -> dict[str, Any]:
    """Changes the outside; nobody can ask whether it happened."""
    return _effect(call, "blind")
