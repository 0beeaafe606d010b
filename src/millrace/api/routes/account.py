"""Signing in and out, who one is, and API tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import Field

from millrace.api.policy import (
    PUBLIC,
    By,
    Routes,
    allows,
    check_same_site,
    cookie_name,
    keep_signed_in,
)
from millrace.api.shapes import In, Instant, Out, The, at

routes = Routes(tags=["account"])


class Link(In):
    """The secret part of a sign-in link."""

    token: str = Field(max_length=200)


class Team(Out):
    """A team."""

    id: str
    name: str
    timezone: str


class User(Out):
    """A person."""

    id: str
    name: str
    email: str


class Account(Out):
    """Who one is here, and what one may do."""

    user: User | None
    team: Team
    role: str
    via: str
    csrf: str | None = Field(
        default=None, description="Send it as X-CSRF-Token with unsafe methods."
    )


class Token(Out):
    """An API token, without its secret."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: Instant = at("created_at")
    used_at: Instant | None = at("used_at")
    expires_at: Instant | None = at("expires_at")


class NewToken(In):
    """A token to be made."""

    name: str = Field(max_length=200)
    scopes: list[str] = Field(
        default=["*"], description="`scenarios.run`, `scenarios.*`, `*.read`, `*`."
    )
    expires_in_seconds: int | None = Field(default=None, ge=60)


class MadeToken(Out):
    """A new token; its secret is shown this once."""

    secret: str
    token: Token


class Deed(Out):
    """Something that somebody did."""

    seq: int
    at: Instant = Field(validation_alias="at_ms")
    actor: str
    action: str
    object_kind: str
    object_id: str
    detail: dict[str, Any]


@routes.post("/session", response_model=Account, status_code=201)
@allows(PUBLIC)
async def sign_in(runtime: The, request: Request, response: Response, body: Link) -> Any:
    """Use a sign-in link; the answer sets the session cookie."""
    check_same_site(request.headers, request.app.state.address)
    secret, session = await runtime.users.sign_in(body.token)
    keep_signed_in(request, response, secret)
    return await _account(runtime, session.actor, session.csrf)


@routes.get("/session", response_model=Account)
@allows("account.read")
async def get_session(runtime: The, by: By, request: Request) -> Any:
    """Who one is here."""
    session = getattr(request.state, "session", None)
    return await _account(runtime, by, session.csrf if session else None)


@routes.delete("/session", status_code=204)
@allows("account.read")
async def sign_out(runtime: The, by: By, request: Request) -> Response:
    """End the session."""
    name = cookie_name(request.app.state.is_secure)
    await runtime.users.sign_out(request.cookies.get(name, ""))
    answer = Response(status_code=204)
    answer.headers["Clear-Site-Data"] = '"cookies", "storage", "cache"'
    answer.delete_cookie(name, path="/", secure=request.app.state.is_secure, httponly=True)
    return answer


@routes.get("/tokens", response_model=list[Token])
@allows("tokens.read")
async def list_tokens(runtime: The, by: By) -> Any:
    """The API tokens of the team."""
    return await runtime.users.tokens(by=by)


@routes.post("/tokens", response_model=MadeToken, status_code=201)
@allows("tokens.change")
async def create_token(runtime: The, by: By, body: NewToken) -> Any:
    """Make an API token; its secret is shown this once."""
    seconds = body.expires_in_seconds
    secret, token = await runtime.users.create_token(
        by=by,
        name=body.name,
        scopes=body.scopes,
        expires_in=None if seconds is None else timedelta(seconds=seconds),
    )
    return {"secret": secret, "token": token}


@routes.delete("/tokens/{id}", status_code=204)
@allows("tokens.change")
async def delete_token(runtime: The, by: By, id: Annotated[str, Path(max_length=64)]) -> None:
    """Remove a token; whoever holds it is out at once."""
    await runtime.users.remove_token(id, by=by)


@routes.get("/activity", response_model=list[Deed])
@allows("history.read")
async def activity(
    runtime: The, by: By, before: int | None = None, object_id: str | None = None
) -> Any:
    """Who did what, newest first, 100 at a time."""
    return await runtime.activity.page(by=by, before=before, limit=100, object_id=object_id)


async def _account(runtime: Any, by: Any, csrf: str | None) -> dict[str, Any]:
    return {
        "user": await runtime.users.user(by=by),
        "team": await runtime.users.team(by=by),
        "role": by.role,
        "via": by.via,
        "csrf": csrf,
    }
