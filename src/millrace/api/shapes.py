"""What requests and answers have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from millrace.api.values import plain
from millrace.runtime.wire import Runtime

Item = TypeVar("Item")


class In(BaseModel):
    """A body that is sent to us: what it does not declare is refused."""

    model_config = ConfigDict(extra="forbid", str_max_length=16 * 1024 * 1024)


class Out(BaseModel):
    """An answer, made from the runtime's own structs."""

    model_config = ConfigDict(from_attributes=True)


class Page(Out, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next: str | None = None
    """Give it as `before` (or `after`) for the next page; null: that is all."""


def _instant(value: Any) -> Any:
    return datetime.fromtimestamp(value / 1000, UTC) if isinstance(value, int) else value


Instant = Annotated[datetime, BeforeValidator(_instant)]


def at(name: str) -> Any:
    """A field that is an instant here and milliseconds in the store."""
    return Field(validation_alias=f"{name}_ms")


def the_runtime(request: Request) -> Runtime:
    """The wired whole."""
    runtime: Runtime = request.app.state.runtime
    return runtime


The = Annotated[Runtime, Depends(the_runtime)]
Before = Annotated[str | None, Query(max_length=64, description="The last id of the page before.")]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]


def page(items: list[Any], limit: int) -> dict[str, Any]:
    """A page of rows whose ids are in order."""
    return {"items": items, "next": items[-1].id if len(items) == limit else None}


__all__ = ["Before", "In", "Instant", "Limit", "Out", "Page", "The", "at", "page", "plain"]
