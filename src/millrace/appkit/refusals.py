"""What it means when a service says no: the status of an answer as an error of ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from millrace.appkit.messages import retry_after
from millrace.errors import (
    ConnectionFailure,
    DataError,
    DuplicateDataError,
    IncompleteDataError,
    InvalidAccessTokenError,
    InvalidConfigurationError,
    ModuleError,
    OutOfSpaceError,
    RateLimitError,
    RuntimeFailure,
)

ERROR_TYPES: dict[str, type[ModuleError]] = {
    class_.type: class_
    for class_ in (
        RuntimeFailure,
        DataError,
        RateLimitError,
        OutOfSpaceError,
        ConnectionFailure,
        InvalidConfigurationError,
        InvalidAccessTokenError,
        IncompleteDataError,
        DuplicateDataError,
    )
}
"""What an app may make of an answer."""

_LONGEST_MESSAGE = 500
_SAYING = ("message", "error_description", "detail", "error", "errors", "title", "reason")


def refusal(
    status: int,
    message: str = "",
    *,
    type_: str | None = None,
    headers: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> ModuleError:
    """The error for an answer that is not a success, to be raised.

    Args:
        status: Of the answer.
        message: What the service said; see `said`.
        type_: Name of the error; default by the status.
        headers: Of the answer, lower case: Retry-After is honoured.
        now: For a Retry-After that is a date.
    """
    class_ = ERROR_TYPES.get(type_ or default_type(status), RuntimeFailure)
    text = " ".join(message.split())[:_LONGEST_MESSAGE] or "the service gave no reason"
    wait = retry_after((headers or {}).get("retry-after"), now) if now is not None else None
    return class_(f"{text} ({status})", detail={"status": status}, retry_after=wait)


def default_type(status: int) -> str:
    """The type of error that a status means.

    Source: execution.md 4.1, after the help pages of Make, read 2026-11-21.
    """
    if status in (401, 403):
        return "InvalidAccessTokenError"
    if status == 429:
        return "RateLimitError"
    if status in (503, 504):
        return "ConnectionError"
    return "DataError" if 400 <= status < 500 else "RuntimeError"


def said(body: Any) -> str:
    """The sentence in which services usually say what is wrong; empty when there is none."""
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body
    if isinstance(body, list):
        return said(body[0]) if body else ""
    if isinstance(body, dict):
        for key in _SAYING:
            if body.get(key) and (sentence := said(body[key])):
                return sentence
    return ""
