"""The web part of the practice service: a shop with an API, files, a feed, and its switches."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from millrace.clock import Clock, SystemClock
from millrace.ids import new_secret
from millrace.practice import files
from millrace.practice.mail import Mail
from millrace.practice.shop import Record, Refused, Shop
from millrace.practice.switches import Cut, Switch, Switches

USER = PASSWORD = API_KEY = CLIENT_ID = CLIENT_SECRET = "practice"  # noqa: S105 - see below
"""Everybody knows them: nothing here is worth protecting, the point is to practise signing in."""

TOKEN_LIFETIME = timedelta(hours=1)
LARGEST_PAGE = 100
_SPARED = ("/switches", "/effects", "/reset")
_CHANGES = ("POST", "PUT", "PATCH", "DELETE")

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(
    *,
    shop: Shop | None = None,
    mail: Mail | None = None,
    clock: Clock | None = None,
    cut: Cut | None = None,
) -> Switches:
    """The ASGI application.

    Args:
        shop: What it sells; a fresh one by default.
        mail: The mailbox whose messages ``/mail`` shows.
        clock: For the lifetime of tokens and the dates in the feed.
        cut: Ends the connection of a client, for switches that do. Without it, answers are left
            unfinished, which most servers turn into a closed connection.
    """
    web = _Web(shop or Shop(), mail or Mail(), clock or SystemClock())
    shop_routes = web.shop_routes()
    routes = [
        Route("/", web.index),
        Mount("/shop", routes=shop_routes),
        Mount("/basic/shop", routes=_guarded(shop_routes, web.check_basic)),
        Mount("/key/shop", routes=_guarded(shop_routes, web.check_key)),
        Mount("/oauth/shop", routes=_guarded(shop_routes, web.check_token)),
        Route("/oauth/token", web.token, methods=["POST"]),
        Route("/feed.xml", web.feed),
        Route("/files/{name}", web.file),
        Route("/echo", web.echo, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        Route("/redirect", web.redirect),
        Route("/cookies", web.cookies),
        Route("/mail", web.mail_list),
        Route("/switches", web.switches, methods=["GET", "POST", "DELETE"]),
        Route("/effects", web.effects),
        Route("/reset", web.reset, methods=["POST"]),
    ]
    inner = Starlette(routes=routes, exception_handlers={Refused: _refused})
    web.switchboard = Switches(inner, spared=_SPARED, cut=cut)
    return web.switchboard


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    content = msgspec.json.encode(value)
    return Response(content, status, headers, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - Starlette hands over only what was registered
    headers = {"WWW-Authenticate": 'Basic realm="practice"'} if error.status == 401 else None
    return _json({"message": error.message}, error.status, headers)


async def _body(request: Request) -> Record:
    """The request's body as an object: JSON, or a form."""
    content = await request.body()
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        value = msgspec.json.decode(content or b"{}")
    except msgspec.DecodeError as error:
        raise Refused(400, "the body is not JSON") from error
    if not isinstance(value, dict):
        raise Refused(422, "the body must be an object")
    return value


