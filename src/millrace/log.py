"""How this process logs. Only the command line calls `configure`."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def configure(
    *,
    level: str = "info",
    format: Literal["text", "json"] = "text",
    stream: TextIO | None = None,
) -> None:
    """Write the log to `stream`, standard error by default."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Each of these says at INFO what its caller says better, or shows addresses with secrets.
    for chatty in ("httpx2", "httpcore2", "uvicorn.access", "alembic", "aiosmtplib", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The values of a record: what its caller gave as ``extra``."""
    return {key: value for key, value in record.__dict__.items() if key not in _OWN}


class TextFormatter(logging.Formatter):
    """One line for people: time, level, text, values."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line = f"{_time(record)} {record.levelname.lower():<7} {_one_line(record.getMessage())}"
        for name, value in fields_of(record).items():
            line += f" {name}={_one_line(str(value))}"
        return line + _failure(self, record)


class JsonFormatter(logging.Formatter):
    """One JSON object to a line, so that nothing logged can pretend to be another line."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        data: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if failure := _failure(self, record).strip():
            data["exception"] = failure
        return json.dumps(data, default=str, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _failure(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if not record.exc_info:
        return ""
    return "\n" + formatter.formatException(record.exc_info)
