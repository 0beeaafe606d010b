"""The mapped texts of a scenario and where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from millrace.scenario.model import Filter, Module, Route

Parts = tuple[str | int, ...]


def texts_in(value: Any, at: Parts) -> Iterator[tuple[Parts, str]]:
    """Every text with a hole inside a value, with its path."""
    if isinstance(value, str):
        if "{{" in value:
            yield at, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts_in(item, (*at, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from texts_in(item, (*at, index))


def places(flow: tuple[Module, ...], at: Parts = ("flow",)) -> Iterator[tuple[Parts, Module]]:
    """Every module with its path, in reading order."""
    for index, module in enumerate(flow):
        here = (*at, index)
        yield here, module
        for number, route in enumerate(module.routes):
            for within, inner in places(route.flow, ()):
                yield (*module_place(module, number, here, int(within[0])), *within[1:]), inner
        yield from places(module.flow, (*here, "flow"))
        yield from places(module.on_error or (), (*here, "on_error"))


def route_place(module: Module, number: int, at: Parts) -> Parts:
    """The path of one of a module's routes, as the scenario file calls it."""
    if module.module != "flow:if":
        return (*at, "triggers" if module.module == "flow:any-of" else "routes", number)
    return (*at, "else") if module.routes[number].is_fallback else (*at, "branches", number)


def module_place(module: Module, number: int, at: Parts, index: int) -> Parts:
    """The path of a module directly inside one of a module's routes.

    An ``else`` and a trigger of which nothing else is said are written without a ``flow``.
    """
    route, here = module.routes[number], route_place(module, number, at)
    if replace(route, is_fallback=False) == Route(flow=route.flow):
        if here[-1] == "else":
            return (*here, index)
        if module.module == "flow:any-of" and len(route.flow) == 1:
            return here
    return (*here, "flow", index)


def texts_of(module: Module, at: Parts, static: frozenset[str]) -> Iterator[tuple[Parts, str]]:
    """Every text with a hole that one module and the ways out of it evaluate.

    Args:
        module: The module, without those inside it.
        at: Its path.
        static: Parameters that are taken as written.
    """
    for name, value in module.parameters.items():
        if name not in static:
            yield from texts_in(value, (*at, "parameters", name))
    yield from _filter_texts(module.filter, (*at, "filter"))
    for number, route in enumerate(module.routes):
        yield from _filter_texts(route.filter, (*route_place(module, number, at), "filter"))
    yield from texts_in(module.merge, (*at, "merge"))


def _filter_texts(filter: Filter | None, at: Parts) -> Iterator[tuple[Parts, str]]:
    if filter is not None:
        yield from texts_in(filter.expression, at)
        yield from texts_in(filter.conditions, at)
