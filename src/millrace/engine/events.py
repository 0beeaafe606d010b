"""What the driver tells the interpreter. ``at`` is what `now` means until the next event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from millrace.errors import ModuleError


class Failure(msgspec.Struct, frozen=True):
    """A ModuleError as plain data, as the journal and the error route see it."""

    type: str
    message: str
    detail: Any = None
    retry_after_seconds: float | None = None
    module: str = ""

    @classmethod
    def of(cls, error: ModuleError, *, module: str = "") -> Failure:
        """The plain form of an error raised while `module` worked."""
        wait = error.retry_after
        return cls(
            type=error.type,
            message=error.message,
            detail=error.detail,
            retry_after_seconds=None if wait is None else wait.total_seconds(),
            module=module,
        )


class ModuleAnswered(msgspec.Struct):
    """The module gave bundles: all of them, or the next page of a stream."""

    call: int
    at: datetime
    bundles: list[dict[str, Any]]
    has_more: bool = False
    transfer_bytes: int = 0
    """Data that entered the scenario here, files excluded."""

    files: tuple[tuple[str, int], ...] = ()
    """Content id and size of each file in the bundles; counted once per execution."""


class ModuleFailed(msgspec.Struct):
    """The module raised."""

    call: int
    at: datetime
    failure: Failure


class TimeReached(msgspec.Struct):
    """The instant of a WaitUntil has come."""

    call: int
    at: datetime


class Continued(msgspec.Struct):
    """Answer to Yield."""

    call: int
    at: datetime


class Committed(msgspec.Struct):
    """The commit is in the store."""

    call: int
    at: datetime


class CommitFailed(msgspec.Struct):
    """Commit or rollback broke; what was committed before stays."""

    call: int
    at: datetime
    failure: Failure


class RolledBack(msgspec.Struct):
    """The cycle's transactional writes are undone."""

    call: int
    at: datetime


class Kept(msgspec.Struct):
    """The incomplete execution is kept, or there was no room for it."""

    call: int
    at: datetime
    is_kept: bool


class Cancelled(msgspec.Struct):
    """Someone stopped the execution."""

    at: datetime
    message: str = "The execution was stopped."


Event = (
    ModuleAnswered
    | ModuleFailed
    | TimeReached
    | Continued
    | Committed
    | CommitFailed
    | RolledBack
    | Kept
    | Cancelled
)
