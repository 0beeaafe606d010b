"""Values given on the command line: ``name=value``, ``name=json``, ``@file``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


def text_of(given: str) -> str:
    """The text itself, or the content of the file behind an ``@``."""
    if not given.startswith("@"):
        return given
    path = Path(given[1:])
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path}: {getattr(error, 'strerror', '') or error}") from error


def json_of(given: str) -> Any:
    """JSON, given directly or as ``@file``."""
    try:
        return json.loads(text_of(given))
    except ValueError as error:
        raise click.BadParameter(f"this is not JSON: {error}") from error


def pair_of(given: str) -> tuple[str, str]:
    """``name=value`` as its two parts."""
    name, sign, value = given.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{given!r} should look like name=value")
    return name, value


def values_of(given: tuple[str, ...]) -> dict[str, Any]:
    """``name=value`` pairs, and whole collections as ``@file.json``; later ones win.

    A value that is JSON is taken as such (``3``, ``true``, ``{"a": 1}``), everything else as text.
    """
    values: dict[str, Any] = {}
    for one in given:
        if one.startswith("@"):
            found = json_of(one)
            if not isinstance(found, dict):
                raise click.BadParameter(f"{one[1:]} should hold a JSON object")
            values |= found
            continue
        name, value = pair_of(one)
        values[name] = _value(text_of(value))
    return values


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
