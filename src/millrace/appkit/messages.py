"""What an HTTP message may say: its address, its headers, and how long it asks us to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from millrace.appkit import body
from millrace.appkit.transport import Headers
from millrace.errors import BundleValidationError, InvalidConfigurationError

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,252}[a-z0-9.])?|[0-9a-f:.]+")
_RESERVED = frozenset(
    {
        *("connection", "content-length", "expect", "host", "http2-settings", "keep-alive"),
        *("te", "trailer", "transfer-encoding", "upgrade", "via", "forwarded"),
    }
)


def parse_url(url: str, query: Mapping[str, Any] | Sequence[tuple[str, Any]] = ()) -> Any:
    """An address that may be asked, as an ``httpx2.URL``.

    Raises:
        InvalidConfigurationError: another scheme, a user name in it, no host, or no address at all.
    """
    import httpx2

    text = str(url).strip()
    if not text:
        raise InvalidConfigurationError("the address is empty")
    try:
        parsed = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError, UnicodeError) as error:
        raise InvalidConfigurationError("the address is not a URL that can be called") from error
    parsed = checked_url(parsed)
    pairs = body.pairs_of(query)
    return with_query(parsed, pairs) if pairs else parsed


def checked_url(url: Any) -> Any:
    """A parsed address, without its fragment.

    Raises:
        InvalidConfigurationError: it may not be asked, whatever it resolves to.
    """
    if url.scheme not in ("http", "https"):
        raise InvalidConfigurationError("the address must begin with http:// or https://")
    if url.userinfo:
        raise InvalidConfigurationError(
            "the address holds a user name or password; use a connection for it"
        )
    host = url.raw_host.decode("ascii")
    if not _HOST.fullmatch(host) or ".." in host or not 0 < (url.port or 443) < 65536:
        raise InvalidConfigurationError("the address names no host that can be called")
    return url.copy_with(fragment=None) if url.fragment else url


def with_query(url: Any, pairs: Sequence[tuple[str, str]]) -> Any:
    """The address with pairs added behind its own query."""
    added = body.encoded_query(list(pairs))
    known = url.query.decode("ascii")
    return url.copy_with(query=(f"{known}&{added}" if known else added).encode("ascii"))


def origin_of(url: Any) -> tuple[str, str, int]:
    """Scheme, host and port: what credentials are bound to."""
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def checked_headers(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> Headers:
    """Headers that a user may set.

    Raises:
        BundleValidationError: a line break, or a header that belongs to the connection itself.
    """
    checked: Headers = []
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        shown = str(name).strip()
        if not _HEADER_NAME.fullmatch(shown):
            raise BundleValidationError("the name of a header holds a character it may not hold")
        low = shown.lower()
        if low in _RESERVED or low.startswith(("proxy-", "x-forwarded-")):
            raise BundleValidationError(f"the header {shown} may not be set; it is set for you")
        text = ("" if value is None else str(value)).strip(" \t")
        if not _HEADER_VALUE.fullmatch(text):
            raise BundleValidationError(f"the header {shown} holds a line break")
        checked.append((shown, text))
    return checked


def joined_headers(headers: Headers) -> dict[str, str]:
    """Lower-case names; repeated ones joined with ", ", cookies with a line break."""
    joined: dict[str, str] = {}
    for name, value in headers:
        low = name.lower()
        if low in joined:
            joined[low] += ("\n" if low == "set-cookie" else ", ") + value
        else:
            joined[low] = value
    return joined


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long a service asks to wait: seconds, or the time until a date; None when it does not."""
    from email.utils import parsedate_to_datetime

    if not value:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return timedelta(seconds=float(text))
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(when - now, timedelta())
