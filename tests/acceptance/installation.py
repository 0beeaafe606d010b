"""A whole installation, as its owner sees it: real store, real vault, real apps."""

from __future__ import annotations

import asyncio
import json
from asyncio import Future
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from millrace.api.hooks import PREFIX, Hooks
from millrace.runtime.actor import Actor
from millrace.runtime.history import Details, Operation
from millrace.runtime.wire import Runtime
from millrace.storage.scenarios import ScenarioRow
from millrace.storage.store import EventKind, EventState, ExecutionRow, IncompleteRow

PATIENCE_SECONDS = 20


class FakeClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, span: timedelta) -> None:
        self.at += span


@dataclass
class Answer:
    """What the caller of a webhook gets."""

    status: int
    body: str
    headers: dict[str, str]


class Ran:
    """One execution, as its history tells it."""

    def __init__(self, details: Details) -> None:
        self.details = details

    @property
    def row(self) -> ExecutionRow:
        return self.details.execution

    @property
    def status(self) -> str:
        return self.row.status

    @property
    def operations(self) -> int:
        return self.row.operations

    def given(self, module: str, name: str = "value") -> list[Any]:
        """A parameter of each operation of a module."""
        return [(each.input or {}).get(name) for each in self._done if each.module == module]

    def gave(self, module: str) -> list[dict[str, Any]]:
        """Every bundle that a module gave."""
        return [
            bundle for each in self._done if each.module == module for bundle in each.output or []
        ]

    @property
    def log(self) -> list[str]:
        """The modules that did something, in order."""
        return [each.module for each in self._done]

    @property
    def _done(self) -> list[Operation]:
        return [each for each in self.details.operations if each.kind in ("module", "engine")]


@dataclass
class Started:
    """A scenario that has been published and switched on."""

    installation: Installation
    id: str
    hook: str = ""

    async def run(self, *, kind: EventKind = "schedule", **start: Any) -> Ran:
        """One execution, as the schedule starts it unless said otherwise."""
        runtime, owner = self.installation.runtime, self.installation.owner
        program = await runtime.programs.published(owner.team_id, self.id)
        start.setdefault("cycles", None)
        execution_id, done = await runtime.executions.start(program, kind=kind, **start)
        await self.installation.wait(done)
        return await self.installation.ran(execution_id)

    async def row(self) -> ScenarioRow:
        return await self.installation.runtime.scenarios.get(self.id, by=self.installation.owner)

    async def kept(self) -> list[IncompleteRow]:
        """What waits to be resumed."""
        runtime, owner = self.installation.runtime, self.installation.owner
        return await runtime.incomplete.page(by=owner, scenario_id=self.id)

    async def executions(self) -> list[Ran]:
        """The history, oldest first."""
        runtime, owner = self.installation.runtime, self.installation.owner
        rows = await runtime.history.page(by=owner, scenario_id=self.id)
        return [await self.installation.ran(row.id) for row in reversed(rows)]

    async def has_ended(self, count: int) -> None:
        """Wait until so many executions have come to their end."""

        async def ended() -> bool:
            rows = [ran.row for ran in await self.executions()]
            return sum(row.status not in ("running", "waiting") for row in rows) == count

        await self.installation.until(ended)

    async def call(self, body: Any = None, **of: Any) -> Answer:
        """Call its webhook."""
        return await self.installation.call(self.hook, body, **of)

    async def waiting(self) -> Mapping[EventState, int]:
        """Events in its queue, by state."""
        runtime, owner = self.installation.runtime, self.installation.owner
        return await runtime.store.waiting(owner.team_id, self.id)


class Installation:
    """What tests do with it."""

    def __init__(self, runtime: Runtime, clock: FakeClock, owner: Actor) -> None:
        self.runtime = runtime
        self.clock = clock
        self.owner = owner
        self.hooks = Hooks(runtime.webhooks, runtime.services, runtime.programs, runtime.executions)

    async def started(self, text: str, **webhook: Any) -> Started:
        """Save, publish and activate a scenario; one that names the webhook "w" gets it made."""
        hook = ""
        if "webhook: w" in text:
            address, _ = await self.runtime.webhooks.create(
                by=self.owner, name="w", settings=webhook
            )
            hook = address.partition(PREFIX)[2]
        saved = await self.runtime.scenarios.create(by=self.owner, text=text)
        id = saved.scenario.id
        await self.runtime.scenarios.publish(id, by=self.owner)
        await self.runtime.scenarios.activate(id, by=self.owner)
        return Started(self, id, hook)

    async def run(self, text: str, **start: Any) -> Ran:
        """One execution of a scenario."""
        return await (await self.started(text)).run(**start)

    async def ran(self, execution_id: str) -> Ran:
        details = await self.runtime.history.get(execution_id, by=self.owner, limit=5_000)
        return Ran(details)

    async def wait(self, done: Future[Any]) -> Any:
        return await asyncio.wait_for(done, PATIENCE_SECONDS)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something has come about."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await condition():  # noqa: ASYNC110 - as a person would: look again
                await asyncio.sleep(0.005)

    async def call(self, token: str, body: Any = None, *, method: str = "POST") -> Answer:
        """Call a webhook over its ASGI interface."""
        content = b"" if body is None else json.dumps(body).encode()
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": PREFIX + token,
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
        }
        await self.hooks(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        text = b"".join(message.get("body", b"") for message in sent[1:]).decode()
        return Answer(sent[0]["status"], text, headers)
