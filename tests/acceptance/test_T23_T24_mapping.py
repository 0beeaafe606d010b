from __future__ import annotations

from typing import Any

import pytest

MAPPED = """
millrace: 1
flow:
  - id: 1
    module: trial:search
    parameters: {bundles: [{array: [1, 2], n: 5, yes: true, items: [{x: a}, {x: b}], none: []}]}
  - {id: 2, module: "trial:act", parameters: {value: '%s'}}
"""


@pytest.mark.parametrize(
    ("mapping", "value"),
    [
        ("{{1.array}}", [1, 2]),
        ("{{1.n}}", 5),
        ("{{1.yes}}", True),
        ("{{1.items}}", [{"x": "a"}, {"x": "b"}]),
        ("x{{1.n}}", "x5"),
        ("{{1.n}}{{1.n}}", "55"),
        (" {{1.n}}", " 5"),
        ("x{{1.array}}", "x1, 2"),
        ("x{{1.yes}}{{1.missing}}", "xtrue"),
    ],
)
async def test_T23_a_field_that_is_one_hole_keeps_the_type(
    installation: Any, mapping: str, value: Any
) -> None:
    [given] = (await installation.run(MAPPED % mapping)).given("2")
    assert (type(given), given) == (type(value), value)


@pytest.mark.parametrize(
    ("mapping", "value"),
    [
        ("{{1.items[].x}}", "a"),
        ("{{1.items[1].x}}", "a"),
        ("{{1.items[2].x}}", "b"),
        ("{{1.items[0].x}}", None),
        ("{{1.items[3].x}}", None),
        ("{{1.none[].x}}", None),
        ("<{{1.items[0].x}}>", "<>"),
    ],
)
async def test_T24_arrays_count_from_one(installation: Any, mapping: str, value: Any) -> None:
    assert (await installation.run(MAPPED % mapping)).given("2") == [value]
