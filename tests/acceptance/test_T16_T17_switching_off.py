from __future__ import annotations

from typing import Any

FAILING = """
millrace: 1
schedule: {every: 15 minutes}
settings: {max_errors: 3, keep_incomplete: none}
flow:
  - {id: 1, module: "trial:search", parameters: {bundles: [{n: 1}]}}
  - {id: 2, module: "trial:act", parameters: {value: 1, fails: [1], error: %s}}
"""


async def test_T16_three_runtime_errors_switch_off(installation: Any) -> None:
    started = await installation.started(FAILING % "RuntimeError")
    for _ in range(2):
        assert (await started.run()).status == "error"
        assert (await started.row()).is_active
    await started.run()
    row = await started.row()
    assert not row.is_active
    assert row.paused_reason is not None


async def test_T16_data_errors_never_switch_off(installation: Any) -> None:
    started = await installation.started(FAILING % "DataError")
    for _ in range(5):
        assert (await started.run()).status == "error"
    assert (await started.row()).is_active


async def test_T16_an_error_that_a_route_handled_does_not_count(installation: Any) -> None:
    handled = (FAILING % "RuntimeError").replace(
        "error: RuntimeError}}", "error: RuntimeError}, on_error: []}"
    )
    started = await installation.started(handled)
    for _ in range(4):
        assert (await started.run()).status == "success"
    assert (await started.row()).is_active


INSTANT = """
millrace: 1
schedule: instant
settings: {pause_at_first_error: true, keep_incomplete: listed}
flow:
  - {id: 1, module: "webhooks:receive", webhook: w}
  - {id: 2, module: "trial:act", parameters: {value: "{{1.n}}", fails: [1]}}
"""


async def test_T17_the_first_error_of_an_instant_scenario_switches_it_off(
    installation: Any,
) -> None:
    started = await installation.started(INSTANT)
    assert (await started.call({"n": 1})).status == 200
    await started.has_ended(1)
    assert not (await started.row()).is_active
    assert sum((await started.waiting()).values()) == 1
    assert (await started.call({"n": 2})).status == 200
    assert sum((await started.waiting()).values()) == 2
