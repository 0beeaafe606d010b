"""What the engine must know of a module that an app offers.

The app kit makes these from manifests; the engine never sees a manifest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "trigger",
    "instant-trigger",
    "action",
    "search",
    "transformer",
    "iterator",
    "aggregator",
    "responder",
    "structure",
    "directive",
]
"""Only ``trigger`` (and ``instant-trigger``) may stand first and mean "nothing new" with 0 bundles;
``structure`` and ``directive`` are carried out by the engine itself and have no app code."""

Effect = Literal["pure", "read", "keyed", "checkable", "blind", "transactional"]
"""What a repetition would do; the driver obeys the table in ARCHITECTURE.md, "Effects"."""


@dataclass(frozen=True, kw_only=True)
class ParameterTraits:
    """One parameter, as far as its evaluation is concerned."""

    name: str
    type: str = "any"
    """A type name of ``expressions.coerce``."""

    is_required: bool = False
    default: Any = None
    is_mapped: bool = True
    """False: taken as written; holes in it are not evaluated (Make's static parameters)."""

    fields: tuple[ParameterTraits, ...] = ()
    """Of a collection, or of the collections in an array. Empty: whatever is given."""

    item_type: str | None = None
    """Of an array of primitives."""

    minimum: float | None = None
    maximum: float | None = None
    """Number bounds, or text length bounds for texts."""

    pattern: str | None = None
    options: tuple[Any, ...] = ()
    """Allowed values of a select whose options are fixed; empty: any."""


@dataclass(frozen=True, kw_only=True)
class ModuleTraits:
    """One module that an app offers, as the engine sees it."""

    name: str
    """``app:module``."""

    version: int = 1
    label: str = ""
    """Shown in messages: ``HTTP, module 4 "Make a request"``."""

    app_label: str = ""
    kind: Kind = "action"
    effect: Effect = "blind"
    parameters: tuple[ParameterTraits, ...] = field(default_factory=tuple)
    is_open: bool = False
    """True: undeclared parameters are passed on too (fields of a structure, of a data store)."""
