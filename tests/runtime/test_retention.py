from __future__ import annotations

from datetime import timedelta
from typing import Any

from millrace.runtime.retention import DAY, Kept, Retention

TEXT = "millrace: 1\nflow:\n  - {id: 1, module: 'json:parse', parameters: {json: '{\"a\": 1}'}}\n"


async def executed(runtime: Any, owner: Any) -> str:
    saved = await runtime.scenarios.create(by=owner, text=TEXT)
    version = await runtime.scenarios.text(saved.scenario.id, by=owner)
    program = await runtime.programs.version(owner.team_id, version.id)
    execution_id, done = await runtime.executions.start(program)
    await done
    return execution_id


class Later:
    """A clock that is ahead of the one that ids are made with."""

    def __init__(self, clock: Any, span: timedelta) -> None:
        self._clock, self._span = clock, span

    def now(self) -> Any:
        return self._clock.now() + self._span


def retention(runtime: Any, *, ahead: timedelta, kept: Kept | None = None) -> Retention:
    from millrace.clock import SystemClock

    clock = Later(SystemClock(), ahead)
    return Retention(runtime.store, runtime.store, clock=clock, kept=kept or Kept())


async def test_what_is_young_stays(runtime: Any, owner: Any) -> None:
    id = await executed(runtime, owner)
    await retention(runtime, ahead=DAY).purge()
    assert (await runtime.history.get(id, by=owner)).operations


async def test_details_go_first_and_the_list_stays(runtime: Any, owner: Any) -> None:
    id = await executed(runtime, owner)
    assert await retention(runtime, ahead=61 * DAY).purge() > 0
    details = await runtime.history.get(id, by=owner)
    assert details.operations == []
    assert details.execution.operations == 1


async def test_at_last_nothing_is_left(runtime: Any, owner: Any) -> None:
    await executed(runtime, owner)
    await retention(runtime, ahead=366 * DAY).purge()
    assert await runtime.history.page(by=owner) == []
    assert await runtime.activity.page(by=owner) == []


async def test_another_time_can_be_chosen(runtime: Any, owner: Any) -> None:
    id = await executed(runtime, owner)
    await retention(runtime, ahead=2 * DAY, kept=Kept(details=DAY)).purge()
    assert (await runtime.history.get(id, by=owner)).operations == []
