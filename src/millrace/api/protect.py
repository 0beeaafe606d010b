"""What holds for every answer and every request, before any route: headers, sizes, types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from millrace.api.headers import HEADERS, HSTS
from millrace.api.problems import problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES = 16 * 1024 * 1024
"""The largest body: an export of Make may have 10 MB, and JSON around it a little more."""

_BODIES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UPLOADS = ("application/yaml", "text/yaml", "application/octet-stream")


class Protect:
    """Wraps an application: adds the headers, caps bodies, refuses types that forms can send.

    Args:
        app: What is wrapped.
        is_secure: People reach it through TLS: say so for the next two years.
        body_bytes: The largest body taken.
    """

    def __init__(self, app: Asgi, *, is_secure: bool, body_bytes: int = BODY_BYTES) -> None:
        self._app = app
        self._headers = (*HEADERS, HSTS) if is_secure else HEADERS
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = self._with_headers(send, is_cached=scope["path"].startswith("/assets/"))
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        taken = 0

        async def capped() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._body_bytes:
                raise HTTPException(413, self._too_large())
            return message

        await self._app(scope, capped, send)

    def _refusal(self, scope: Scope) -> Any:
        """The answer to a request that goes no further, or None."""
        path: str = scope["path"]
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return problem(400, "The Content-Length is not a number.", instance=path)
        if int(length) > self._body_bytes:
            return problem(413, self._too_large(), instance=path)
        has_body = length != b"0" or b"transfer-encoding" in headers
        if path.startswith("/api/") and scope["method"] in _BODIES and has_body:
            given = headers.get(b"content-type", b"").decode("latin-1")
            type_ = given.partition(";")[0].strip().lower()
            # Browsers send text/plain and forms to other sites without asking; these they do not.
            if type_ not in ("application/json", *_UPLOADS):
                return problem(
                    415, "The body should be JSON (Content-Type: application/json).", instance=path
                )
        return None

    def _too_large(self) -> str:
        return f"The body is larger than {self._body_bytes} bytes."

    def _with_headers(self, send: Send, *, is_cached: bool) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [pair for pair in self._headers if pair[0] not in present]
                if not is_cached and b"cache-control" not in present:
                    added.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        return with_headers
