"""flow:for-each: a flow for every item, several at a time, into one bundle."""

from __future__ import annotations

import pytest

from millrace.engine.commands import CallModule
from millrace.errors import DataError, InvalidAccessTokenError

from .playing import NOON, Start, fail, fail_when, play

LOOP = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: loop
    module: flow:for-each
    parameters: {array: "{{1.a}}", concurrency: %s}
    flow:
      - {id: 2, module: "test:action", parameters: {v: "{{loop.value}}"}}
      - {id: 3, module: "test:action", parameters: {v: "{{2.v}}{{1.k}}"}}
  - {id: 9, module: "test:action", parameters: {v: "{{loop.items}}", f: "{{loop.failed}}"}}
"""
ABC = {"1": lambda: {"a": ["a", "b", "c"], "k": "!"}}


@pytest.mark.parametrize("last_first", [False, True])
@pytest.mark.parametrize("concurrency", [1, 2, 3, 50])
def test_results_keep_the_order_of_the_items(concurrency, last_first):
    played = play(LOOP % concurrency, ABC, last_first=last_first)
    assert played.of("9") == [{"v": [{"v": "a!"}, {"v": "b!"}, {"v": "c!"}], "f": []}]


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (2, 2), (3, 3), (50, 3)])
def test_no_more_items_are_under_way_than_allowed(concurrency, most):
    played = play(LOOP % concurrency, ABC)
    at_once = [
        sum(isinstance(command, CallModule) and command.module == "2" for command in commands)
        for _, commands in played.history
    ]
    assert max(at_once) == most


def test_it_counts_itself_once_and_every_module_for_every_item():
    assert play(LOOP % 2, ABC).end.by_module == {"1": 1, "loop": 1, "2": 3, "3": 3, "9": 1}


def test_nothing_to_do_is_an_empty_result():
    played = play(LOOP % 2, {"1": lambda: {"a": []}})
    assert played.of("9") == [{"v": [], "f": []}]


def test_collect_says_what_is_kept_of_an_item():
    scenario = (LOOP % 2).replace("concurrency: 2", 'concurrency: 2, collect: "<{{3.v}}>"')
    assert play(scenario, ABC).values("9") == [["<a!>", "<b!>", "<c!>"]]


def test_an_item_that_is_filtered_away_gives_nothing():
    scenario = (LOOP % 2).replace(
        '{id: 3, module: "test:action",',
        '{id: 3, module: "test:action", filter: "{{2.v != \'b\'}}",',
    )
    assert play(scenario, ABC).values("9") == [[{"v": "a!"}, {"v": "c!"}]]


def test_a_failed_item_is_reported_and_the_others_go_on():
    answers = {**ABC, "2": fail_when(lambda given: given["v"] == "b", error=DataError)}
    played = play(LOOP % 2, answers)
    assert played.status == "success"
    assert played.kept == []
    [given] = played.of("9")
    assert given["v"] == [{"v": "a!"}, {"v": "c!"}]
    assert given["f"] == [
        {"index": 2, "error": {"type": "DataError", "message": 'Test, module 2 "action": no'}}
    ]


def test_an_error_route_inside_handles_an_item():
    scenario = (LOOP % 2).replace(
        'parameters: {v: "{{loop.value}}"}}',
        'parameters: {v: "{{loop.value}}"}, '
        "on_error: [{id: e, module: 'flow:resume', parameters: {v: '?'}}]}",
    )
    answers = {**ABC, "2": fail_when(lambda given: given["v"] == "b")}
    assert play(scenario, answers).values("9") == [[{"v": "a!"}, {"v": "?!"}, {"v": "c!"}]]


def test_an_item_that_is_kept_can_be_resumed_alone():
    scenario = (LOOP % 2).replace(
        'parameters: {v: "{{loop.value}}"}}',
        'parameters: {v: "{{loop.value}}"}, on_error: [{id: e, module: "flow:break"}]}',
    )
    answers = {**ABC, "2": fail_when(lambda given: given["v"] == "b")}
    played = play(scenario, answers)
    assert played.values("9") == [[{"v": "a!"}, {"v": "c!"}]]
    [kept] = played.kept
    resumed = play(scenario, start=Start(at=NOON, resumption=kept.resumption))
    assert resumed.calls == [("2", {"v": "b"}), ("3", {"v": "b!"})]


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("directive", ["commit", "rollback"])
def test_a_directive_that_stops_stops_all_items(directive, concurrency):
    scenario = (LOOP % concurrency).replace(
        'parameters: {v: "{{loop.value}}"}}',
        'parameters: {v: "{{loop.value}}"}, on_error: [{id: e, module: "flow:' + directive + '"}]}',
    )
    played = play(scenario, {**ABC, "2": fail()})
    assert played.log == ["1", "2"]
    assert played.status == ("success" if directive == "commit" else "error")


def test_an_error_that_stops_everything_stops_all_items():
    played = play(LOOP % 1, {**ABC, "2": fail(error=InvalidAccessTokenError)})
    assert played.log == ["1", "2"]
    assert [kept.failure.type for kept in played.kept] == ["InvalidAccessTokenError"]
    assert played.end.switches_off


def test_loops_nest_and_gather_inside():
    scenario = """
millrace: 1
flow:
  - id: a
    module: flow:for-each
    parameters: {array: [[1, 2], [3]], concurrency: 2}
    flow:
      - id: b
        module: flow:for-each
        parameters: {array: "{{a.value}}", concurrency: 2}
        flow: [{id: 2, module: "test:action", parameters: {v: "{{b.value}}"}}]
      - {id: it, module: "flow:iterator", parameters: {array: "{{b.items}}"}}
      - id: agg
        module: flow:array-aggregator
        parameters: {source: it, fields: {v: "{{it.v}}"}}
  - {id: 9, module: "test:action", parameters: {v: "{{a.items}}"}}
"""
    for last_first in (False, True):
        played = play(scenario, last_first=last_first)
        assert played.values("9") == [
            [
                {"array": [{"v": 1}, {"v": 2}], "__IMTAGGLENGTH__": 2},
                {"array": [{"v": 3}], "__IMTAGGLENGTH__": 1},
            ]
        ]


def test_an_aggregator_inside_cannot_gather_from_outside():
    scenario = """
millrace: 1
flow:
  - {id: it, module: "flow:iterator", parameters: {array: [1]}}
  - id: loop
    module: flow:for-each
    parameters: {array: [1, 2]}
    flow: [{id: agg, module: "flow:array-aggregator", parameters: {source: it}}]
  - {id: 9, module: "test:action", parameters: {f: "{{loop.failed}}"}}
"""
    [failed] = play(scenario).values("9", "f")
    assert [each["error"]["type"] for each in failed] == ["InvalidConfigurationError"] * 2


def test_many_items_that_ask_for_nothing():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:action"}
  - id: loop
    module: flow:for-each
    parameters: {array: "{{1.a}}", concurrency: 10}
    flow: [{id: 2, module: "tools:increment"}]
  - {id: 9, module: "test:action", parameters: {v: "{{length(loop.items)}}"}}
"""
    played = play(scenario, {"1": lambda: {"a": list(range(3_000))}})
    assert played.values("9") == [3_000]


def test_a_concurrency_that_is_no_number_fails():
    played = play(LOOP % "many", ABC)
    assert played.error == "BundleValidationError"
