"""The guarded HTTP client: the only way out of this process for apps.

One client per process holds the connections; ``bind`` gives what one call may use: the files of the
team, the connection that signs, the cookies of the execution. Rules kept here, for every request:

* ``http`` and ``https`` only, no user name in the address, no header that belongs to the connection
  itself (``Host``, ``Content-Length``, ...), no line break anywhere;
* a secret goes only to the hosts of its connection, redirects included; on the way to another
  origin every header that looks like a credential is left behind;
* at most 5 redirects, 64 KB of headers, ``max_bytes`` of unpacked body, ``timeout_seconds`` in all;
* nothing is taken from the environment (no proxy, no ``.netrc``).

Which addresses may be called is decided below, in the socket layer (``guard.py``).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from millrace.appkit import body
from millrace.appkit.call import Files
from millrace.appkit.guard import Guard
from millrace.appkit.messages import (
    checked_headers,
    checked_url,
    joined_headers,
    origin_of,
    parse_url,
    retry_after,
    with_query,
)
from millrace.appkit.text import charset_of, decode_text, json_loads
from millrace.appkit.transport import (
    PLAIN_TLS,
    Headers,
    Incoming,
    Outgoing,
    PooledTransport,
    Tls,
    Transport,
)
from millrace.appkit.values import to_json
from millrace.clock import Clock, SystemClock
from millrace.errors import (
    BundleValidationError,
    ConnectionFailure,
    DataError,
    InvalidConfigurationError,
    ModuleTimeoutError,
)
from millrace.expressions.values import Binary

LARGEST_BODY_BYTES = 50 * 1024 * 1024
LARGEST_TEXT_BYTES = 5 * 1024 * 1024
"""A text body over this becomes a file: it would not fit into a bundle."""

MOST_REDIRECTS = 5
LONGEST_SECONDS = 300.0
RETRIED_STATUSES = frozenset({429, 503})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_METHOD = re.compile(r"[A-Z]{1,20}")
_CREDENTIAL = re.compile(r"auth|cookie|token|key|secret|password|signature", re.IGNORECASE)
_TEXT_TYPE = re.compile(
    r"text/.*|application/(.*\+)?(json|xml|yaml|javascript|x-javascript|x-ndjson|x-yaml"
    r"|x-www-form-urlencoded|graphql|sql|toml|csv)|image/svg\+xml",
    re.IGNORECASE,
)

AsFile = Literal["never", "auto", "always"]


class Signer(Protocol):
    """A connection that adds its secrets to requests; see ``auth.py``."""

    def may_sign(self, url: Any) -> bool:
        """Whether its secrets may go to this address."""
        ...

    async def sign(self, method: str, url: Any) -> tuple[Headers, list[tuple[str, str]]]:
        """Headers and query pairs to be added."""
        ...

    async def renew(self) -> bool:
        """The service said 401: try to get a new token; False when there is none to get."""
        ...


class HttpResponse:
    """An answer; see `call.Response`."""

    __slots__ = ("content", "file", "header_list", "headers", "status", "url")

    def __init__(self, *, status: int, header_list: Headers, url: str) -> None:
        self.status = status
        self.header_list = header_list
        self.headers = joined_headers(header_list)
        self.url = url
        """The address that answered, after redirects, without what the connection added."""
        self.content = b""
        self.file: Binary | None = None
        """The body, when it was asked for as a file; then `content` is empty."""

    def __repr__(self) -> str:
        return f"<HttpResponse {self.status}>"

    @property
    def media_type(self) -> str:
        """Content-Type without its parameters, lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body by its declared charset, UTF-8 with replacement otherwise."""
        return decode_text(self.content, charset_of(self.headers.get("content-type")))

    def json(self) -> Any:
        """The body as JSON; DataError when it is not."""
        return json_loads(self.content)


class HttpClient:
    """Holds the connections of this process.

    Args:
        guard: Which addresses may be called.
        transport: Instead of the network, for cases and tests.
        clock: For Retry-After dates.
        sleep: For waiting between retries.
    """

    def __init__(
        self,
        *,
        guard: Guard | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.transport = transport or PooledTransport(guard or Guard())
        self.clock = clock or SystemClock()
        self.sleep = sleep

    def bind(
        self,
        *,
        files: Files | None = None,
        signer: Signer | None = None,
        cookies: CookieJar | None = None,
    ) -> BoundHttp:
        """The client as one call may use it."""
        return BoundHttp(self, files=files, signer=signer, cookies=cookies)

    def warm_up(self) -> None:
        """Import what the first request needs: a second of work that nobody should wait for."""
        import httpcore2  # noqa: F401
        import httpx2  # noqa: F401

    async def aclose(self) -> None:
        """Close every connection."""
        await self.transport.aclose()


class CookieJar:
    """The cookies of one execution, for requests that ask to share them."""

    def __init__(self) -> None:
        self._jar: Any = None

    def header(self, url: Any) -> str | None:
        """What to send to this address."""
        if self._jar is None:
            return None
        import httpx2

        request = httpx2.Request("GET", url)
        self._jar.set_cookie_header(request)
        return request.headers.get("cookie")

    def keep(self, url: Any, headers: Headers) -> None:
        """Take over what an answer sets."""
        import httpx2

        if not any(name.lower() == "set-cookie" for name, _ in headers):
            return
        if self._jar is None:
            self._jar = httpx2.Cookies()
        request = httpx2.Request("GET", url)
        self._jar.extract_cookies(httpx2.Response(200, headers=headers, request=request))


class BoundHttp:
    """The client bound to one call; see `call.Http`."""

    def __init__(
        self,
        client: HttpClient,
        *,
        files: Files | None,
        signer: Signer | None,
        cookies: CookieJar | None,
    ) -> None:
        self._client = client
        self._files = files
        self._signer = signer
        self._cookies = cookies

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        query: Mapping[str, Any] | Sequence[tuple[str, Any]] = (),
        json: Any = None,
        form: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        multipart: Sequence[tuple[str, Any]] | None = None,
        content: bytes | Binary | None = None,
        timeout_seconds: float = 40,
        follow_redirects: bool = True,
        follow_all_redirects: bool = True,
        max_bytes: int | None = None,
        retries: int = 0,
        verify: bool = True,
        ca: str | None = None,
        certificate: str | None = None,
        is_signed: bool = True,
        share_cookies: bool = False,
        as_file: AsFile = "never",
        file_name: str | None = None,
    ) -> HttpResponse:
        """Send a request and read the answer; see `call.Http.request`."""
        method = method.upper()
        if not _METHOD.fullmatch(method):
            raise BundleValidationError(f"{method[:20]!r} is not an HTTP method")
        target = parse_url(url, query)
        sent_headers = checked_headers(headers)
        payload = self._payload(sent_headers, json, form, multipart, content)
        seconds = min(max(timeout_seconds, 0.001), LONGEST_SECONDS)
        plan = _Plan(
            method=method,
            headers=sent_headers,
            payload=payload,
            follows=follow_redirects and (follow_all_redirects or method in ("GET", "HEAD")),
            largest_bytes=max_bytes or LARGEST_BODY_BYTES,
            tls=Tls(verify=verify, ca=ca, certificate=certificate)
            if (not verify or ca or certificate)
            else PLAIN_TLS,
            signer=self._signer if is_signed else None,
            cookies=self._cookies if share_cookies else None,
            seconds=seconds,
            as_file=as_file,
            file_name=file_name,
        )
        if plan.signer is not None and not plan.signer.may_sign(target):
            raise InvalidConfigurationError(
                f"the connection may not be used for {target.host}; whoever owns the connection "
                "can add this host to it"
            )
        try:
            async with asyncio.timeout(seconds):
                return await self._with_retries(plan, target, retries, seconds)
        except TimeoutError as error:
            raise ModuleTimeoutError(
                f"{target.host} did not answer within {seconds:g} seconds", detail={"sent": True}
            ) from error

    async def download(
        self, method: str, url: str, *, name: str | None = None, **options: Any
    ) -> tuple[HttpResponse, Binary | None]:
        """Like `request`, the body streamed into the files of the team.

        Returns:
            The answer and the file. From status 400 on there is no file: what the service says
            about the error is in the answer's content.
        """
        response = await self.request(method, url, as_file="always", file_name=name, **options)
        return response, response.file

    def _payload(self, headers: Headers, json: Any, form: Any, multipart: Any, content: Any) -> Any:
        """The body, its type and length added to the headers."""
        payload: Any = b""
        media_type = None
        if multipart is not None:
            payload = body.MultipartBody(self._files, multipart)
            # Ours names the boundary; a type given by hand would not.
            headers[:] = [pair for pair in headers if pair[0].lower() != "content-type"]
            media_type = payload.media_type
        elif form is not None:
            payload, media_type = body.form_body(form), "application/x-www-form-urlencoded"
        elif json is not None:
            payload, media_type = to_json(json).encode(), "application/json"
        elif isinstance(content, Binary):
            if self._files is None:
                raise DataError("files cannot be sent from here")
            payload, media_type = body.FileBody(self._files, content), content.media_type
        elif content is not None:
            payload = bytes(content)
        given = {name.lower() for name, _ in headers}
        if media_type and "content-type" not in given:
            headers.append(("Content-Type", media_type))
        if not isinstance(payload, bytes):
            headers.append(("Content-Length", str(payload.size_bytes)))
        for name, value in (
            ("User-Agent", "Millrace"),
            ("Accept", "*/*"),
            ("Accept-Encoding", "gzip, deflate"),
        ):
            if name.lower() not in given:
                headers.append((name, value))
        return payload

    async def _with_retries(
        self, plan: _Plan, target: Any, retries: int, seconds: float
    ) -> HttpResponse:
        left = seconds
        attempt = 0
        while True:
            response: HttpResponse | None = None
            unsent: ConnectionFailure | None = None
            try:
                response = await self._follow(plan, target)
            except ConnectionFailure as error:
                if not (isinstance(error.detail, dict) and error.detail.get("sent") is False):
                    raise
                unsent = error
            is_final = attempt >= retries
            if response is not None and (is_final or response.status not in RETRIED_STATUSES):
                return response
            asked = response and retry_after(
                response.headers.get("retry-after"), self._client.clock.now()
            )
            wait = float(2**attempt) if asked is None else asked.total_seconds()
            if is_final or wait > left:
                if response is not None:
                    return response
                if unsent is not None:
                    raise unsent
            left -= wait
            attempt += 1
            await self._client.sleep(wait)

    async def _follow(self, plan: _Plan, target: Any) -> HttpResponse:
        """One request and the redirects it leads to."""
        origin = origin_of(target)
        method, payload, headers = plan.method, plan.payload, plan.headers
        is_renewed = False
        hops = 0
        while True:
            is_same = origin_of(target) == origin
            signer = plan.signer
            if signer is not None and hops:
                is_downgraded = origin[0] == "https" and target.scheme == "http"
                signer = signer if signer.may_sign(target) and not is_downgraded else None
            outgoing = await self._outgoing(plan, method, target, headers, payload, signer, is_same)
            async with self._client.transport.send(outgoing) as incoming:
                if plan.cookies is not None:
                    plan.cookies.keep(target, incoming.headers)
                response = HttpResponse(
                    status=incoming.status,
                    header_list=incoming.headers,
                    url=str(target),
                )
                location = response.headers.get("location")
                is_redirect = plan.follows and response.status in _REDIRECTS and location
                if not is_redirect:
                    await self._read(plan, incoming, response, method, target)
            if not is_redirect:
                if response.status != 401 or signer is None or is_renewed:
                    return response
                is_renewed = True
                if not await signer.renew():
                    return response
                continue
            hops += 1
            if hops > MOST_REDIRECTS:
                raise DataError(f"{target.host} redirects more than {MOST_REDIRECTS} times")
            try:
                target = checked_url(target.join(location))
            except InvalidConfigurationError:
                raise
            except Exception as error:
                raise DataError(f"{target.host} redirects to something unreadable") from error
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method = "GET" if method != "HEAD" else "HEAD"
                payload = b""
                headers = [pair for pair in headers if not pair[0].lower().startswith("content-")]
            if origin_of(target) != origin:
                headers = [pair for pair in headers if not _CREDENTIAL.search(pair[0])]

    async def _outgoing(
        self,
        plan: _Plan,
        method: str,
        target: Any,
        headers: Headers,
        payload: Any,
        signer: Signer | None,
        is_same: bool,
    ) -> Outgoing:
        sent = list(headers)
        if plan.cookies is not None and is_same and (cookie := plan.cookies.header(target)):
            sent.append(("Cookie", cookie))
        url = target
        if signer is not None:
            added, query = await signer.sign(method, target)
            names = {name.lower() for name, _ in added}
            sent = [pair for pair in sent if pair[0].lower() not in names] + added
            if query:
                url = with_query(target, query)
        return Outgoing(
            method=method,
            url=url,
            headers=sent,
            body=payload,
            tls=plan.tls,
            timeout_seconds=plan.seconds,
        )

    async def _read(
        self, plan: _Plan, incoming: Incoming, response: HttpResponse, method: str, target: Any
    ) -> None:
        """Read the body into memory or into a file."""
        if method == "HEAD" or response.status in (204, 304):
            return
        pieces = body.unpacked(
            incoming.body,
            encoding=response.headers.get("content-encoding", ""),
            host=target.host,
            largest_bytes=plan.largest_bytes,
        )
        as_file = plan.as_file
        if as_file == "always" and response.status >= 400:
            as_file = "never"
        declared_type = response.media_type
        is_text = bool(_TEXT_TYPE.fullmatch(declared_type))
        held = bytearray()
        if as_file != "always" and (as_file == "never" or is_text or not declared_type):
            async for piece in pieces:
                held += piece
                if as_file == "auto" and len(held) > LARGEST_TEXT_BYTES:
                    break
            else:
                if as_file == "never" or is_text or _looks_like_text(held):
                    response.content = bytes(held)
                    return
        if self._files is None:
            raise DataError("files cannot be kept here")
        name = plan.file_name or body.file_name_of(
            response.headers.get("content-disposition"), target.path
        )
        with self._files.write(
            name=name, media_type=declared_type or "application/octet-stream"
        ) as writer:
            writer.write(bytes(held))
            async for piece in pieces:
                writer.write(piece)
        response.file = writer.binary


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What stays the same over the retries and redirects of one request."""

    method: str
    headers: Headers
    payload: Any
    follows: bool
    largest_bytes: int
    tls: Tls
    signer: Signer | None
    cookies: CookieJar | None
    seconds: float
    as_file: AsFile
    file_name: str | None


def _looks_like_text(content: bytearray) -> bool:
    if b"\x00" in content:
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
