"""Whether this process is alive, and whether it can work."""

from __future__ import annotations

from typing import Literal

from fastapi import Response

from millrace.api.policy import PUBLIC, Routes, allows
from millrace.api.shapes import Out, The
from millrace.errors import StorageError

routes = Routes(tags=["status"])


class Status(Out):
    """The state of this process."""

    status: Literal["ok", "unavailable"]


@routes.get("/health", response_model=Status)
@allows(PUBLIC)
async def health() -> Status:
    """It answers: it is alive."""
    return Status(status="ok")


@routes.get("/ready", response_model=Status, responses={503: {"model": Status}})
@allows(PUBLIC)
async def ready(runtime: The, response: Response) -> Status:
    """It can read its database; 503 when it cannot."""
    try:
        await runtime.store.next_due()
    except StorageError:
        response.status_code = 503
        return Status(status="unavailable")
    return Status(status="ok")
