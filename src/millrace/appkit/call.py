"""What a Python function of an app receives, and what it may give back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, BinaryIO, Protocol

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
    """An HTTP answer, whole or streamed."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; repeated ones joined with ", " except set-cookie."""

    header_list: Sequence[tuple[str, str]]
    """As received, in order."""

    url: str
    content: bytes
    """Decompressed body, within the limit that the request gave."""

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
        max_bytes: int | None = None,
        retries: int = 0,
        verify: bool = True,
        is_signed: bool = True,
    ) -> Response:
        """Send a request and read the answer; any status is an answer, not an error.

        Raises:
            ConnectionFailure: nobody answered, or not wholly.
            ModuleTimeoutError: no answer in time.
            InvalidConfigurationError: the address is refused by the guard; the message says why.
            MaxFileSizeExceededError: the body is larger than allowed.
        """
        ...

    async def download(
        self, method: str, url: str, *, name: str | None = None, **options: Any
    ) -> Any:
        """Like `request`, the body streamed into `Files`; gives (Response without content, Binary)."""
        ...


class Dialer(Protocol):
    """Guarded sockets for protocols that are not HTTP (SMTP, IMAP)."""

    def check(self, host: str, port: int) -> str:
        """The address to connect to; InvalidConfigurationError when the guard refuses it."""
        ...


class Records(Protocol):
    """One data store, inside the execution's transaction: reads see its own uncommitted writes."""

    def get(self, key: str) -> Bundle | None: ...
    def put(self, key: str, data: Bundle) -> None: ...
    def remove(self, key: str) -> bool: ...
    def scan(self) -> Iterator[tuple[str, Bundle]]:
        """Every record in order of its key."""
        ...

    def count(self) -> int: ...
    def clear(self) -> int: ...
    @property
    def structure(self) -> Sequence[Mapping[str, Any]] | None:
        """Declared fields, None when any key is allowed."""
        ...

    @property
    def is_strict(self) -> bool: ...


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
        """The fields of the connection, opened for this call; secrets are plain here and only here."""
        self.http = http
        self.key = key
        """Stable under repetition: made from execution, module and bundle; for idempotency headers."""
        self.state = state if state is not None else {}
        """Kept per module and scenario (a cursor, seen ids); written back when the cycle commits."""
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
