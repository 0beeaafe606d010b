from __future__ import annotations

import json
from typing import Any

import pytest

ROUTER = """
millrace: 1
flow:
  - {id: 1, module: "trial:search", parameters: {bundles: [{n: %s}]}}
  - id: 2
    module: flow:router
    routes:
      - {fallback: true, flow: [{id: rest, module: "trial:act"}]}
      - {filter: "{{1.n > 1}}", flow: [{id: big, module: "trial:act"}]}
      - {filter: "{{1.n > 2}}", flow: [{id: bigger, module: "trial:act"}]}
"""


@pytest.mark.parametrize(("n", "taken"), [(3, ["big", "bigger"]), (2, ["big"]), (1, ["rest"])])
async def test_T4_the_fallback_runs_only_when_no_other_route_matched(
    installation: Any, n: int, taken: list[str]
) -> None:
    assert (await installation.run(ROUTER % n)).log == ["1", *taken]


async def test_T4_the_fallback_of_an_export_is_the_route_that_else_names(
    installation: Any,
) -> None:
    def way(id: int, least: int | None) -> dict[str, Any]:
        conditions = [[{"a": "{{1.i}}", "o": "number:greater", "b": str(least)}]] if least else []
        module: dict[str, Any] = {"id": id, "module": "util:ComposeTransformer", "version": 1}
        return {
            "flow": [{**module, "mapper": {"value": "x"}, "filter": {"conditions": conditions}}]
        }

    repeater = {"id": 1, "module": "builtin:BasicRepeater", "version": 1}
    router = {"id": 2, "module": "builtin:BasicRouter", "version": 1, "mapper": None}
    export = {
        "name": "Fallback",
        "flow": [
            {**repeater, "mapper": {"start": "1", "repeats": "3", "steps": "1", "step": "1"}},
            {**router, "parameters": {"else": 0}, "routes": [way(3, None), way(4, 1), way(5, 2)]},
        ],
        "metadata": {"version": 1},
    }
    ran = await installation.run(json.dumps(export))
    assert ran.log == ["1", "3", "4", "4", "5"]


DEPTH = """
millrace: 1
flow:
  - {id: 1, module: "trial:watch", parameters: {total: 2}}
  - id: 2
    module: flow:router
    routes:
      - {flow: [{id: r1, module: "trial:act", parameters: {value: "b{{1.n}}r1"}}]}
      - {flow: [{id: r2, module: "trial:act", parameters: {value: "b{{1.n}}r2"}}]}
"""


async def test_T5_depth_first_order(installation: Any) -> None:
    ran = await installation.run(DEPTH)
    values = [each.input["value"] for each in ran.details.operations if each.module != "1"]
    assert values == ["b1r1", "b1r2", "b2r1", "b2r2"]