def _guarded(routes: list[Route], check: Callable[[Request], None]) -> list[Route]:
    """The same routes for those who pass the check."""

    def guard(endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            check(request)
            return await endpoint(request)

        return guarded

    return [
        Route(route.path, guard(route.endpoint), methods=list(route.methods or ()))
        for route in routes
    ]


class _Web:
    """The endpoints, around one shop."""

    switchboard: Switches

    def __init__(self, shop: Shop, mail: Mail, clock: Clock) -> None:
        self._shop = shop
        self._mail = mail
        self._clock = clock
        self._tokens: dict[str, float] = {}

    def shop_routes(self) -> list[Route]:
        both = ["GET", "POST"]
        return [
            Route("/products", self.products, methods=both),
            Route("/products/{sku}", self.product, methods=["GET", "PUT", "PATCH", "DELETE"]),
            Route("/items/{sku}/reserve", self.reserve, methods=["POST"]),
            Route("/orders", self.orders, methods=both),
            Route("/orders/{id}", self.order),
            Route("/customers", self.customers, methods=both),
            Route("/customers/{id}", self.customer),
        ]

    async def index(self, request: Request) -> Response:
        return _json(
            {
                "service": "practice",
                "shop": ["/shop", "/basic/shop", "/key/shop", "/oauth/shop"],
                "files": [f"/files/{name}" for name in files.NAMES],
                "others": ["/feed.xml", "/echo", "/redirect?to=/echo", "/cookies", "/mail"],
                "control": ["/switches", "/effects", "/reset"],
                "sign_in": {"user": USER, "password": PASSWORD, "api_key": API_KEY},
            }
        )

    async def products(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._change(request, self._shop.add_product, status=201)
        return _page(request, list(self._shop.products.values()))

    async def product(self, request: Request) -> Response:
        sku = request.path_params["sku"]
        if request.method in ("PUT", "PATCH"):
            return await self._change(request, lambda given: self._shop.change_product(sku, given))
        product = self._shop.product(sku)
        if request.method == "DELETE":
            del self._shop.products[sku]
            return Response(status_code=204)
        return _json(product)

    async def reserve(self, request: Request) -> Response:
        sku = request.path_params["sku"]
        return await self._change(
            request, lambda given: self._shop.reserve(sku, given.get("qty", 1))
        )

    async def orders(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._change(request, self._shop.add_order, status=201)
        return _page(request, list(self._shop.orders.values()))

    async def order(self, request: Request) -> Response:
        return _json(self._shop.order(request.path_params["id"]))

    async def customers(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._change(request, self._shop.add_customer, status=201)
        return _page(request, list(self._shop.customers.values()))

    async def customer(self, request: Request) -> Response:
        return _json(self._shop.customer(request.path_params["id"]))

    async def _change(
        self, request: Request, effect: Callable[[Record], Record], status: int = 200
    ) -> Response:
        given = await _body(request)
        key = request.headers.get("idempotency-key", "")
        if not key:
            # Counted under what the caller calls it, so that a test sees an effect made twice.
            answer = effect(given)
            name = str(given.get("reference") or "-")
            self._shop.requests[name] += 1
            self._shop.effects[name] += 1
            return _json(answer, status)
        fingerprint = f"{request.method} {request.url.path} {msgspec.json.encode(given)!r}"
        answer, is_repeated = self._shop.once(key, fingerprint, lambda: dict(effect(given)))
        headers = {"Idempotent-Replayed": "true"} if is_repeated else None
        return _json(answer, status, headers)

    def check_basic(self, request: Request) -> None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
        except binascii.Error:
            given = b""
        if not hmac.compare_digest(given, f"{USER}:{PASSWORD}".encode()):
            raise Refused(401, "user name or password is wrong")

    def check_key(self, request: Request) -> None:
        given = request.headers.get("x-api-key") or request.query_params.get("api_key") or ""
        if not hmac.compare_digest(given.encode(), API_KEY.encode()):
            raise Refused(401, "the API key is wrong")

    def check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        expires = self._tokens.get(token, 0) if scheme.lower() == "bearer" else 0
        if expires <= self._clock.now().timestamp():
            raise Refused(401, "the access token is missing or has expired")

    async def token(self, request: Request) -> Response:
        """OAuth 2.0 client credentials (RFC 6749, 4.4)."""
        given = await _body(request)
        if given.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type"}, 400)
        client, secret = given.get("client_id"), given.get("client_secret")
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                decoded = base64.b64decode(encoded, validate=True).decode()
            except ValueError:
                decoded = ""
            client, _, secret = decoded.partition(":")
        if (client, secret) != (CLIENT_ID, CLIENT_SECRET):
            return _json({"error": "invalid_client"}, 401)
        token = new_secret()
        self._tokens[token] = (self._clock.now() + TOKEN_LIFETIME).timestamp()
        seconds = int(TOKEN_LIFETIME.total_seconds())
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": seconds})

    async def feed(self, request: Request) -> Response:
        content = files.feed(
            list(self._shop.products.values()),
            base_url=str(request.base_url).rstrip("/"),
            now=self._clock.now(),
        )
        return Response(content, media_type="application/rss+xml")

    async def file(self, request: Request) -> Response:
        found = files.file(request.path_params["name"], list(self._shop.products.values()))
        if found is None:
            raise Refused(404, "there is no such file")
        content, media_type = found
        name = request.path_params["name"]
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, headers=headers, media_type=media_type)

    async def echo(self, request: Request) -> Response:
        content = await request.body()
        return _json(
            {
                "method": request.method,
                "path": request.url.path,
                "query": [list(pair) for pair in request.query_params.multi_items()],
                "headers": dict(request.headers),
                "cookies": request.cookies,
                "body": content.decode("utf-8", "replace"),
            }
        )

    async def redirect(self, request: Request) -> Response:
        status = request.query_params.get("status", "302")
        if status not in ("301", "302", "303", "307", "308"):
            raise Refused(422, "status must be 301, 302, 303, 307 or 308")
        target = request.query_params.get("to", "/echo")
        return RedirectResponse(target, int(status))

    async def cookies(self, request: Request) -> Response:
        """Shows the cookies that came and sets those in the query."""
        answer = _json({"cookies": request.cookies})
        for name, value in request.query_params.items():
            answer.set_cookie(name, value)
        return answer

    async def mail_list(self, request: Request) -> Response:
        return _json({"messages": self._mail.summaries()})

    async def switches(self, request: Request) -> Response:
        board = self.switchboard
        if request.method == "DELETE":
            board.on.clear()
        elif request.method == "POST":
            try:
                board.on.append(msgspec.json.decode(await request.body(), type=Switch))
            except msgspec.DecodeError as error:
                raise Refused(422, str(error)) from error
        return _json({"on": board.on})

    async def effects(self, request: Request) -> Response:
        return _json(
            {
                "effects": self._shop.effects,
                "requests": self._shop.requests,
                "total": sum(self._shop.effects.values()),
            }
        )

    async def reset(self, request: Request) -> Response:
        self._shop.reset()
        self._mail.reset()
        self.switchboard.on.clear()
        self._tokens.clear()
        return _json({"reset": True})


def _page(request: Request, records: list[Record]) -> Response:
    """A page of records.

    Asked for by ``offset`` and ``limit``, by ``page`` and ``per_page``, or by ``cursor``; the next
    one is told as ``next``, as ``next_cursor`` and in a Link header.
    """
    query = request.query_params
    by_page = "page" in query or "per_page" in query
    size = min(max(_integer(query.get("per_page" if by_page else "limit"), 10), 1), LARGEST_PAGE)
    if by_page:
        start = (max(_integer(query.get("page"), 1), 1) - 1) * size
    elif "cursor" in query:
        start = _position(query["cursor"])
    else:
        start = max(_integer(query.get("offset"), 0), 0)
    end = start + size
    answer: Record = {"items": records[start:end], "total": len(records)}
    headers: dict[str, str] = {}
    answer["next"] = answer["next_cursor"] = None
    if end < len(records):
        answer["next_cursor"] = base64.urlsafe_b64encode(str(end).encode()).decode()
        if by_page:
            change = {"page": end // size + 1, "per_page": size}
        elif "cursor" in query:
            change = {"cursor": answer["next_cursor"], "limit": size}
        else:
            change = {"offset": end, "limit": size}
        answer["next"] = str(request.url.replace(query=urlencode({**query, **change})))
        headers["Link"] = f'<{answer["next"]}>; rel="next"'
    return _json(answer, headers=headers)


def _integer(text: str | None, default: int) -> int:
    try:
        return int(text) if text else default
    except ValueError as error:
        raise Refused(422, "a page is named by whole numbers") from error


def _position(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    except ValueError as error:
        raise Refused(422, "the cursor is not one of ours") from error
