"""Stopped after any event, frozen, thawed and continued: the same as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millrace.engine import Interpreter, Limits, Plan, freeze, thaw
from millrace.engine.commands import Command, Finish
from millrace.errors import ConnectionFailure, DataError

from .playing import NOON, Played, Start, pages, plan_of, play
from .shapes import scenarios, world
from .test_aggregators import GROUPED, SIX
from .test_cycles import ANY, OUTPUTS
from .test_directives import CHAIN, RETRY, ROUTER
from .test_for_each import ABC, LOOP
from .test_variables import COUNTER, SLEEP


def plain(commands: list[Command]) -> list[Any]:
    return [(type(command).__name__, msgspec.to_builtins(command)) for command in commands]


def check(play_it: Callable[..., Played], plan: Plan, *, most: int = 1_000, **of: Any) -> Played:
    """Interrupt after every event (or `most` of them), and replay the history."""
    whole = play_it()
    events = len(whole.history)
    for number in range(1, events, max(1, events // most)):
        broken = play_it(freeze_after=number)
        assert plain_summary(broken) == plain_summary(whole), f"after event {number}"
    run = Interpreter(plan, execution_id="x", **of)
    begun = run.begin(whole.start)
    assert plain(begun) == plain(whole.commands[: len(begun)])
    for event, answer in whole.history:
        assert plain(run.tell(event)) == plain(answer)
    return whole


def plain_summary(played: Played) -> Any:
    return msgspec.to_builtins(played.summary())


def seldom(**given: Any) -> Any:
    """Fails by what it is given, so that it does the same whenever it is asked."""
    if given.get("v") in (2, 20, "b", "1x", "y"):
        raise DataError("no")
    return given


def by_attempt() -> Callable[..., Any]:
    seen: dict[str, int] = {}

    def answer(**given: Any) -> Any:
        name = str(given)
        seen[name] = seen.get(name, 0) + 1
        if seen[name] < 3:
            raise ConnectionFailure("not yet")
        return given

    return answer


THREE = {"1": lambda: [{"n": 1}, {"n": 2}, {"n": 3}]}
STREAM = """
millrace: 1
flow:
  - {id: 1, module: "test:search"}
  - {id: 2, module: "test:action", parameters: {v: "{{1.n}}"}}
  - {id: agg, module: "flow:array-aggregator", parameters: {source: 1, fields: {n: "{{2.v}}"}}}
  - {id: 9, module: "test:action", parameters: {v: "{{agg.array}}"}}
"""
SCENARIOS: dict[str, tuple[str, dict[str, Any]]] = {
    "ignore": (CHAIN % '{id: e, module: "flow:ignore"}', {**THREE, "2": seldom}),
    "resume": (
        CHAIN % '{id: x, module: "test:action"}, {id: e, module: "flow:resume"}',
        {**THREE, "2": seldom},
    ),
    "break": (CHAIN % '{id: e, module: "flow:break"}', {**THREE, "2": seldom}),
    "commit": (CHAIN % '{id: e, module: "flow:commit"}', {**THREE, "2": seldom}),
    "rollback": (CHAIN % '{id: e, module: "flow:rollback"}', {**THREE, "2": seldom}),
    "kept": (CHAIN.replace("    on_error: [%s]\n", ""), {**THREE, "2": seldom}),
    "router": (ROUTER % '{id: e, module: "flow:ignore"}', {**THREE, "2": seldom}),
    "groups": (GROUPED % ("s", ", group_by: '{{3.v % 2}}'"), SIX),
    "for-each": (LOOP % 2, {**ABC, "2": seldom}),
    "for-each, all at once": (LOOP % 9, {**ABC, "2": seldom}),
    "counter": (COUNTER % "execution", {}),
    "sleep": (SLEEP % 60, {}),
    "any-of": (ANY, {}),
    "outputs": (OUTPUTS % "", {**THREE}),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_interrupted_after_any_event_it_does_the_same(name):
    text, answers = SCENARIOS[name]
    plan = plan_of(text)
    check(lambda **more: play(plan, answers, **more), plan)


def test_interrupted_between_retries_it_does_the_same():
    plan = plan_of(CHAIN % RETRY)
    whole = check(lambda **more: play(plan, {**THREE, "2": by_attempt()}, **more), plan)
    assert len(whole.of("2")) == 9


def test_interrupted_between_pages_it_does_the_same():
    plan = plan_of(STREAM)
    stream = {"1": pages([{"n": 1}, {"n": 2}], [{"n": 3}], [])}
    check(lambda **more: play(plan, by_command=stream, **more), plan)


def test_interrupted_while_resuming_it_does_the_same():
    plan = plan_of(GROUPED % ("s", ", group_by: '{{3.v % 2}}'"))

    def odd(gathered: list[dict[str, Any]]) -> Any:
        raise DataError("no")

    [first, _] = play(plan, {**SIX, "agg": odd}).kept
    start = Start(at=NOON, resumption=first.resumption)
    whole = check(lambda **more: play(plan, start=start, **more), plan)
    assert whole.log == ["agg", "9"]


def test_interrupted_with_waiting_answers_in_another_order_it_does_the_same():
    plan = plan_of(LOOP % 3)
    check(lambda **more: play(plan, ABC, last_first=True, **more), plan)


def test_the_limits_hold_over_an_interruption():
    plan, limits = plan_of(CHAIN % ""), Limits(operations=4, seconds=1_000)
    whole = check(lambda **more: play(plan, THREE, limits=limits, **more), plan, limits=limits)
    assert whole.operations == 4


def test_a_checkpoint_of_another_format_or_version_is_refused():
    plan, other = plan_of(CHAIN % ""), plan_of(LOOP % 1)
    run = Interpreter(plan, execution_id="x")
    run.begin(Start(at=NOON))
    frozen = freeze(run)
    with pytest.raises(ValueError, match="another version of the scenario"):
        thaw(other, frozen, execution_id="x", limits=Limits())
    with pytest.raises(ValueError, match="checkpoint format 0"):
        thaw(plan, {**frozen, "format": 0}, execution_id="x", limits=Limits())


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(text=scenarios(), seed=st.integers(0, 1_000), last_first=st.booleans())
def test_any_scenario_does_the_same_wherever_it_is_interrupted(text, seed, last_first):
    plan, limits = plan_of(text), Limits(operations=80)

    def play_it(**more: Any) -> Played:
        return play(plan, world(seed), limits=limits, last_first=last_first, **more)

    whole = check(play_it, plan, most=8, limits=limits)
    assert whole.operations == sum(whole.end.by_module.values())
    assert whole.commits + whole.rollbacks >= 1
    calls = [c.call for c in whole.commands if not isinstance(c, Finish)]
    assert sorted(calls) == sorted(set(calls))
