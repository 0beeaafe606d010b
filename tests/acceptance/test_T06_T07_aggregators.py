from __future__ import annotations

from typing import Any

import pytest

GATHERED = """
millrace: 1
flow:
  - id: search
    module: trial:search
    parameters: {bundles: [{a: [1, 2, 3]}, {a: [4, 5, 6]}]}
  - {id: iterator, module: "flow:iterator", parameters: {array: "{{search.a}}"}}
  - id: aggregator
    module: flow:array-aggregator
    parameters: {source: %s, fields: {v: "{{iterator.value}}"}}
  - {id: last, module: "trial:act", parameters: {value: "{{join(map(aggregator.array; 'v'); '')}}"}}
"""


@pytest.mark.parametrize(
    ("source", "outputs"), [("iterator", ["123", "456"]), ("search", ["123456"])]
)
async def test_T6_an_aggregator_speaks_once_per_operation_of_its_source(
    installation: Any, source: str, outputs: list[str]
) -> None:
    assert (await installation.run(GATHERED % source)).given("last") == outputs


EMPTY = """
millrace: 1
flow:
  - {id: 1, module: "trial:search", parameters: {bundles: [{n: 1}]}}
  - {id: 2, module: "trial:act", filter: "{{1.n > 1}}"}
  - id: agg
    module: %s
    parameters: {source: 1, stop_if_empty: %s%s}
  - {id: 9, module: "trial:act", parameters: {value: "{{agg.%s}}"}}
"""
KINDS = [
    ("flow:array-aggregator", "", "array", []),
    ("tools:text-aggregator", ", value: '{{2.value}}'", "text", ""),
    ("tools:numeric-aggregator", ", value: '{{1.n}}'", "result", 0),
]


@pytest.mark.parametrize(("module", "more", "field", "empty"), KINDS)
async def test_T7_an_aggregator_of_nothing_gives_an_empty_result(
    installation: Any, module: str, more: str, field: str, empty: Any
) -> None:
    ran = await installation.run(EMPTY % (module, "false", more, field))
    assert ran.given("9") == [empty]


@pytest.mark.parametrize(("module", "more", "field", "empty"), KINDS)
async def test_T7_stop_if_empty_ends_the_flow(
    installation: Any, module: str, more: str, field: str, empty: Any
) -> None:
    ran = await installation.run(EMPTY % (module, "true", more, field))
    assert (ran.status, ran.log) == ("success", ["1"])
