from __future__ import annotations

from typing import Any

HOOK = """
millrace: 1
schedule: instant
flow: [{id: 1, module: "webhooks:receive", webhook: w}%s]
"""
RESPOND = """,
  {id: 2, module: "webhooks:respond", parameters: {status: 201, body: "<p>{{1.name}}</p>",
   headers: [{key: X-Kind, value: custom}]}}"""


async def test_T18_200_accepted(installation: Any) -> None:
    started = await installation.started(HOOK % "")
    answer = await started.call({"name": "Ada"})
    assert (answer.status, answer.body) == (200, "Accepted")


async def test_T18_a_custom_response(installation: Any) -> None:
    started = await installation.started(HOOK % RESPOND)
    answer = await started.call({"name": "Ada"})
    assert (answer.status, answer.body) == (201, "<p>Ada</p>")
    assert {name.lower(): value for name, value in answer.headers.items()}["x-kind"] == "custom"


async def test_T18_500_when_the_scenario_fails_before_it_answers(installation: Any) -> None:
    failing = ', {id: 9, module: "trial:act", parameters: {value: 1, fails: [1]}}' + RESPOND
    scenario = (HOOK % failing).replace("flow:", "settings: {keep_incomplete: none}\nflow:", 1)
    started = await installation.started(scenario)
    answer = await started.call({"name": "Ada"})
    assert (answer.status, answer.body) == (500, "Scenario failed to complete.")


async def test_T18_400_when_the_structure_does_not_fit(installation: Any) -> None:
    structure = [{"name": "name", "type": "text", "required": True}]
    started = await installation.started(HOOK % "", structure=structure)
    answer = await started.call({"nome": "Ada"})
    assert answer.status == 400
    assert "name" in answer.body


async def test_T18_410_for_an_address_that_does_not_exist(installation: Any) -> None:
    assert (await installation.call("x" * 43, {})).status == 410


async def test_T18_429_when_there_are_too_many(installation: Any) -> None:
    started = await installation.started(HOOK % "", requests=2, per_seconds=10)
    statuses = [(await started.call({})).status for _ in range(3)]
    assert statuses == [200, 200, 429]
