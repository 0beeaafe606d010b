"""The demo: a team's first connections, data stores and scenarios, against the practice service."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from millrace.practice.server import Practice

PLACEHOLDER = "PRACTICE"
"""Stands in the demo's scenarios where the address of the practice service belongs."""

SAMPLE_ORDER = (
    '{"customer": "Ada", "lines": [{"sku": "lamp", "qty": 2}, {"sku": "chair", "qty": 500}]}'
)


class Demo:
    """What was made, or found from the start before."""

    def __init__(self, *, webhook_address: str) -> None:
        self.webhook_address = webhook_address
        """Where orders are sent to; empty when it was made at an earlier start."""


async def seed(runtime: Any, owner: Any, practice: Practice) -> Demo:
    """Make the demo's things if the team has none of them.

    Args:
        runtime: The wired whole (`runtime.wire.Runtime`).
        owner: Who gets them.
        practice: Running on ports that stay the same from start to start.
    """
    if await runtime.scenarios.page(by=owner, limit=1):
        return Demo(webhook_address="")
    user, password = practice.user, practice.password
    web = {"username": user, "password": password, "hosts": [f"{practice.host}:{practice.port}"]}
    plain = {"host": practice.host, "security": "none", "user": user, "password": password}
    for app, type, name, fields in (
        ("http", "basic", "practice shop", web),
        ("email", "smtp", "practice outbox", {**plain, "port": practice.smtp_port}),
        ("email", "imap", "practice mailbox", {**plain, "port": practice.imap_port}),
    ):
        if type == "smtp":
            fields = {**fields, "from": "shop@example.com"}
        await runtime.connections.create(by=owner, app=app, type=type, name=name, fields=fields)
    for name in ("orders", "messages"):
        await runtime.data_stores.create(by=owner, name=name)
    address, _ = await runtime.webhooks.create(by=owner, name="orders")
    for file in sorted(files("millrace.practice").joinpath("scenarios").iterdir(), key=str):
        if not file.name.endswith(".yaml"):
            continue
        text = file.read_text(encoding="utf-8").replace(PLACEHOLDER, practice.url)
        saved = await runtime.scenarios.create(by=owner, text=text)
        await runtime.scenarios.publish(saved.scenario.id, by=owner)
        if "webhooks:receive" in text:
            await runtime.scenarios.activate(saved.scenario.id, by=owner)
    return Demo(webhook_address=address)
