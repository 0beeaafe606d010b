from __future__ import annotations

from typing import Any

WATCH = """
millrace: 1
schedule: {every: 15 minutes}
settings: {cycles: %s, keep_incomplete: none}
flow:
  - {id: 1, module: "trial:watch", parameters: {limit: 10, total: %s}}
  - {id: 2, module: "trial:act", parameters: {value: "{{1.n}}", fails: [%s]}}
"""


async def test_T8_ten_cycles_of_ten_take_a_hundred(installation: Any) -> None:
    started = await installation.started(WATCH % (10, 101, ""))
    first = await started.run()
    assert (first.status, first.row.cycles) == ("success", 10)
    assert first.given("2") == list(range(1, 101))
    assert (await started.run()).given("2") == [101]


async def test_T8_one_cycle_takes_ten(installation: Any) -> None:
    assert (await installation.run(WATCH % (1, 100, ""))).given("2") == list(range(1, 11))


async def test_T9_an_error_in_the_third_cycle_leaves_the_first_two_done(
    installation: Any,
) -> None:
    started = await installation.started(WATCH % (10, 100, "25"))
    first = await started.run()
    assert (first.status, first.row.cycles) == ("error", 3)
    again = await started.run()
    assert again.given("2") == [21, 22, 23, 24, 25]
