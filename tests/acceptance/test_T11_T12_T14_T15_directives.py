from __future__ import annotations

from typing import Any

import pytest

CHAIN = """
millrace: 1
settings: {keep_incomplete: %s}
flow:
  - {id: 1, module: "trial:watch", parameters: {limit: 3, total: 3}}
  - id: 2
    module: trial:act
    parameters: {value: "{{1.n}}", fails: [2], error: DataError}
    on_error: [%s]
  - {id: 3, module: "trial:act", parameters: {value: "{{2.value}}"}}
"""

ROWS = [
    ('{id: e, module: "flow:ignore"}', "success", [1, 3], 0),
    ("", "success", [1, 3], 0),
    ('{id: e, module: "flow:resume", parameters: {value: s}}', "success", [1, "s", 3], 0),
    ('{id: e, module: "flow:commit"}', "success", [1], 0),
    ('{id: e, module: "flow:rollback"}', "error", [1], 0),
    ('{id: e, module: "flow:break"}', "warning", [1, 3], 1),
    ('{id: e, module: "flow:break", parameters: {retry: true}}', "success", [1, 3], 1),
]


@pytest.mark.parametrize(("directive", "status", "reached", "kept"), ROWS)
async def test_T11_each_directive(
    installation: Any, directive: str, status: str, reached: list[Any], kept: int
) -> None:
    started = await installation.started(CHAIN % ("all", directive))
    ran = await started.run()
    assert (ran.status, ran.given("3")) == (status, reached)
    assert len(await started.kept()) == kept
    assert (await started.row()).consecutive_errors == 0
    # A rollback gives the trigger its position back, every other end moves it on.
    assert (await started.run()).given("1", "total") == [3]
    assert len((await started.run()).gave("1")) == (3 if status == "error" else 0)


async def test_T12_break_on_the_second_of_three_bundles(installation: Any) -> None:
    started = await installation.started(CHAIN % ("all", '{id: e, module: "flow:break"}'))
    ran = await started.run()
    assert (ran.status, ran.given("3")) == ("warning", [1, 3])
    [kept] = await started.kept()
    assert (kept.error_type, kept.error_module) == ("DataError", "2")


async def test_T14_resume_gives_a_substitute_to_later_modules(installation: Any) -> None:
    resume = '{id: e, module: "flow:resume", parameters: {value: "no {{1.n}}"}}'
    assert (await installation.run(CHAIN % ("all", resume))).given("3") == [1, "no 2", 3]


@pytest.mark.parametrize(
    ("keep", "status", "reached"), [("all", "warning", [1, 3]), ("none", "error", [1])]
)
async def test_T15_an_error_route_whose_filter_is_false_means_the_default(
    installation: Any, keep: str, status: str, reached: list[int]
) -> None:
    route = '{id: e, module: "flow:ignore", filter: "{{2.error.type = \'ConnectionError\'}}"}'
    ran = await installation.run(CHAIN % (keep, route))
    assert (ran.status, ran.given("3")) == (status, reached)
