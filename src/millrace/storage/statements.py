"""The hot statements: named SQL in ``storage/sql``, one text for both databases where possible.

A statement begins with ``-- name: claim``; one that only one database understands stands beside it
as ``-- name: claim @postgres``. Parameters are written ``:name``; each driver gets them
numbered, as it binds fastest, together with their order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from operator import attrgetter
from typing import Any

_HEAD = re.compile(r"^-- name: (\w+)(?: @(\w+))?$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)\b")


@dataclass(frozen=True, kw_only=True, eq=False)
class Statement:
    """One SQL text with the order of its parameters."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    pick: Callable[[Any], Any]
    """Reads the parameters from an object's attributes, in order, in one call."""


def load(dialect: str) -> dict[str, Statement]:
    """Every statement for ``sqlite`` (``?1``) or ``postgres`` (``$1``)."""
    texts: dict[str, str] = {}
    for file in sorted(files("millrace.storage").joinpath("sql").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".sql"):
            parts = _HEAD.split(file.read_text(encoding="utf-8"))
            for name, only, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
                if only == dialect or (only is None and name not in texts):
                    texts[name] = text.strip()
    return {name: _statement(name, text, dialect) for name, text in texts.items()}


def _statement(name: str, text: str, dialect: str) -> Statement:
    order = tuple(dict.fromkeys(_PARAMETER.findall(text)))
    mark = {"sqlite": "?", "postgres": "$"}[dialect]
    sql = _PARAMETER.sub(lambda found: f"{mark}{order.index(found[1]) + 1}", text)
    return Statement(
        name=name, sql=sql, parameters=order, pick=attrgetter(*order or ("__class__",))
    )
