from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from millrace.api.app import App
from millrace.runtime.wire import Runtime, build
from millrace.settings import Settings, read_settings

ADDRESS = "http://127.0.0.1:8080"


class Person:
    """A browser that is signed in, or not."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self.csrf = ""

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """A request as our own pages send it."""
        headers = {"Origin": ADDRESS, "X-CSRF-Token": self.csrf, **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        return await self.ask("POST", path, json=json, **options)


@pytest.fixture
def settings() -> Settings:
    return read_settings({})


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    runtime = await build(tmp_path / "data")
    await runtime.users.ensure_owner()
    await runtime.start(is_scheduling=False)
    yield runtime
    await runtime.close()


@pytest.fixture
async def anyone(runtime: Runtime, settings: Settings) -> AsyncIterator[Person]:
    """Somebody who is not signed in."""
    transport = httpx2.ASGITransport(app=App(runtime, settings), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=ADDRESS) as http:
        yield Person(http)


@pytest.fixture
async def owner(runtime: Runtime, anyone: Person) -> Person:
    """The owner, signed in."""
    by = await runtime.users.owner()
    assert by is not None
    link = await runtime.users.create_sign_in_link(by=by)
    answer = await anyone.post("/api/v1/session", {"token": link})
    assert answer.status_code == 201
    anyone.csrf = answer.json()["csrf"]
    return anyone
