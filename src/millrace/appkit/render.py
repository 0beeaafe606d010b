"""Fill the templates of a manifest: the expressions that users know, at any depth of a value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from millrace.expressions import IGNORE, Scope, compile_template
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
