"""Errors as HTTP answers: RFC 9457 problem details made from the classes of `millrace.errors`."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from millrace import errors

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_TEXT = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, where, and what to do."},
        "code": {"type": "string", "description": "A stable word for programs."},
        "instance": _TEXT,
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "path": _TEXT,
                    "message": _TEXT,
                    "severity": {"enum": ["error", "warning"]},
                    "code": _TEXT,
                    "module_id": {"type": ["string", "null"]},
                },
            },
        },
    },
}
"""A problem, for the OpenAPI document."""

Page = Callable[[Request, int, str], Response]
"""A problem as a page for people: request, status, what to say."""

UNEXPECTED = "Something went wrong here; the log of the server says what."

STATUS: tuple[tuple[type[errors.MillraceError], int], ...] = (
    (errors.NotSignedIn, 401),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.QuotaExceeded, 429),
    (errors.RequestInvalid, 422),
    (errors.ScenarioInvalid, 422),
    (errors.ManifestInvalid, 422),
    (errors.ModuleError, 422),
    (errors.LeaseLost, 409),
    (errors.StorageUnavailable, 503),
    (errors.MillraceError, 500),
)
"""The first class that fits decides."""


def code_of(kind: type[BaseException]) -> str:
    """The stable word of an error class: ``ScenarioInvalid`` → ``scenario_invalid``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()


def problem(
    status: int,
    detail: str,
    *,
    code: str | None = None,
    instance: str = "",
    problems: Iterable[Any] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """One problem as an answer.

    Args:
        status: The HTTP status.
        detail: What, where and what to do.
        code: The stable word for programs; made from the status when not given.
        instance: The path that was asked.
        problems: Single findings, each with ``path`` and ``message``.
        headers: Further headers.
    """
    title = HTTPStatus(status).phrase
    code = code or title.lower().replace(" ", "_")
    body: dict[str, Any] = {
        "type": f"urn:millrace:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if instance:
        body["instance"] = instance
    if found := [finding(each) for each in problems]:
        body["problems"] = found
    content = json.dumps(body, ensure_ascii=False).encode()
    return Response(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def finding(given: Any) -> dict[str, Any]:
    """A finding of the scenario check as data."""
    return {
        "path": given.path,
        "message": given.message,
        "severity": given.severity,
        "code": given.code,
        "module_id": given.module_id,
    }


def status_of(error: errors.MillraceError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


def of_error(error: errors.MillraceError, *, instance: str = "") -> Response:
    """The answer to an error of ours."""
    status = status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return problem(
        status,
        _detail(error, instance),
        code=code_of(type(error)),
        instance=instance,
        problems=getattr(error, "problems", ()),
        headers=headers,
    )


def install(app: FastAPI, *, page: Page) -> None:
    """Let every error be answered: below ``/api/`` with a problem, elsewhere with a page."""

    @app.exception_handler(errors.MillraceError)
    async def ours(request: Request, error: errors.MillraceError) -> Response:
        if _is_for_people(request):
            return page(request, status_of(error), _detail(error, request.url.path))
        return of_error(error, instance=request.url.path)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        if _is_for_people(request):
            return page(request, 404, "There is no such page.")
        found = [_validation_finding(each) for each in error.errors()]
        first = found[0]
        where = f"{first['path']}: " if first["path"] else ""
        body = json.dumps(
            {
                "type": "urn:millrace:error:request_invalid",
                "title": "Unprocessable Content",
                "status": 422,
                "detail": f"{where}{first['message']}",
                "code": "request_invalid",
                "instance": request.url.path,
                "problems": found,
            },
            ensure_ascii=False,
        )
        return Response(body.encode(), status_code=422, media_type=MEDIA_TYPE)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if _is_for_people(request):
            return page(request, error.status_code, f"{error.detail}.")
        detail = error.detail
        if detail == HTTPStatus(error.status_code).phrase:
            detail = f"{request.method} {request.url.path}: {detail.lower()}."
        return problem(
            error.status_code,
            detail,
            instance=request.url.path,
            headers=dict(error.headers or {}),
        )

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        if _is_for_people(request):
            return page(request, 500, UNEXPECTED)
        return problem(
            500,
            UNEXPECTED,
            instance=request.url.path,
        )


def _detail(error: errors.MillraceError, path: str) -> str:
    """What may be said of an error; of our own faults only the log says more."""
    status = status_of(error)
    if status >= 500:
        log.error("a request failed", exc_info=error, extra={"path": path})
    return UNEXPECTED if status == 500 else error.message


def _is_for_people(request: Request) -> bool:
    path = request.url.path
    return not path.startswith("/api/") and path not in ("/health", "/ready")


def _validation_finding(given: Any) -> dict[str, Any]:
    # The input is left out: it may be the content of a bundle or a secret.
    path = ".".join(str(part) for part in given["loc"] if part not in ("body", "query", "path"))
    return {
        "path": path,
        "message": given["msg"],
        "severity": "error",
        "code": given["type"],
        "module_id": None,
    }
