"""Limits, and stopping from outside."""

from __future__ import annotations

import pytest

from millrace.engine import Interpreter, Limits
from millrace.engine.commands import CallModule
from millrace.engine.events import Cancelled, ModuleAnswered, RolledBack

from .playing import NOON, Start, fail, fail_times, plan_of, play

CHAIN = """
millrace: 1
settings: {cycles: 2}
flow:
  - {id: 1, module: "test:search"}
  - {id: 2, module: "tools:set-variable", parameters: {name: x, value: "{{1.n}}"}}
  - {id: 3, module: "test:action", parameters: {v: "{{2.x}}"}}
"""
TWO = {"1": lambda: [{"n": 1}, {"n": 2}]}


@pytest.mark.parametrize("limit", range(10))
def test_no_more_operations_than_allowed(limit):
    played = play(CHAIN, TWO, limits=Limits(operations=limit))
    assert (played.operations, played.error) == (limit, "OperationsLimitExceededError")
    assert (played.status, played.rollbacks) == ("error", 1)


def test_as_many_operations_as_allowed_is_no_failure():
    played = play(CHAIN, TWO, limits=Limits(operations=10))
    assert (played.operations, played.status) == (10, "success")


@pytest.mark.parametrize(
    "module",
    [
        '{id: 2, module: "tools:increment"}',
        '{id: 2, module: "flow:iterator", parameters: {array: [1]}}',
        '{id: 2, module: "flow:if", branches: [{filter: "{{true}}", flow: []}]}',
    ],
)
def test_what_the_engine_does_itself_is_limited_too(module):
    scenario = "millrace: 1\nflow: [{id: 1, module: 'flow:repeater', parameters: {repeats: 9}}, %s]"
    played = play(scenario % module, limits=Limits(operations=4))
    assert (played.operations, played.error) == (4, "OperationsLimitExceededError")


def test_an_aggregator_is_limited_too():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:search"}
  - {id: agg, module: "flow:array-aggregator", parameters: {source: 1}}
"""
    played = play(scenario, TWO, limits=Limits(operations=1))
    assert (played.log, played.error) == (["1"], "OperationsLimitExceededError")


def test_a_retry_is_limited_too():
    scenario = """
millrace: 1
flow: [{id: 1, module: "test:action", on_error: [{id: e, module: "flow:retry"}]}]
"""
    played = play(scenario, {"1": fail()}, limits=Limits(operations=2))
    assert (played.log, played.error) == (["1", "1"], "OperationsLimitExceededError")


def test_time_that_is_up_is_a_warning_and_what_was_done_stays():
    played = play(CHAIN, TWO, limits=Limits(seconds=2.5))
    assert (played.status, played.error) == ("warning", "ExecutionInterruptedError")
    assert (played.commits, played.rollbacks, played.end.is_counted) == (1, 0, False)
    assert played.values("3") == [1, 2]


def test_time_that_is_up_between_cycles_begins_no_other():
    played = play(CHAIN, TWO, limits=Limits(seconds=3.5))
    assert (played.status, played.end.cycles, played.commits) == ("warning", 1, 1)


def test_waiting_is_no_time_that_is_used_up():
    scenario = """
millrace: 1
flow:
  - id: 1
    module: test:action
    on_error: [{id: e, module: "flow:retry", parameters: {wait: 86400, times: 5}}]
  - {id: 2, module: "test:action"}
"""
    played = play(scenario, {"1": fail_times(4)}, limits=Limits(seconds=60))
    assert (played.status, played.log[-1]) == ("success", "2")


def measured(run: Interpreter, transfer_bytes: int, files=()):
    [command] = run.begin(Start(at=NOON))
    assert isinstance(command, CallModule)
    return run.tell(ModuleAnswered(command.call, NOON, [{}], False, transfer_bytes, files))


def test_data_that_enters_is_limited():
    run = Interpreter(plan_of(CHAIN), execution_id="x", limits=Limits(transfer_bytes=100))
    [rollback] = measured(run, 101)
    [finish] = run.tell(RolledBack(rollback.call, NOON))  # type: ignore[union-attr]
    assert finish.failure.type == "DataSizeLimitExceededError"  # type: ignore[union-attr]
    assert finish.transfer_bytes == 101  # type: ignore[union-attr]


def test_a_file_is_counted_once_however_often_it_passes():
    run = Interpreter(plan_of(CHAIN), execution_id="x")
    measured(run, 10, (("a", 100), ("b", 50), ("a", 100)))
    call = max(run.pending)
    run.tell(ModuleAnswered(call, NOON, [{}], False, 0, (("b", 50), ("c", 1))))
    assert run.transfer_bytes == 161


def test_someone_stops_it_and_what_was_done_stays():
    played = play(CHAIN, TWO, cancel_after=2)
    assert (played.status, played.error) == ("stopped", "ExecutionInterruptedError")
    assert (played.commits, played.rollbacks, played.end.is_counted) == (1, 0, False)
    assert played.values("3") == [1]


@pytest.mark.parametrize("number", range(8))
def test_it_can_be_stopped_at_any_moment(number):
    played = play(CHAIN, TWO, cancel_after=number)
    assert played.status in ("stopped", "success")
    assert played.commits <= 2


def test_a_rollback_under_way_is_not_turned_into_a_commit():
    run = Interpreter(plan_of(CHAIN), execution_id="x", limits=Limits(transfer_bytes=1))
    [rollback] = measured(run, 5)
    assert run.tell(Cancelled(NOON)) == []
    [finish] = run.tell(RolledBack(rollback.call, NOON))  # type: ignore[union-attr]
    assert finish.status == "error"  # type: ignore[union-attr]


def test_an_answer_that_comes_after_the_end_is_of_no_interest():
    run = Interpreter(plan_of(CHAIN), execution_id="x")
    [command] = run.begin(Start(at=NOON))
    run.tell(Cancelled(NOON))
    assert run.tell(ModuleAnswered(command.call, NOON, [{}])) == []  # type: ignore[union-attr]


def test_an_event_that_nobody_asked_for_is_refused():
    run = Interpreter(plan_of(CHAIN), execution_id="x")
    run.begin(Start(at=NOON))
    with pytest.raises(ValueError, match="no call 99 is waiting"):
        run.tell(ModuleAnswered(99, NOON, []))


def test_an_event_of_the_wrong_kind_is_refused():
    run = Interpreter(plan_of(CHAIN), execution_id="x")
    [command] = run.begin(Start(at=NOON))
    with pytest.raises(ValueError, match="RolledBack is no answer"):
        run.tell(RolledBack(command.call, NOON))  # type: ignore[union-attr]


def test_waiting_side_by_side_is_no_time_that_is_used_up_either():
    scenario = """
millrace: 1
flow:
  - id: loop
    module: flow:for-each
    parameters: {array: [1, 2], concurrency: 2}
    flow: [{id: s, module: "tools:sleep", parameters: {duration: 100}}]
  - {id: 2, module: "test:action"}
"""
    played = play(scenario, limits=Limits(seconds=50))
    assert (played.status, played.log) == ("success", ["2"])
