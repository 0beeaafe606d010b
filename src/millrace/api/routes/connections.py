"""Connections."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import Field

from millrace.api.policy import By, Routes, allows
from millrace.api.shapes import In, Instant, Out, The, at, plain

routes = Routes(prefix="/connections", tags=["connections"])

Id = Annotated[str, Path(max_length=64)]


class Connection(Out):
    """A connection; its secrets are never shown."""

    id: str
    name: str
    app: str
    type: str
    account: str
    hosts: list[str]
    fields: dict[str, Any]
    problem: str | None
    checked_at: Instant | None = at("checked_at")
    created_at: Instant = at("created_at")
    updated_at: Instant = at("updated_at")
    revision: int


class NewConnection(In):
    """A connection to be made."""

    app: str = Field(max_length=100)
    type: str = Field(max_length=100)
    name: str = Field(max_length=200)
    fields: dict[str, Any] = {}


class ConnectionChange(In):
    """What is to be changed; what is left out stays."""

    name: str | None = Field(default=None, max_length=200)
    fields: dict[str, Any] | None = None


class ScenarioName(Out):
    """A scenario that uses something."""

    id: str
    name: str


@routes.get("", response_model=list[Connection])
@allows("connections.read")
async def list_connections(runtime: The, by: By) -> Any:
    """Every connection of the team, without secrets."""
    return [_plain(view) for view in await runtime.connections.all(by=by)]


@routes.post("", response_model=Connection, status_code=201)
@allows("connections.change")
async def create_connection(runtime: The, by: By, body: NewConnection) -> Any:
    """Keep a connection; its secrets are sealed and never come out again."""
    return _plain(
        await runtime.connections.create(
            by=by, app=body.app, type=body.type, name=body.name, fields=body.fields
        )
    )


@routes.get("/{id}", response_model=Connection)
@allows("connections.read")
async def get_connection(runtime: The, by: By, id: Id) -> Any:
    """One connection, without secrets."""
    return _plain(await runtime.connections.get(id, by=by))


@routes.patch("/{id}", response_model=Connection)
@allows("connections.change")
async def change_connection(runtime: The, by: By, id: Id, body: ConnectionChange) -> Any:
    """Rename a connection, or fill it in again."""
    return _plain(await runtime.connections.change(id, by=by, name=body.name, fields=body.fields))


@routes.post("/{id}/test", response_model=Connection)
@allows("connections.test")
async def test_connection(runtime: The, by: By, id: Id) -> Any:
    """Ask the service whether it accepts the connection; `problem` says why it does not."""
    return _plain(await runtime.connections.test(id, by=by))


@routes.get("/{id}/scenarios", response_model=list[ScenarioName])
@allows("connections.read")
async def connection_scenarios(runtime: The, by: By, id: Id) -> Any:
    """The scenarios that use a connection."""
    return await runtime.connections.used_by(id, by=by)


@routes.delete("/{id}", response_model=list[ScenarioName])
@allows("connections.change")
async def delete_connection(runtime: The, by: By, id: Id, force: bool = False) -> Any:
    """Remove a connection with its secrets; answers the scenarios that used it."""
    return await runtime.connections.delete(id, by=by, force=force)


def _plain(view: Any) -> Any:
    view.fields = plain(view.fields)
    return view
