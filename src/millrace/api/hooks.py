"""The webhook gateway: plain ASGI, because this is the hot path of the whole product.

It does no more than: read the body, ask ``runtime/hooks.py``, put the event into the inbox, answer.
Every answer carries a sandbox: whatever a scenario sends back has no power over our origin.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_network
from typing import Any

from millrace.appkit.call import Files
from millrace.errors import MillraceError, ModuleError, StorageError
from millrace.ids import new_id
from millrace.runtime.driver import Outcome
from millrace.runtime.executions import Executions, Fresh
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
    is_within,
    plain_reply,
    read_bundle,
    reply_of,
)
from millrace.runtime.journal import milliseconds
from millrace.runtime.operations import SMALL_BYTES
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
_FAILED = plain_reply(500, "Scenario failed to complete.")


class Hooks:
    """An ASGI application for everything below ``/hooks/``.

    Args:
        webhooks: Looks addresses up.
        services: The installation.
        programs: Scenario versions ready to run.
        executions: Where events are put.
        reply_seconds: How long a caller waits for a response module.
        max_queue: Events that may wait at a webhook whose scenario does not run.
        trusted_proxies: Networks of proxies whose ``X-Forwarded-For`` is believed.
    """

    def __init__(
        self,
        webhooks: Webhooks,
        services: Services,
        programs: Programs,
        executions: Executions,
        *,
        reply_seconds: float = REPLY_SECONDS,
        max_queue: int = MAX_QUEUE,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        self._webhooks = webhooks
        self._services = services
        self._programs = programs
        self._executions = executions
        self._reply_seconds = reply_seconds
        self._max_queue = max_queue
        self._trusted = tuple(ip_network(text, strict=False) for text in trusted_proxies)
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
            reply = await self._answer(hook, request, token)
        except Refused as refusal:
            if hook is not None:
                await self._log(hook, request, refusal)
            retry_after = refusal.retry_after_seconds
            reply = plain_reply(refusal.status, refusal.message, retry_after=retry_after)
        except StorageError:
            _LOG.exception("an event could not be kept")
            reply = plain_reply(503, "The event could not be kept; send it again.", retry_after=5)
        await _send(reply, send, is_head=request.method == "HEAD")

    async def _answer(self, hook: HookConfig, request: Request, token: str) -> Reply:
        files = self._services.vault.files(hook.team_id)
        bundle = read_bundle(hook, request, files)
        if hook.is_learning:
            await self._webhooks.learn(hook, bundle)
        program = None
        is_on = False
        if hook.scenario_id is not None:
            row = await self._programs.row(hook.team_id, hook.scenario_id)
            if row.published_version_id is not None:
                program = await self._program(hook)
                is_on = row.is_active
        if not is_on and await self._webhooks.waiting(hook) >= self._max_queue:
            raise Refused(429, "The queue of this webhook is full.", retry_after_seconds=60)
        _, fresh = self._executions.put(
            team_id=hook.team_id,
            scenario_id=hook.scenario_id,
            program=program,
            kind="webhook",
            payload={
                "bundles": [bundle],
                "webhook": (hook.id, hook.name),
                "transfer": len(request.body) if len(request.body) >= SMALL_BYTES else 0,
            },
            origin_id=hook.id,
            is_held=not is_on,
            is_answered=is_on and program is not None and program.has_responder,
        )
        if fresh.reply is None:
            await fresh.accepted
            if not is_on:
                await self._hand_on(hook, token)
            return _ACCEPTED
        return await self._replied(fresh, files)

    async def _program(self, hook: HookConfig) -> Program | None:
        """What is to run; None when it cannot be made ready, and the event is kept all the same."""
        try:
            return await self._programs.published(hook.team_id, hook.scenario_id or "")
        except StorageError:
            raise
        except MillraceError:
            _LOG.exception(
                "a scenario cannot be made ready; its events are kept",
                extra={"scenario_id": hook.scenario_id},
            )
            return None

    async def _replied(self, fresh: Fresh, files: Files) -> Reply:
        """What the scenario answers, or what is said in its place."""
        answered: Any = None
        try:
            async with asyncio.timeout(self._reply_seconds):
                answered = await fresh.reply  # type: ignore[misc]
        except TimeoutError:
            pass
        except MillraceError:
            await fresh.accepted  # An event that was not kept at all is another matter: 503.
            return _FAILED
        if answered is None:
            await fresh.accepted
            return _ACCEPTED
        if isinstance(answered, Outcome):
            return _FAILED if answered.finish.status == "error" else _ACCEPTED
        try:
            return reply_of(answered, files)
        except ModuleError:
            return plain_reply(500, "The response of the scenario cannot be sent.")

    async def _hand_on(self, hook: HookConfig, token: str) -> None:
        """See that an event does not stay behind that was kept while its scenario was switched on.

        Between looking whether the scenario is on and keeping the event, somebody may have taken
        the webhook into a scenario, or activated it, and have seen no event yet.
        """
        now = await self._webhooks.by_token(token)
        if now is None or now.scenario_id is None:
            return
        if now.scenario_id != hook.scenario_id:
            await self._webhooks.adopt(now)
        row = await self._programs.row(now.team_id, now.scenario_id)
        if row.is_active:
            await self._executions.release(now.team_id, now.scenario_id)

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
        if self._trusted and is_within(address, self._trusted):
            # A proxy may add a header of its own behind the one that the caller made up.
            forwarded = b",".join(
                value for name, value in request.headers if name == b"x-forwarded-for"
            ).decode("latin-1")
            for candidate in reversed([part.strip() for part in forwarded.split(",")]):
                if candidate and not is_within(candidate, self._trusted):
                    return candidate
        return address


async def _read(request: Request, receive: Receive) -> bytes:
    """The whole body, within size and time."""
    declared = request.header(b"content-length")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise Refused(413, f"At most {MAX_BODY_BYTES} bytes are taken.")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "The body is cut off.")
                part = message.get("body", b"")
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise Refused(413, f"At most {MAX_BODY_BYTES} bytes are taken.")
                if not message.get("more_body"):
                    return b"".join((*parts, part)) if parts else part
                parts.append(part)
    except TimeoutError:
        raise Refused(408, "The body took too long.") from None


async def _send(reply: Reply, send: Send, *, is_head: bool) -> None:
    # A scenario may say how long its answer is good for; nothing else of the sandbox is its choice.
    headers = [*reply.headers, *SANDBOX]
    if len(reply.headers) > 1:
        own = {name for name, _ in reply.headers}
        headers[len(reply.headers) :] = [pair for pair in SANDBOX if pair[0] not in own]
    body = reply.body
    if reply.status in (204, 304):
        body = b""
    else:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})
