"""One ASGI application: webhooks go straight to the gateway, everything else to FastAPI.

Webhooks are the hot path of the product, so no framework stands before them; and the framework is
imported only when the first of the other requests comes, or when `App.warm_up` is called.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from millrace import __version__
from millrace.api.headers import HEADERS
from millrace.api.hooks import PREFIX, Hooks
from millrace.runtime.wire import Runtime
from millrace.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from millrace.api.protect import Asgi, Receive, Scope, Send

API = "/api/v1"
HEALTH = "/health"
DESCRIPTION = (
    "Scenarios that connect applications. Send an API token as `Authorization: Bearer mlr_…`. "
    "Errors are problem details (RFC 9457) whose `code` is stable."
)


class App:
    """The application.

    Args:
        runtime: The wired whole, already started.
        settings: Its address, and what webhooks may do.
    """

    def __init__(self, runtime: Runtime, settings: Settings) -> None:
        self._runtime = runtime
        self._settings = settings
        self._rest: Asgi | None = None
        self._building = asyncio.Lock()
        self.hooks = Hooks(
            runtime.webhooks,
            runtime.services,
            runtime.programs,
            runtime.executions,
            reply_seconds=settings.hooks.reply_seconds,
            trusted_proxies=settings.trusted_proxies,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "http":
            if scope["path"].startswith(PREFIX):
                await self.hooks(scope, receive, send)
            elif scope["path"] == HEALTH and self._rest is None:
                await _say_alive(send)
            else:
                await (self._rest or await self.warm_up())(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def warm_up(self) -> Asgi:
        """Import and build what answers everything but webhooks; done once, beside the loop."""
        async with self._building:
            if self._rest is None:
                self._rest = await asyncio.to_thread(self._build)
        return self._rest

    def _build(self) -> Asgi:
        from millrace.api.protect import Protect

        app = build_api(self._runtime, self._settings)
        return Protect(app, is_secure=self._settings.is_secure)


def build_api(runtime: Runtime | None, settings: Settings) -> FastAPI:
    """The API and the pages as a FastAPI application.

    Args:
        runtime: The wired whole; None is enough for reading the OpenAPI document.
        settings: Its address, and how long sessions last.
    """
    from fastapi import FastAPI

    from millrace.api import problems
    from millrace.api.pages import apps as app_pages
    from millrace.api.pages import assets, signing_in
    from millrace.api.pages import executions as execution_pages
    from millrace.api.pages import incomplete as incomplete_pages
    from millrace.api.pages import scenarios as scenario_pages
    from millrace.api.routes import (
        account,
        apps,
        connections,
        data_stores,
        executions,
        incomplete,
        scenarios,
        status,
        webhooks,
    )

    app = FastAPI(
        title="Millrace",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={
            "4XX": {
                "description": "A problem (RFC 9457).",
                "content": {problems.MEDIA_TYPE: {"schema": problems.SCHEMA}},
            }
        },
    )
    app.state.runtime = runtime
    app.state.address = settings.address
    app.state.is_secure = settings.is_secure
    app.state.idle_seconds = settings.sessions.idle_seconds
    for noun in (
        scenarios,
        executions,
        incomplete,
        connections,
        webhooks,
        data_stores,
        apps,
        account,
    ):
        app.include_router(noun.routes, prefix=API)
    app.include_router(status.routes)
    for pages in (
        signing_in,
        scenario_pages,
        execution_pages,
        incomplete_pages,
        app_pages,
        assets,
    ):
        app.include_router(pages.routes, include_in_schema=False)
    problems.install(app, page=assets.error_page)
    return app


async def _say_alive(send: Send) -> None:
    """The answer of ``routes/status.py`` while the framework is not imported yet."""
    body = b'{"status":"ok"}'
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *HEADERS,
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Starting and stopping are the command's business, not the server's."""
    while True:
        message: Any = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
