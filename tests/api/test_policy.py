from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from millrace.api.app import build_api
from millrace.api.policy import Routes, allows
from millrace.settings import read_settings

PUBLIC = {
    ("GET", "/assets/{name}"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/sign-in"),
    ("POST", "/api/v1/session"),
    ("POST", "/sign-in"),
}
"""Reviewed: nothing else is open to somebody who is not signed in."""


@cache
def published() -> dict[str, Any]:
    """The OpenAPI document's paths."""
    paths: dict[str, Any] = build_api(None, read_settings({})).openapi()["paths"]
    return paths


def paths() -> list[tuple[str, str]]:
    """Method and address of every operation of the API."""
    return [(method.upper(), path) for path, item in published().items() for method in item]


def test_a_route_without_a_policy_is_refused_when_it_is_made() -> None:
    routes = Routes()

    async def open_to_all() -> None:
        """No policy."""

    with pytest.raises(TypeError, match="has no policy"):
        routes.get("/secrets")(open_to_all)


def test_a_policy_that_names_no_action_is_refused() -> None:
    with pytest.raises(TypeError, match="is not an action"):
        allows("scenarios.fly")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer mlr_garbage"}])
async def test_nothing_is_open_to_the_first_visitor(anyone: Any, headers: dict[str, str]) -> None:
    closed = sorted(set(paths()) - PUBLIC)
    assert len(closed) > 50
    for method, path in closed:
        address = re.sub(r"\{\w+\}", "1", path)
        body = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
        answer = await anyone.ask(method, address, headers=headers, **body)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_signed_in"


def test_what_is_public_is_what_was_reviewed() -> None:
    assert {pair for pair in paths() if not _is_secured(pair)} <= PUBLIC


def _is_secured(pair: tuple[str, str]) -> bool:
    operation = published()[pair[1]][pair[0].lower()]
    return bool(operation.get("security"))


@pytest.mark.parametrize("path", ["/", "/executions", "/incomplete", "/apps", "/scenarios/x"])
async def test_a_page_asks_to_sign_in(anyone: Any, path: str) -> None:
    answer = await anyone.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in"


async def test_a_token_does_what_its_scopes_say(runtime: Any, anyone: Any) -> None:
    by = await runtime.users.owner()
    secret, _ = await runtime.users.create_token(by=by, name="reader", scopes=["*.read"])
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await anyone.get("/api/v1/scenarios", headers=headers)).status_code == 200
    refused = await anyone.post("/api/v1/scenarios", {}, headers=headers)
    assert refused.status_code == 403
    assert "not made for scenarios.change" in refused.json()["detail"]


async def test_a_token_needs_no_csrf_and_a_cookie_adds_nothing_to_it(
    runtime: Any, owner: Any
) -> None:
    by = await runtime.users.owner()
    secret, _ = await runtime.users.create_token(by=by, name="reader", scopes=["*.read"])
    headers = {"Authorization": f"Bearer {secret}", "X-CSRF-Token": "", "Origin": "https://evil"}
    assert (await owner.post("/api/v1/scenarios", {}, headers=headers)).status_code == 403
    assert (await owner.get("/api/v1/scenarios", headers=headers)).status_code == 200


async def test_a_viewer_may_look_and_not_touch(runtime: Any, anyone: Any) -> None:
    from millrace.storage import users as stored

    by = await runtime.users.owner()
    secret, _ = await runtime.users.create_token(by=by, name="all")
    await stored.Users(runtime.store).join(
        stored.MembershipRow(team_id=by.team_id, user_id=by.user_id, role="viewer", created_at_ms=1)
    )
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await anyone.get("/api/v1/scenarios", headers=headers)).status_code == 200
    refused = await anyone.post("/api/v1/scenarios", {}, headers=headers)
    assert refused.status_code == 403
    assert "needs editor" in refused.json()["detail"]
