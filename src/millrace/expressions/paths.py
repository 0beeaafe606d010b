"""Reading from data by steps: dictionary keys and list positions, nothing else.

No attribute is ever read. A step that does not apply gives null, also ``__class__`` and its kind.
"""

from __future__ import annotations

from typing import Any, Final

from millrace.expressions.convert import text_of
from millrace.expressions.scope import Scope

LONGEST_PATH: Final = 200


def step_into(value: Any, step: Any) -> Any:
    """One step by a calculated name or position; None when it does not apply."""
    if isinstance(value, dict):
        if isinstance(step, str):
            return value.get(step)
        if isinstance(step, (int, float)) and not isinstance(step, bool):
            number = int(step) if step == step // 1 else step
            return value.get(str(number))
        return None
    if isinstance(value, list):
        return item_at(value, step)
    return None


def item_at(items: list[Any], position: Any) -> Any:
    """The item at a position counted from 1, or from the end when negative; None outside."""
    if isinstance(position, str):
        if len(position) > 15 or not position.removeprefix("-").isdecimal():
            return None
        position = int(position)
    if isinstance(position, bool) or not isinstance(position, (int, float)):
        return None
    if position != position // 1 or not -len(items) <= position <= len(items) or position == 0:
        return None
    return items[int(position) - 1 if position > 0 else int(position)]


def read_path(path: Any, scope: Scope) -> list[Any]:
    """The steps of a path written as text: ``a.b.1`` or ``a.b[1]``."""
    if isinstance(path, (int, float)) and not isinstance(path, bool):
        return [path]
    text = text_of(path, scope)
    if "[" in text:
        # As in a reference: [] is the first element on the way, and the whole array at the end.
        text = text.replace("[].", ".1.").replace("[]", "")
        text = text.replace("[", ".").replace("]", "").strip(".")
    return text.split(".", LONGEST_PATH)


def follow(value: Any, steps: list[Any]) -> Any:
    """The value at the end of the steps; None when one does not apply.

    A key that itself holds dots is found when it is the whole path.
    """
    if len(steps) > 1 and isinstance(value, dict) and isinstance(steps[0], str):
        whole = ".".join(steps)
        if whole in value:
            return value[whole]
    for step in steps:
        value = step_into(value, step)
        if value is None:
            return None
    return value
