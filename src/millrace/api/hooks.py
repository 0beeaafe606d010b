"""The webhook gateway: plain ASGI, because this is the hot path of the whole product.

It does no more than: read the body, ask ``runtime/hooks.py``, put the event into the inbox, answer.
Every answer carries a sandbox: whatever a scenario sends back has no power over our origin.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from millrace.errors import MillraceError, ModuleError, StorageError
from millrace.ids import new_id
from millrace.runtime.driver import SMALL_BYTES, Outcome
from millrace.runtime.executions import Executions
from millrace.runtime.hooks import (
    ACCEPTED,
    MAX_BODY_BYTES,
    MAX_QUEUE,
    REPLY_SECONDS,
    Buckets,
    Refused,
    Reply,
    Request,
    admit,
    plain_reply,
    read_bundle,
    reply_of,
)
from millrace.runtime.journal import milliseconds
from millrace.runtime.program import Program
from millrace.runtime.programs import Programs
from millrace.runtime.services import Services
from millrace.runtime.webhooks import HookConfig, Webhooks
from millrace.storage.webhooks import WebhookLogRow

_LOG = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIX = "/hooks/"

BODY_SECONDS = 60.0
"""How long a caller may take to send its body."""

SANDBOX = (
    (b"content-security-policy", b"sandbox; default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)

_ACCEPTED = plain_reply(200, ACCEPTED)


class Hooks:
    """An ASGI application for everything below ``/hooks/``.

    Args:
        webhooks: Looks addresses up.
        services: The installation.
        programs: Scenario versions ready to run.
        executions: Where events are put.
        reply_seconds: How long a caller waits for a response module.
        trusted_proxies: Addresses whose ``X-Forwarded-For`` is believed.
    """

    def __init__(
        self,
        webhooks: Webhooks,
        services: Services,
        programs: Programs,
        executions: Executions,
        *,
        reply_seconds: float = REPLY_SECONDS,
        trusted_proxies: frozenset[str] = frozenset(),
    ) -> None:
        self._webhooks = webhooks
        self._services = services
        self._programs = programs
        self._executions = executions
        self._reply_seconds = reply_seconds
        self._trusted = trusted_proxies
        self._buckets = Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        hook: HookConfig | None = None
        request = Request(
            method=scope["method"],
            query=scope["query_string"],
            headers=scope["headers"],
            body=b"",
        )
        request.client = self._client(scope, request)
        try:
            token = scope["path"][len(PREFIX) :]
            now_seconds = self._services.clock.now().timestamp()
            hook = await self._webhooks.by_token(token)
            hook = admit(hook, request, now_seconds=now_seconds, buckets=self._buckets)
            request.body = await _read(request, receive)
            reply = await self._answer(hook, request)
        except Refused as refusal:
            if hook is not None:
                await self._log(hook, request, refusal)
            retry_after = refusal.retry_after_seconds
            reply = plain_reply(refusal.status, refusal.message, retry_after=retry_after)
        except StorageError:
            _LOG.exception("an event could not be kept")
            reply = plain_reply(503, "The event could not be kept; send it again.", retry_after=5)
        await _send(reply, send, is_head=request.method == "HEAD")

    async def _answer(self, hook: HookConfig, request: Request) -> Reply:
        files = self._services.vault.files(hook.team_id)
        bundle = read_bundle(hook, request, files)
        if hook.is_learning:
            await self._webhooks.learn(hook, bundle)
        program = row = None
        if hook.scenario_id is not None:
            row = await self._programs.row(hook.team_id, hook.scenario_id)
            if row.published_version_id is not None:
                program = await self._programs.published(hook.team_id, hook.scenario_id)
        is_on = row is not None and row.is_active and program is not None
        if not is_on and await self._is_full(hook):
            raise Refused(429, "The queue of this webhook is full.", retry_after_seconds=60)
        _, fresh = self._executions.put(
            team_id=hook.team_id,
            scenario_id=hook.scenario_id,
            program=program,
            kind="webhook",
            payload={
                "bundles": [bundle],
                "trigger": None if program is None else _trigger(program, hook),
                "transfer": len(request.body) if len(request.body) >= SMALL_BYTES else 0,
            },
            origin_id=hook.id,
            is_held=not is_on,
            is_answered=is_on and program is not None and program.has_responder,
        )
        if fresh.reply is None:
            await fresh.accepted
            return _ACCEPTED
        try:
            async with asyncio.timeout(self._reply_seconds):
                answered = await fresh.reply
        except TimeoutError:
            return _ACCEPTED
        except MillraceError:
            return plain_reply(500, "Scenario failed to complete.")
        if isinstance(answered, Outcome):
            if answered.finish.status == "error":
                return plain_reply(500, "Scenario failed to complete.")
            return _ACCEPTED
        try:
            return reply_of(answered, files)
        except ModuleError:
            return plain_reply(500, "The response of the scenario cannot be sent.")

    async def _is_full(self, hook: HookConfig) -> bool:
        """Whether the events that wait at a webhook are as many as may wait."""
        if hook.scenario_id is None:
            return False
        waiting = await self._services.store.waiting(hook.team_id, hook.scenario_id)
        return sum(waiting.values()) >= MAX_QUEUE

    async def _log(self, hook: HookConfig, request: Request, refusal: Refused) -> None:
        """Note a request that was turned away; those that came in are in the history."""
        row = WebhookLogRow(
            team_id=hook.team_id,
            id=new_id(),
            webhook_id=hook.id,
            received_at_ms=milliseconds(self._services.clock.now()),
            status=refusal.status,
            method=request.method,
            address=request.client,
            size_bytes=len(request.body),
            problem=refusal.message,
        )
        try:
            await self._webhooks.log(row)
        except StorageError:
            _LOG.exception("a refused request could not be noted")

    def _client(self, scope: Scope, request: Request) -> str:
        """Who calls. A forwarded address is believed only from a proxy that we were told of."""
        client = scope.get("client")
        address = client[0] if client else ""
        if address in self._trusted:
            forwarded = request.header(b"x-forwarded-for").decode("latin-1")
            for candidate in reversed([part.strip() for part in forwarded.split(",")]):
                if candidate and candidate not in self._trusted:
                    return candidate
        return address


def _trigger(program: Program, hook: HookConfig) -> str | None:
    """Which trigger module listens to the webhook, when there are several."""
    triggers = program.plan.triggers
    if len(triggers) < 2:
        return None
    for id, node in triggers.items():
        if node.module.resources.get("webhook") in (hook.name, hook.id):
            return id
    return None


async def _read(request: Request, receive: Receive) -> bytes:
    """The whole body, within size and time."""
    declared = request.header(b"content-length")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise Refused(413, f"At most {MAX_BODY_BYTES} bytes are taken.")
    message = await receive()
    if not message.get("more_body"):
        return _whole(message.get("body", b""))
    parts, size = [message.get("body", b"")], len(message.get("body", b""))
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while message.get("more_body"):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "The body is cut off.")
                part = message.get("body", b"")
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise Refused(413, f"At most {MAX_BODY_BYTES} bytes are taken.")
                parts.append(part)
    except TimeoutError:
        raise Refused(408, "The body took too long.") from None
    return b"".join(parts)


def _whole(body: bytes) -> bytes:
    if len(body) > MAX_BODY_BYTES:
        raise Refused(413, f"At most {MAX_BODY_BYTES} bytes are taken.")
    return body


async def _send(reply: Reply, send: Send, *, is_head: bool) -> None:
    headers = [
        *reply.headers,
        (b"content-length", str(len(reply.body)).encode()),
        *SANDBOX,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else reply.body})
