"""An installation in a folder and the practice service: what the pages are tried against."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from millrace import practice as service
from millrace.appkit.guard import Guard
from millrace.runtime.driver import Outcome
from millrace.runtime.wire import Runtime, build

ROOT = Path(__file__).parents[2]
DEMO_SHOP = "http://127.0.0.1:8081"
"""Where examples look for the practice shop: that of `make start`."""


class Installation:
    """Runs the examples as a person would: with connections of their names, once."""

    def __init__(self, runtime: Runtime, practice: service.Practice, owner) -> None:
        self.runtime = runtime
        self.practice = practice
        self.owner = owner

    async def prepare(self) -> None:
        """What `millrace serve --demo` makes."""
        shop = self.practice
        web = {"username": shop.user, "password": shop.password}
        mail = {
            "host": shop.host,
            "security": "none",
            "user": shop.user,
            "password": shop.password,
        }
        for app, type_, name, fields in (
            ("http", "basic", "practice shop", {**web, "hosts": [f"{shop.host}:{shop.port}"]}),
            (
                "email",
                "smtp",
                "practice outbox",
                {**mail, "port": shop.smtp_port, "from": "shop@example.com"},
            ),
            ("email", "imap", "practice mailbox", {**mail, "port": shop.imap_port}),
        ):
            await self.runtime.connections.create(
                by=self.owner, app=app, type=type_, name=name, fields=fields
            )
        for name in ("orders", "visits"):
            await self.runtime.data_stores.create(by=self.owner, name=name)
        await self.runtime.webhooks.create(by=self.owner, name="orders")

    async def add(self, name: str) -> str:
        """The id of an example that was made a scenario of this installation."""
        text = (ROOT / "examples/scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
        text = text.replace(DEMO_SHOP, self.practice.url)
        saved = await self.runtime.scenarios.create(by=self.owner, text=text)
        await self.runtime.scenarios.publish(saved.scenario.id, by=self.owner)
        return saved.scenario.id

    async def run(self, scenario_id: str, *, bundle=None, **inputs) -> Outcome:
        """Start it by hand and wait for its end."""
        program = await self.runtime.programs.published(self.owner.team_id, scenario_id)
        given = {item.name: item.default for item in program.scenario.inputs} | inputs
        bundles = None if bundle is None else [bundle]
        _, done = await self.runtime.executions.start(program, inputs=given, bundles=bundles)
        return await done

    async def outputs(self, name: str, **inputs):
        """What an example gives back when it is run once, and all goes well."""
        outcome = await self.run(await self.add(name), **inputs)
        assert (outcome.finish.status, outcome.finish.failure) == ("success", None)
        return outcome.finish.outputs


@pytest.fixture
async def installation(tmp_path) -> AsyncIterator[Installation]:
    practice = await service.start()
    guard = Guard(allow=[("127.0.0.0/8", None)])
    runtime = await build(tmp_path / "data", guard=guard)
    await runtime.start(is_scheduling=False)
    try:
        owner = await runtime.users.ensure_owner()
        found = Installation(runtime, practice, owner)
        await found.prepare()
        yield found
    finally:
        await runtime.close()
        await practice.stop()
