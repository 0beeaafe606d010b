from __future__ import annotations

from typing import Any

import pytest

FILTERED = """
millrace: 1
flow:
  - {id: 1, module: "trial:search", parameters: {bundles: [{a: %s, b: %s, c: %s}]}}
  - id: 2
    module: trial:act
    filter:
      - [{a: "{{1.a}}", o: "number:equal", b: 1}, {a: "{{1.b}}", o: "number:equal", b: 1}]
      - [{a: "{{1.c}}", o: "number:equal", b: 1}]
"""


@pytest.mark.parametrize(
    ("a", "b", "c"), [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
)
async def test_T3_filter_and_or(installation: Any, a: int, b: int, c: int) -> None:
    ran = await installation.run(FILTERED % (a, b, c))
    assert ran.status == "success"
    assert ("2" in ran.log) == bool((a and b) or c)
