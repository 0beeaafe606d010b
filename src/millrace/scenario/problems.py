"""What is wrong with a scenario, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from millrace.errors import ScenarioInvalid

Severity = Literal["error", "warning"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing to mend, with the path to the place."""

    path: str
    """As people would point at it: ``flow[2].parameters.url``; empty means the whole file."""

    message: str
    """What is wrong and what to do, without the path."""

    severity: Severity = "error"
    """An error stops the scenario from being activated; a warning does not."""

    code: str = "shape"
    """A stable word for programs: ``unknown-key``, ``reference-later`` …"""

    module_id: str | None = None
    """The module it belongs to, so that an editor can mark it."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def invalid(problems: Iterable[Problem]) -> ScenarioInvalid:
    """The exception for a scenario that cannot be read: first problem as text, all as data."""
    found = tuple(problems)
    more = len(found) - 1
    rest = "" if more < 1 else f" (and {more} more {'problem' if more == 1 else 'problems'})"
    return ScenarioInvalid(f"{found[0]}{rest}", problems=found)


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` when one of `known` looks like `word`, else nothing."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def path_of(parts: Sequence[str | int]) -> str:
    """``("flow", 2, "parameters", "x y")`` → ``flow[2].parameters."x y"``."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part and not set(part) & set(' .[]"\n\t') else f'"{part[:60]}"'
            text += f".{shown}" if text else shown
    return text
