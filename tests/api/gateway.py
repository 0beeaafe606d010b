"""The webhook gateway without a server: requests are given to it as an ASGI server would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from millrace.api.hooks import Hooks
from millrace.runtime.actor import Actor
from millrace.runtime.wire import Runtime, build
from millrace.storage.store import ExecutionRow


@dataclass(kw_only=True)
class Answered:
    """What a caller hears."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} is there {len(found)} times"
        return found[0] if found else None


class Gateway:
    """A gateway before an installation, and what its tests ask of both."""

    def __init__(self, runtime: Runtime, owner: Actor, **options: Any) -> None:
        self.runtime = runtime
        self.owner = owner
        self.hooks = Hooks(
            runtime.webhooks, runtime.services, runtime.programs, runtime.executions, **options
        )

    async def webhook(self, name: str = "w", *, is_learning: bool = False, **settings: Any) -> str:
        """The token of a new webhook."""
        url, _ = await self.runtime.webhooks.create(
            by=self.owner, name=name, settings=settings, is_learning=is_learning
        )
        return url.rpartition("/")[2]

    async def scenario(self, text: str, *, is_active: bool = True) -> str:
        """The id of a new scenario, published and (if nothing else is said) switched on."""
        saved = await self.runtime.scenarios.create(by=self.owner, text=text)
        id = saved.scenario.id
        await self.runtime.scenarios.publish(id, by=self.owner)
        if is_active:
            await self.runtime.scenarios.activate(id, by=self.owner)
        return id

    async def call(
        self,
        token: str,
        body: bytes | Iterable[bytes] = b"",
        *,
        method: str = "POST",
        query: bytes = b"",
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        client: str | None = "192.0.2.1",
        is_cut: bool = False,
    ) -> Answered:
        """Send a request; of several parts of a body, the last may never arrive (`is_cut`)."""
        given = headers.items() if isinstance(headers, Mapping) else headers
        scope = {
            "type": "http",
            "method": method,
            "path": f"/hooks/{token}",
            "query_string": query,
            "headers": [(name.lower().encode(), value.encode()) for name, value in given],
            "client": None if client is None else (client, 5000),
        }
        parts = [body] if isinstance(body, bytes) else list(body)
        messages = [
            {"type": "http.request", "body": part, "more_body": is_cut or number < len(parts)}
            for number, part in enumerate(parts, 1)
        ]
        messages.append({"type": "http.disconnect"})
        waiting = iter(messages)
        sent: list[Any] = []

        async def receive() -> Any:
            return next(waiting)

        async def send(message: Any) -> None:
            sent.append(message)

        await self.hooks(scope, receive, send)
        start, *rest = sent
        return Answered(
            status=start["status"],
            headers=[(name.decode(), value.decode()) for name, value in start["headers"]],
            body=b"".join(message["body"] for message in rest),
        )

    async def post(self, token: str, value: Any, **options: Any) -> Answered:
        """Send JSON."""
        headers = {"content-type": "application/json"}
        return await self.call(token, json.dumps(value).encode(), headers=headers, **options)

    async def executions(self, count: int) -> list[ExecutionRow]:
        """The history, oldest first, once it holds so many executions that are over."""
        async with asyncio.timeout(10):
            while True:
                rows = list(reversed(await self.runtime.history.page(by=self.owner)))
                if sum(row.finished_at_ms is not None for row in rows) >= count:
                    return rows
                await asyncio.sleep(0.005)

    async def parked(self) -> None:
        """Wait until the newest execution has left memory."""
        async with asyncio.timeout(10):
            while True:
                rows = await self.runtime.history.page(by=self.owner, status="waiting")
                if rows and self.runtime.queue.is_idle:
                    return
                await asyncio.sleep(0.005)

    async def bundles(self, count: int = 1) -> list[dict[str, Any]]:
        """What the trigger gave, execution by execution, once there are so many."""
        found = []
        for row in await self.executions(count):
            details = await self.runtime.history.get(row.id, by=self.owner)
            found += details.operations[0].output
        return found

    async def bundle(self) -> dict[str, Any]:
        """What the trigger of the only execution gave."""
        (bundle,) = await self.bundles()
        return bundle


class FakeClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture(name="clock")
def clock_fixture() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="gateway")
async def gateway_fixture(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Gateway]:
    """A gateway before an empty installation."""
    runtime = await build(tmp_path / "data", clock=clock)
    await runtime.start(is_scheduling=False)
    yield Gateway(runtime, await runtime.users.ensure_owner())
    await runtime.close()
