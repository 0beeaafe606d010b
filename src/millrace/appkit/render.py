"""Fill the templates of a manifest: the expressions that users know, at any depth of a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from millrace.expressions import IGNORE, Scope, compile_template, parse_template
from millrace.expressions.compile import compile_node
from millrace.expressions.convert import is_true, text_of
from millrace.expressions.scope import EPOCH, UTC


def render(
    value: Any, names: Mapping[str, Any], *, now: datetime = EPOCH, zone: tzinfo = UTC
) -> Any:
    """The value with every hole filled; results are data and are not read again.

    Args:
        value: A template, or a tree of them.
        names: What the holes may name: ``parameters``, ``connection``, ``body``, ``item``, ...
        now: What ``now`` gives.
        zone: What dates are shown in.

    Raises:
        ExpressionError: a template cannot be evaluated.
    """
    return _render(value, Scope(names=dict(names), now=now, zone=zone))


def _render(value: Any, scope: Scope) -> Any:
    if isinstance(value, str):
        return compile_template(value).evaluate(scope) if "{{" in value else value
    if isinstance(value, Mapping):
        filled = ((key, _render(inner, scope)) for key, inner in value.items())
        return {key: inner for key, inner in filled if inner is not IGNORE}
    if isinstance(value, list | tuple):
        return [inner for inner in (_render(one, scope) for one in value) if inner is not IGNORE]
    return value


def render_url(
    source: str, names: Mapping[str, Any], *, now: datetime = EPOCH, zone: tzinfo = UTC
) -> str:
    """An address with every hole filled and encoded, so that no value can add a path or a query.

    Only a hole at the very beginning is taken as it is: it holds an address itself.

    Raises:
        ExpressionError: a template cannot be evaluated.
    """
    scope = Scope(names=dict(names), now=now, zone=zone)
    parts = _url_parts(source)
    filled: list[str] = []
    for index, part in enumerate(parts):
        if isinstance(part, str):
            filled.append(part)
        else:
            text = text_of(part(scope), scope)
            filled.append(text if index == 0 else quote(text, safe=""))
    return "".join(filled)


def holds(
    condition: str | bool, names: Mapping[str, Any], *, now: datetime = EPOCH, zone: tzinfo = UTC
) -> bool:
    """Whether a condition of a manifest is true; an expression that gives nothing is not."""
    if isinstance(condition, bool):
        return condition
    return is_true(render(condition, names, now=now, zone=zone))


@lru_cache(maxsize=2000)
def _url_parts(source: str) -> tuple[str | Callable[[Scope], Any], ...]:
    return tuple(
        part
        if isinstance(part, str)
        else (compile_node(part.node) if part.node is not None else lambda scope: None)
        for part in parse_template(source).parts
    )
