"""What a scenario is: the model that every format is read into and written from.

A scenario is a tree. A *flow* is a tuple of modules; containers (router, if, for-each, any-of) are
modules that hold flows; there are no jumps, so any scenario can be read from top to bottom.
Everything here is plain frozen data: building one checks nothing (``scenario/check.py`` does).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Conditions = tuple[tuple[Mapping[str, Any], ...], ...]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The condition on a way: outer tuple OR, inner tuple AND, or one boolean expression."""

    conditions: Conditions = ()
    """Each condition is ``{"a": template, "o": operator, "b": template}``. Empty: always passes."""

    expression: str | None = None
    """A text with one hole, instead of `conditions`."""

    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A way onward out of a router, an if or an any-of."""

    flow: tuple[Module, ...] = ()
    name: str = ""
    filter: Filter | None = None
    """On a router's route: who may pass. On a branch of an if: its condition."""

    is_fallback: bool = False
    """Router: taken by bundles that passed no other route. If: the ``else`` branch."""

    is_disabled: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What an imported file said that has no place here, kept so that nothing is lost."""


@dataclass(frozen=True, kw_only=True)
class Module:
    """One thing placed in a scenario."""

    id: str
    """A number or a word, unique in the scenario; expressions say ``{{id.field}}``."""

    module: str
    """``app:module``; containers are flow:router, flow:if, flow:for-each and flow:any-of."""

    version: int | None = None
    """Pinned version; None means the newest at publication."""

    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """As written: texts may hold ``{{ }}`` at any depth."""

    resources: Mapping[str, str] = field(default_factory=dict)
    """Team resources by name: connection, webhook, data_store, key, structure."""

    filter: Filter | None = None
    """The condition on the link into this module; never on the first module of a scenario."""

    routes: tuple[Route, ...] = ()
    """``flow:router`` routes, ``flow:if`` branches (else last), ``flow:any-of`` triggers."""

    flow: tuple[Module, ...] = ()
    """``flow:for-each`` only: what is done for each item."""

    merge: Mapping[str, tuple[Any, ...]] | None = None
    """Router and if: field → one expression per route, in the order of `routes`."""

    on_error: tuple[Module, ...] | None = None
    """The error route; its last module may be a directive. None means the default of the error."""

    is_disabled: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Under ``make``: what an import did not understand or what only Make's editor needs."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a scenario starts by itself. Exactly one of the ways is given, or `kind` is instant."""

    kind: str = "on-demand"
    """on-demand | instant | interval | once | daily | weekly | monthly | yearly | cron."""

    every_seconds: int | None = None
    """interval: at least 1; counted from the scheduled start, not from the end."""

    at: str | None = None
    """Local time ``HH:MM`` for daily, weekly, monthly, yearly; an ISO instant for once."""

    days: tuple[int, ...] = ()
    """weekly: 0 (Sunday) to 6; monthly and yearly: 1 to 31, a day that a month lacks is skipped."""

    months: tuple[int, ...] = ()
    """yearly: 1 to 12."""

    cron: str | None = None
    start: str | None = None
    """ISO instant before which nothing starts."""

    end: str | None = None
    """ISO instant after which nothing starts."""

    windows: tuple[Mapping[str, Any], ...] = ()
    """Only inside these: ``{days, months, time: [from, to]}``; any of them is enough."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a scenario runs. The defaults are ours; an import writes Make's explicitly."""

    sequential: bool = False
    """One execution at a time, in order of arrival; none while incomplete executions wait."""

    confidential: bool = False
    """Keep no bundle data in the history."""

    cycles: int = 1
    auto_commit: bool = True
    commit_trigger_last: bool = True
    keep_incomplete: str = "all"
    """all: every failed bundle is kept | listed: the error types that Make keeps | none."""

    drop_when_full: bool = False
    """When an incomplete execution or a file does not fit: drop it (Make's dataloss) or stop."""

    max_errors: int = 10
    """Consecutive failed executions before the scenario is paused."""

    pause_at_first_error: bool = False
    """Make's rule for instant scenarios: the first error switches them off."""

    order_by: str | None = None
    """Ordering key: events with the same value run in order of arrival."""

    fresh_variables: bool = False
    """Variables are forgotten at each cycle."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A value that a caller passes in; expressions say ``{{var.input.name}}``."""

    name: str
    type: str = "text"
    label: str = ""
    help: str = ""
    is_required: bool = False
    default: Any = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Modules joined by routes, plus a schedule."""

    name: str = ""
    description: str = ""
    inputs: tuple[Input, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """What a caller gets back: name → template, evaluated when the last cycle is done."""

    schedule: Schedule | None = None
    timezone: str = "UTC"
    settings: Settings = field(default_factory=Settings)
    flow: tuple[Module, ...] = ()
    layout: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The canvas: module id → x, y. Never part of the meaning."""

    notes: tuple[Mapping[str, Any], ...] = ()
    needs: tuple[Mapping[str, Any], ...] = ()
    """Written on export, asked on import: ``{connection: shop, app: http, for: [reserve]}``."""

    setup: tuple[Mapping[str, Any], ...] = ()
    """A template's questions."""

    extra: Mapping[str, Any] = field(default_factory=dict)
    """Under ``make``: what an import kept for the way back."""

    def modules(self) -> Iterator[Module]:
        """Every module, depth first, in reading order, error routes included."""
        yield from walk(self.flow)


def walk(flow: tuple[Module, ...]) -> Iterator[Module]:
    """Every module of a flow and of the flows inside it, depth first, in reading order."""
    for module in flow:
        yield module
        for route in module.routes:
            yield from walk(route.flow)
        yield from walk(module.flow)
        if module.on_error:
            yield from walk(module.on_error)
