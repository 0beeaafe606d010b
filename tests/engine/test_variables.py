"""Variables, counters and sleep: what lives in the execution."""

from __future__ import annotations

import pytest

from millrace.engine.commands import Commit

from .playing import NOON, Start, play


def test_a_variable_set_in_one_route_is_read_in_another():
    scenario = """
millrace: 1
flow:
  - id: r
    module: flow:router
    routes:
      - {flow: [{id: 1, module: "tools:set-variable", parameters: {name: x, value: 7}}]}
      - flow:
          - {id: 2, module: "tools:get-variable", parameters: {name: x}}
          - {id: 3, module: "test:action", parameters: {v: "{{2.x}}"}}
"""
    assert play(scenario).values("3") == [7]


SCOPES = """
millrace: 1
settings: {cycles: 2%s}
flow:
  - {id: 1, module: "tools:get-variables", parameters: {variables: [a, {name: b}]}}
  - {id: 2, module: "test:action", parameters: {v: "{{1.a}}{{1.b}}"}}
  - {id: 3, module: "tools:set-variable", parameters: {name: a, value: A, scope: roundtrip}}
  - id: 4
    module: tools:set-variables
    parameters: {scope: execution, variables: [{name: b, value: B}, {name: c, value: C}]}
"""


def test_a_variable_of_a_cycle_is_forgotten_and_one_of_the_execution_stays():
    assert play(SCOPES % "").values("2") == ["", "B"]


def test_fresh_variables_are_forgotten_at_each_cycle():
    assert play(SCOPES % ", fresh_variables: true").values("2") == ["", ""]


def test_a_variable_that_was_never_set_is_empty():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "tools:get-variable", parameters: {name: x}}
  - {id: 2, module: "test:action", parameters: {v: "{{1.x}}", e: "{{ifempty(1.x; 'none')}}"}}
"""
    assert play(scenario).of("2") == [{"v": None, "e": "none"}]


def test_a_variable_needs_a_name():
    scenario = "millrace: 1\nflow: [{id: 1, module: 'tools:set-variable', parameters: {value: 1}}]"
    assert play(scenario).error == "BundleValidationError"


COUNTER = """
millrace: 1
settings: {cycles: 2}
flow:
  - {id: it, module: "flow:iterator", parameters: {array: [a, b]}}
  - {id: 1, module: "tools:increment", parameters: {reset: %s}}
  - {id: 2, module: "test:action", parameters: {v: "{{1.i}}"}}
"""


@pytest.mark.parametrize(
    ("reset", "counted"),
    [("run", [1, 2, 1, 2]), ("execution", [1, 2, 3, 4]), ("scenario", [6, 7, 8, 9])],
)
def test_a_counter_begins_anew_when_it_is_told_to(reset, counted):
    played = play(COUNTER % reset, start=Start(at=NOON, counters={"1": 5}))
    assert played.values("2") == counted


def test_a_commit_says_where_the_counters_of_the_scenario_are():
    played = play(COUNTER % "scenario", start=Start(at=NOON, counters={"1": 5}))
    commits = [command for command in played.commands if isinstance(command, Commit)]
    assert [commit.counters for commit in commits] == [{"1": 7}, {"1": 9}]


SLEEP = """
millrace: 1
flow:
  - {id: 1, module: "tools:sleep", parameters: {duration: %s}}
  - {id: 2, module: "test:action", parameters: {v: "{{now}}"}}
"""


def test_sleep_waits_and_goes_on():
    played = play(SLEEP % 60)
    assert [wait.total_seconds() for wait in played.waits] == [59]
    assert (played.values("2")[0] - NOON).total_seconds() == 60
    assert played.operations == 2


@pytest.mark.parametrize("duration", ["301", "-1", "long", "''"])
def test_sleep_says_what_it_cannot_wait(duration):
    assert play(SLEEP % duration).error == "BundleValidationError"


def test_a_variable_may_be_gathered_from():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "tools:set-variable", parameters: {name: x, value: 7}}
  - {id: agg, module: "flow:array-aggregator", parameters: {source: 1, fields: {x: "{{1.x}}"}}}
  - {id: 2, module: "test:action", parameters: {v: "{{agg.array}}"}}
"""
    assert play(scenario).values("2") == [[{"x": 7}]]


def test_names_that_the_driver_gives_can_be_read():
    scenario = """
millrace: 1
flow: [{id: 1, module: "test:action", parameters: {v: "{{scenarioName}} {{executionId}}"}}]
"""
    assert play(scenario, names={"scenarioName": "Shop"}).values("1") == ["Shop x"]
