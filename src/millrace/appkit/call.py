"""What a Python function of an app receives, and what it may give back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, BinaryIO, Literal, Protocol

from millrace.expressions.values import Binary

Bundle = dict[str, Any]
Answer = Bundle | Sequence[Bundle] | Iterator[Bundle] | AsyncIterator[Bundle] | None
"""One bundle, several, none, or a stream of them.

A stream (a generator) is read page by page and never held whole; after a restart it is asked again
and what was already delivered is skipped, so it must give the same bundles in the same order.
"""


class FileWriter(Protocol):
    """A file being written; a context manager. Leaving it by an exception keeps nothing."""

    def __enter__(self) -> FileWriter: ...
    def __exit__(self, *exc: object) -> None: ...
    def write(self, content: bytes, /) -> int:
        """Append bytes; raises MaxFileSizeExceededError past the limit."""
        ...

    @property
    def binary(self) -> Binary:
        """The reference, once the context has been left."""
        ...


class Files(Protocol):
    """The files of a team. Bytes are on disk, found by content; calls block for disk time only."""

    def keep(
        self, content: bytes, *, name: str, media_type: str = "application/octet-stream"
    ) -> Binary:
        """Keep bytes and give the reference."""
        ...

    def write(self, *, name: str, media_type: str = "application/octet-stream") -> FileWriter:
        """Keep bytes that come in pieces."""
        ...

    def read(self, binary: Binary) -> bytes:
        """All bytes of a file; DataError when it is gone."""
        ...

    def open(self, binary: Binary) -> BinaryIO:
        """A seekable stream over a file, to be closed by the caller."""
        ...


class Response(Protocol):
    """An HTTP answer, read to its end."""

    @property
    def status(self) -> int:
        """100 to 599."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names; repeated ones joined with ", ", cookies with a line break."""
        ...

    @property
    def header_list(self) -> Sequence[tuple[str, str]]:
        """As received, in order."""
        ...

    @property
    def url(self) -> str:
        """The address that answered, after redirects, without what the connection added."""
        ...

    @property
    def media_type(self) -> str:
        """Content-Type without its parameters, lower case."""
        ...

    @property
    def content(self) -> bytes:
        """The body, unpacked; empty when it became a file."""
        ...

    @property
    def file(self) -> Binary | None:
        """The body as a file, when `as_file` asked for it."""
        ...

    @property
    def text(self) -> str:
        """The body by its declared charset, UTF-8 with replacement otherwise."""
        ...

    def json(self) -> Any:
        """The body as JSON; DataError when it is not."""
        ...


class Http(Protocol):
    """The only way out: the guarded client, bound to the connection of the call.

    It signs requests as the connection says (only for the hosts it belongs to), refuses private
    addresses that are not allow-listed, limits sizes and times, honours Retry-After within
    `retries`, and never follows a redirect into a place it would not have called.
    """

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
        as_file: Literal["never", "auto", "always"] = "never",
        file_name: str | None = None,
    ) -> Response:
        """Send a request and read the answer; any status is an answer, not an error.

        Args:
            method: ``GET`` and so on.
            url: With or without a query; `query` is added to it.
            headers: Names and values; those of the connection itself (``Host``, ...) are refused.
            query: A list gives its name once for each element; None is left out.
            json: The body as JSON.
            form: The body as ``application/x-www-form-urlencoded``.
            multipart: The body as ``multipart/form-data``; a value is a text, bytes, a file or
                ``(file name, bytes, media type)``.
            content: The body as bytes or a file.
            timeout_seconds: For all of it, retries included; at most 300.
            follow_redirects: For GET and HEAD.
            follow_all_redirects: For the other methods too.
            max_bytes: Most bytes of body, unpacked; default 50 MB.
            retries: How often 429, 503 and a server that cannot be reached are asked again, after
                what Retry-After says or 1, 2, 4, ... seconds.
            verify: False accepts any certificate.
            ca: PEM of an authority to be trusted.
            certificate: PEM of our certificate with its key.
            is_signed: False leaves the connection out.
            share_cookies: Cookies are kept for the rest of the execution.
            as_file: ``always``: the body becomes a file; ``auto``: it does when it is not text, or
                larger than 5 MB.
            file_name: Of that file; default what the service says, or the end of the address.

        Raises:
            ConnectionFailure: nobody answered, or not wholly; ``detail["sent"]`` is False when the
                service cannot have seen the request.
            ModuleTimeoutError: no answer in time.
            InvalidConfigurationError: the guard refuses the address, or the connection may not be
                used for it.
            BundleValidationError: a header may not be sent.
            MaxFileSizeExceededError: the body is larger than allowed.
        """
        ...

    async def download(
        self, method: str, url: str, *, name: str | None = None, **options: Any
    ) -> tuple[Response, Binary | None]:
        """Like `request`, the body streamed into `Files`.

        From status 400 on there is no file: what the service says about the error is the content.
        """
        ...


