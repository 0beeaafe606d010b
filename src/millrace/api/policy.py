"""Every route says what one must be allowed to do; a route that does not is not made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.datastructures import Headers

from millrace.errors import NotAllowed, NotSignedIn
from millrace.runtime.actor import ACTIONS, Actor
from millrace.runtime.users import Session

PUBLIC = "public"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_cookie = APIKeyCookie(
    name="millrace_session",
    scheme_name="session",
    description="Set by signing in. Unsafe methods also need the header X-CSRF-Token.",
    auto_error=False,
)
_bearer = HTTPBearer(scheme_name="token", description="An API token.", auto_error=False)


def allows(action: str) -> Callable[[Endpoint], Endpoint]:
    """Declare the policy of an endpoint: an action of `ACTIONS`, or `PUBLIC`."""
    if action != PUBLIC and action not in ACTIONS:
        raise TypeError(f"{action} is not an action; runtime/actor.py lists them")

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.__policy__ = action  # type: ignore[attr-defined]
        return endpoint

    return declare


class Routes(APIRouter):
    """A router that refuses endpoints without a policy, when it is imported."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """See `fastapi.APIRouter.add_api_route`.

        Raises:
            TypeError: the endpoint declares no policy.
        """
        action = getattr(endpoint, "__policy__", None)
        if action is None:
            raise TypeError(f"{path}: {endpoint.__qualname__} has no policy; add @allows(…)")
        if action != PUBLIC:
            dependencies = [*(options.get("dependencies") or ()), Depends(_Authorized(action))]
            dependencies += [Depends(_cookie), Depends(_bearer)]
            options["dependencies"] = dependencies
        options["operation_id"] = options.get("operation_id") or endpoint.__name__
        super().add_api_route(path, endpoint, **options)


async def current_actor(request: Request, response: Response) -> Actor:
    """Who makes this request; the cookie of a session that rolls on is renewed.

    Raises:
        NotSignedIn: neither a session nor a token that is still good.
        NotAllowed: the request may come from another site.
    """
    users = request.app.state.runtime.users
    headers = request.headers
    # A token is never combined with a cookie: what is there explicitly counts.
    if "authorization" in headers:
        scheme, _, token = headers["authorization"].partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotSignedIn("The Authorization header should be: Bearer <token>.")
        return await users.by_token(token.strip())
    session = await session_of(request)
    if request.method not in SAFE_METHODS:
        check_same_site(headers, request.app.state.address)
        check_csrf(session, await _given_token(request))
    request.state.session = session
    if request.state.session_secret:
        keep_signed_in(request, response, request.state.session_secret)
    return session.actor


async def session_of(request: Request) -> Session:
    """The session of a request; it rolls on when a person did something.

    Raises:
        NotSignedIn: there is none, or it has ended.
    """
    secret = request.cookies.get(cookie_name(request.app.state.is_secure), "")
    # A page that polls must not keep somebody signed in for ever.
    is_active = request.method not in SAFE_METHODS or "x-user-activity" in request.headers
    is_active = is_active or not request.url.path.startswith("/api/")
    session = await request.app.state.runtime.users.session(secret, is_active=is_active)
    request.state.session_secret = secret if is_active else None
    return session


def cookie_name(is_secure: bool) -> str:
    """The session cookie; behind TLS its prefix keeps every other host from setting it."""
    return "__Host-millrace_session" if is_secure else "millrace_session"


def keep_signed_in(request: Request, response: Response, secret: str) -> None:
    """Set the session cookie for as long as a session lasts that nobody uses."""
    state = request.app.state
    response.set_cookie(
        cookie_name(state.is_secure),
        secret,
        max_age=state.idle_seconds,
        path="/",
        secure=state.is_secure,
        httponly=True,
        samesite="lax",
    )


def check_same_site(headers: Headers, address: str) -> None:
    """Refuse an unsafe request that another site's page made the browser send.

    Raises:
        NotAllowed: it is not known to come from our own pages.
    """
    fetch_site = headers.get("sec-fetch-site")
    if fetch_site is not None:
        # Browsers write this header and no page can forge it. Origin says "null" for forms of our
        # own pages, because they send no referrer, so it is asked only where this one is missing.
        if fetch_site != "same-origin":
            raise NotAllowed("This request comes from another site.")
        return
    origin = headers.get("origin")
    if origin is None:
        raise NotAllowed("A request with a session needs Sec-Fetch-Site or Origin.")
    if not _is_ours(origin, headers.get("host", ""), address):
        raise NotAllowed("This request comes from another origin.")


def check_csrf(session: Session, given: str) -> None:
    """Refuse an unsafe request without the session's own token.

    Raises:
        NotAllowed: the token is missing or of another session.
    """
    if not session.is_csrf(given):
        raise NotAllowed("The header X-CSRF-Token is missing or of another session.")


async def _given_token(request: Request) -> str:
    """The session's token as a program sends it, or as a form of our pages does."""
    given = request.headers.get("x-csrf-token")
    if given is None and not request.url.path.startswith("/api/"):
        field = (await request.form()).get("csrf")
        given = field if isinstance(field, str) else None
    return given or ""


def _is_ours(origin: str, host: str, address: str) -> bool:
    if origin == address:
        return True
    given = urlsplit(origin)
    return given.scheme in ("http", "https") and bool(host) and given.netloc == host


class _Authorized:
    """The dependency that a policy becomes."""

    def __init__(self, action: str) -> None:
        self.action = action

    async def __call__(self, actor: Annotated[Actor, Depends(current_actor)]) -> None:
        actor.authorize(self.action)


By = Annotated[Actor, Depends(current_actor)]
