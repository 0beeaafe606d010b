"""Webhooks: their settings, what waits in them, what arrived."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field

from millrace.api.policy import By, Routes, allows
from millrace.api.routes.connections import ScenarioName
from millrace.api.shapes import Before, In, Instant, Limit, Out, Page, The, at, page

routes = Routes(prefix="/webhooks", tags=["webhooks"])

Id = Annotated[str, Path(max_length=64)]


class Settings(In):
    """What a webhook takes, and what it makes of it; what is left out stays."""

    method: str | None = Field(default=None, description="The only method taken; null: any.")
    get_headers: bool | None = None
    get_method: bool | None = None
    pass_through: bool | None = Field(
        default=None, description="Give the body as one text, `value`."
    )
    allow: list[str] | None = Field(
        default=None, description="Networks that may call; empty: everyone."
    )
    requests: int | None = Field(
        default=None, ge=0, description="Taken in `per_seconds`; 0: no limit."
    )
    per_seconds: int | None = Field(default=None, ge=1)
    structure: list[dict[str, Any]] | None = None
    is_strict: bool | None = None


class SettingsView(Out):
    """The settings of a webhook."""

    method: str | None
    get_headers: bool
    get_method: bool
    pass_through: bool
    allow: list[str]
    requests: int
    per_seconds: int
    structure: list[dict[str, Any]]
    is_strict: bool


class Webhook(Out):
    """A webhook; its address is shown once, when it is made."""

    id: str
    name: str
    prefix: str
    scenario_id: str | None
    settings: SettingsView
    is_enabled: bool
    is_learning: bool
    created_at: Instant = at("created_at")
    expires_at: Instant | None = at("expires_at")


class NewWebhook(In):
    """A webhook to be made."""

    name: str = Field(max_length=200)
    settings: Settings = Settings()
    is_learning: bool = Field(default=False, description="The next request defines the structure.")
    expires_in_seconds: int | None = Field(default=None, ge=1)


class WebhookChange(In):
    """What is to be changed; what is left out stays."""

    name: str | None = Field(default=None, max_length=200)
    settings: Settings | None = None
    is_enabled: bool | None = None
    is_learning: bool | None = None


class Address(Out):
    """An address, shown this once."""

    url: str


class MadeWebhook(Address):
    """A new webhook with its address."""

    webhook: Webhook


class Event(Out):
    """An event that waits."""

    id: str
    arrival: int
    kind: str
    state: str
    received_at: Instant = at("received_at")
    due_at: Instant = at("due_at")
    attempts: int
    size_bytes: int


class Request(Out):
    """A request that arrived."""

    id: str
    received_at: Instant = at("received_at")
    status: int
    method: str
    address: str
    size_bytes: int
    event_id: str | None
    problem: str | None


@routes.get("", response_model=list[Webhook])
@allows("webhooks.read")
async def list_webhooks(runtime: The, by: By) -> Any:
    """Every webhook of the team."""
    return await runtime.webhooks.all(by=by)


@routes.post("", response_model=MadeWebhook, status_code=201)
@allows("webhooks.change")
async def create_webhook(runtime: The, by: By, body: NewWebhook) -> Any:
    """Make an address that receives; it is shown this once."""
    url, webhook = await runtime.webhooks.create(
        by=by,
        name=body.name,
        settings=body.settings.model_dump(exclude_unset=True),
        is_learning=body.is_learning,
        expires_in=(
            None if body.expires_in_seconds is None else timedelta(seconds=body.expires_in_seconds)
        ),
    )
    return {"url": url, "webhook": webhook}


@routes.get("/{id}", response_model=Webhook)
@allows("webhooks.read")
async def get_webhook(runtime: The, by: By, id: Id) -> Any:
    """One webhook."""
    return await runtime.webhooks.get(id, by=by)


@routes.patch("/{id}", response_model=Webhook)
@allows("webhooks.change")
async def change_webhook(runtime: The, by: By, id: Id, body: WebhookChange) -> Any:
    """Change settings, switch on and off, begin to learn."""
    return await runtime.webhooks.change(
        id,
        by=by,
        name=body.name,
        settings=None if body.settings is None else body.settings.model_dump(exclude_unset=True),
        is_enabled=body.is_enabled,
        is_learning=body.is_learning,
    )


@routes.post("/{id}/renew", response_model=Address)
@allows("webhooks.change")
async def renew_webhook(runtime: The, by: By, id: Id) -> Any:
    """Give it a new address; the old one is gone at once."""
    return {"url": await runtime.webhooks.renew(id, by=by)}


@routes.delete("/{id}", response_model=list[ScenarioName])
@allows("webhooks.change")
async def delete_webhook(runtime: The, by: By, id: Id, force: bool = False) -> Any:
    """Remove a webhook; answers the scenarios that used it."""
    return await runtime.webhooks.delete(id, by=by, force=force)


@routes.get("/{id}/queue", response_model=list[Event])
@allows("webhooks.read")
async def webhook_queue(
    runtime: The,
    by: By,
    id: Id,
    after: Annotated[int, Query(ge=0, description="Only behind this `arrival`.")] = 0,
    limit: Limit = 50,
) -> Any:
    """The events that came in here and are not carried out yet, oldest first."""
    return await runtime.webhooks.queue(id, by=by, after=after, limit=limit)


@routes.delete("/{id}/queue/{event_id}", status_code=204)
@allows("webhooks.change")
async def discard_event(
    runtime: The, by: By, id: Id, event_id: Annotated[str, Path(max_length=64)]
) -> None:
    """Take one waiting event out."""
    await runtime.webhooks.discard(id, event_id, by=by)


@routes.get("/{id}/requests", response_model=Page[Request])
@allows("webhooks.read")
async def webhook_requests(
    runtime: The, by: By, id: Id, before: Before = None, limit: Limit = 50
) -> Any:
    """What arrived, newest first."""
    return page(await runtime.webhooks.requests(id, by=by, before=before, limit=limit), limit)