class Dialer(Protocol):
    """Guarded sockets for protocols that are not HTTP (SMTP, IMAP)."""

    def check(self, host: str, port: int) -> str:
        """The address to connect to; InvalidConfigurationError when the guard refuses it."""
        ...


class Records(Protocol):
    """One data store, inside the execution's transaction: reads see its own uncommitted writes."""

    def get(self, key: str) -> Bundle | None:
        """One record; None when there is none."""
        ...

    def put(self, key: str, data: Bundle) -> None:
        """Write a record, over an older one."""
        ...

    def remove(self, key: str) -> bool:
        """Delete a record; False when there was none."""
        ...

    def scan(self) -> Iterator[tuple[str, Bundle]]:
        """Every record in order of its key."""
        ...

    def count(self) -> int:
        """How many records there are."""
        ...

    def clear(self) -> int:
        """Delete every record; gives how many there were."""
        ...

    @property
    def structure(self) -> Sequence[Mapping[str, Any]] | None:
        """Declared fields, None when any key is allowed."""
        ...

    @property
    def is_strict(self) -> bool:
        """True: a record that does not fit the structure is refused."""
        ...


class Context(Protocol):
    """What the calls of one execution share; the runtime makes it, the app never sees it whole."""

    http: Http
    files: Files
    dialer: Dialer
    zone: tzinfo
    log: logging.LoggerAdapter[Any] | logging.Logger


class Call:
    """One operation of a module, handed to a Python function of an app.

    The function is ``def name(call)`` or ``async def name(call)`` and gives an `Answer`. A pure
    function touches nothing but `parameters`, `bundles`, `now`, `zone` and `files`.
    """

    __slots__ = (
        "_context",
        "bundles",
        "connection",
        "http",
        "key",
        "module_id",
        "now",
        "parameters",
        "records",
        "response",
        "state",
        "timeout",
    )

    def __init__(
        self,
        *,
        parameters: Mapping[str, Any],
        context: Any,
        now: datetime,
        module_id: str = "",
        bundles: Sequence[Bundle] = (),
        connection: Mapping[str, Any] | None = None,
        http: Http | None = None,
        key: str = "",
        state: dict[str, Any] | None = None,
        records: Records | None = None,
        timeout: timedelta | None = None,
    ) -> None:
        self.parameters = parameters
        """Evaluated, coerced and validated as the manifest says."""
        self.bundles = bundles
        """Aggregators: the evaluated parameters of each gathered bundle, in order of arrival."""
        self.now = now
        self.module_id = module_id
        self.connection = connection
        """The fields of the connection, opened for this call; secrets are plain only here."""
        self.http = http
        self.key = key
        """The same when the operation is repeated: for idempotency headers."""
        self.state = state if state is not None else {}
        """Kept per module and scenario (a cursor, seen ids); kept when the cycle commits."""
        self.records = records
        """The data store that the module names, for ``effect: transactional``."""
        self.timeout = timeout
        self.response: Any = None
        """Responders set it: ``{"status", "headers", "body"}``; the runtime sends it."""
        self._context = context

    @property
    def files(self) -> Files:
        """The files of the team."""
        return self._context.files

    @property
    def dialer(self) -> Dialer:
        """Guarded sockets for protocols that are not HTTP."""
        return self._context.dialer

    @property
    def zone(self) -> tzinfo:
        """The scenario's time zone."""
        return self._context.zone

    @property
    def log(self) -> Any:
        """A logger that carries the ids; never give it a bundle or a secret."""
        return self._context.log
