"""Make the service misbehave, as real ones do.

A switch says for which paths and how often; the first one that fits a request is used up by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Cut = Callable[[tuple[str, int], bool], None]
"""Ends the connection of a client; True: by a reset instead of an orderly close."""


class Switch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One way to misbehave; several of its fields may be used together."""

    path: str = "/"
    """Prefix of the paths it is for."""

    method: str | None = None
    times: int | None = None
    """How often; None: until it is removed."""

    when: Literal["before", "after"] = "before"
    """``after``: the request is carried out and only its answer is spoilt."""

    delay_seconds: float = 0
    status: int | None = None
    retry_after: int | str | None = None
    """Header of the answer: seconds or an HTTP date."""

    body: Any = None
    half_body: bool = False
    reset: bool = False
    hang: bool = False
    """No answer until the client goes away."""

    def fits(self, method: str, path: str) -> bool:
        """Whether it is for this request."""
        return path.startswith(self.path) and self.method in (None, method) and self.times != 0


class Switches:
    """The switches that are on, and the ASGI middleware that obeys them."""

    def __init__(self, app: ASGIApp, *, spared: tuple[str, ...], cut: Cut | None) -> None:
        self._app = app
        self._spared = spared
        self._cut = cut
        self.on: list[Switch] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or do what a switch says."""
        switch = self._take(scope) if scope["type"] == "http" else None
        if switch is None:
            await self._app(scope, receive, send)
            return
        answer = _Recorded()
        if switch.when == "after" or not _spoils(switch):
            await self._app(scope, receive, answer.send)
        else:
            await _read(receive)
        if switch.delay_seconds:
            await asyncio.sleep(switch.delay_seconds)
        if switch.hang:
            await _gone(receive)
        elif switch.reset:
            await self._end(scope, receive, send, is_reset=True)
        else:
            answer.spoil(switch)
            await answer.replay(send, is_half=switch.half_body)
            if switch.half_body:
                await self._end(scope, receive, send, is_reset=False)

    def _take(self, scope: Scope) -> Switch | None:
        # Mounted elsewhere, the application's own paths begin after root_path.
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if path.startswith(self._spared):
            return None
        switch = next((one for one in self.on if one.fits(scope["method"], path)), None)
        if switch is not None and switch.times is not None:
            switch.times -= 1
            if switch.times == 0:
                self.on.remove(switch)
        return switch

    async def _end(self, scope: Scope, receive: Receive, send: Send, *, is_reset: bool) -> None:
        """Cut the connection where that can be done; otherwise leave the answer unfinished."""
        if self._cut is not None and scope.get("client"):
            self._cut(tuple(scope["client"]), is_reset)
            await _gone(receive)
        elif is_reset:
            start = {"type": "http.response.start", "status": 200}
            await send({**start, "headers": [(b"content-length", b"1000")]})


def _spoils(switch: Switch) -> bool:
    """Whether anything but time is changed."""
    return bool(switch.status or switch.half_body or switch.reset or switch.hang)


class _Recorded:
    """An answer, kept so that it can be changed."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", []))
        else:
            self.body += message.get("body", b"")

    def spoil(self, switch: Switch) -> None:
        if switch.status is not None:
            self.status = switch.status
            told = switch.body if switch.body is not None else {"message": "a switch is on"}
            self.body = told.encode() if isinstance(told, str) else msgspec.json.encode(told)
            self.headers = [(b"content-type", b"application/json")]
        elif switch.half_body and not self.body:
            self.body = msgspec.json.encode({"message": "half of this never arrives " * 20})
            self.headers = [(b"content-type", b"application/json")]
        if switch.retry_after is not None:
            self.headers.append((b"retry-after", str(switch.retry_after).encode()))

    async def replay(self, send: Send, *, is_half: bool) -> None:
        headers = [pair for pair in self.headers if pair[0] != b"content-length"]
        headers.append((b"content-length", str(len(self.body)).encode()))
        body = self.body[: len(self.body) // 2] if is_half else self.body
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": is_half})


async def _read(receive: Receive) -> None:
    """Take in the request's body."""
    while (message := await receive())["type"] == "http.request":
        if not message.get("more_body"):
            return


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
