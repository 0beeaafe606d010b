"""Scenarios of any shape, and modules that answer or fail by chance, for property tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import yaml
from hypothesis import strategies as st

from millrace.errors import ConnectionFailure, DataError, RuntimeFailure

from .playing import aggregate

DIRECTIVES = ("ignore", "resume", "commit", "rollback", "break", "retry", "throw")


def hole(id: str, field: str) -> str:
    return "{{" + id + "." + field + "}}"


class Shapes:
    """Draws scenarios: modules get numbers in reading order, expressions name earlier ones."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.count = 0

    def id(self) -> str:
        self.count += 1
        return f"m{self.count}"

    def one_of(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def flow(self, depth: int, sources: list[str], value: str) -> list[dict[str, Any]]:
        flow: list[dict[str, Any]] = []
        sources = list(sources)
        for _ in range(self.number(1, 3)):
            module = self.module(depth, sources, value)
            flow.append(module)
            sources.append(module["id"])
            if module["module"] in ("flow:router", "flow:if"):
                if "merge" not in module:
                    break
                value = hole(module["id"], "v")
            elif module["module"] == "flow:iterator":
                value = hole(module["id"], "value")
            elif module["module"] != "flow:for-each":
                value = hole(module["id"], "v")
        return flow

    def module(self, depth: int, sources: list[str], value: str) -> dict[str, Any]:
        id = self.id()
        kinds = ["test:action", "test:action", "test:search", "flow:iterator", "tools:increment"]
        if depth:
            kinds += ["flow:router", "flow:router", "flow:if", "flow:for-each"]
        if sources:
            kinds += ["flow:array-aggregator"] * 2
        kind = self.one_of(*kinds)
        module: dict[str, Any] = {"id": id, "module": kind}
        if sources and self.number(0, 4) == 0:
            module["filter"] = self.one_of("{{random < 0.7}}", "{{parseDate(t.v; 'Y') > now}}")
        match kind:
            case "flow:iterator":
                module["parameters"] = {"array": [f"{value}{n}" for n in range(self.number(0, 3))]}
            case "flow:array-aggregator":
                parameters = {"source": self.one_of(*sources), "fields": {"v": value}}
                if self.number(0, 2) == 0:
                    parameters["group_by"] = value
                if self.number(0, 2) == 0:
                    parameters["stop_if_empty"] = True
                module["parameters"] = parameters
            case "flow:router" | "flow:if":
                ways: list[dict[str, Any]] = [
                    {"flow": self.flow(depth - 1, [*sources, id], value)}
                    for _ in range(self.number(1, 3))
                ]
                for way in ways:
                    if self.number(0, 2) == 0:
                        way["filter"] = self.one_of("{{random < 0.5}}", "{{true}}", "{{false}}")
                if kind == "flow:router" and self.number(0, 2) == 0:
                    ways[-1]["fallback"] = True
                    ways[-1].pop("filter", None)
                module["routes" if kind == "flow:router" else "branches"] = ways
                if self.number(0, 1):
                    module["merge"] = {"v": [f"{n}" for n in range(len(ways))]}
            case "flow:for-each":
                module["parameters"] = {
                    "array": [f"{n}" for n in range(self.number(0, 4))],
                    "concurrency": self.number(1, 3),
                }
                module["flow"] = self.flow(depth - 1, [], hole(id, "value"))
            case _:
                module["parameters"] = {"v": value}
        if kind != "flow:for-each" and self.number(0, 2) == 0:
            module["on_error"] = self.error_route(depth, [*sources, id], value)
        return module

    def error_route(self, depth: int, sources: list[str], value: str) -> list[dict[str, Any]]:
        route = self.flow(depth - 1, sources, value) if depth and self.number(0, 1) else []
        if route and route[-1]["module"] in ("flow:router", "flow:if"):
            return route
        directive = self.one_of(*DIRECTIVES)
        module: dict[str, Any] = {"id": self.id(), "module": f"flow:{directive}"}
        if directive == "retry":
            module["parameters"] = {"times": 2, "wait": 1}
        if directive == "resume":
            module["parameters"] = {"v": "s"}
        return [*route, module]


@st.composite
def scenarios(draw: Any) -> str:
    shapes = Shapes(draw)
    flow = [{"id": "t", "module": "test:trigger"}, *shapes.flow(3, ["t"], "{{t.v}}")]
    keep = draw(st.sampled_from(["all", "listed", "none"]))
    scenario = {
        "millrace": 1,
        "settings": {"keep_incomplete": keep, "cycles": draw(st.integers(1, 2))},
        "flow": flow,
    }
    return yaml.safe_dump(scenario)


def world(seed: int) -> dict[str, Any]:
    """Modules that answer or fail by what they are given and how often they were asked for it."""
    asked: dict[str, int] = {}

    def module(id: str) -> Callable[..., Any]:
        def answer(**given: Any) -> Any:
            name = f"{id}{given}"
            asked[name] = asked.get(name, 0) + 1
            chance = crc32(f"{seed}{name}{asked[name]}".encode()) % 12
            if chance < 3:
                raise (DataError, ConnectionFailure, RuntimeFailure)[chance]("no")
            if "gathered" in given:
                return aggregate(given["gathered"])
            if chance == 3:
                return []
            return [{"v": given.get("v", "")}] * (2 if chance == 4 else 1)

        return answer

    modules = {f"m{number}": module(f"m{number}") for number in range(1, 300)}
    return {"t": lambda **given: [{"v": "a"}, {"v": "b"}], **modules}
