"""Aggregators: many bundles into one, per operation of their source."""

from __future__ import annotations

import pytest

from millrace.errors import DataError

from .playing import NOON, Start, aggregate, fail, fail_times, fail_when, play

BOTH = """
millrace: 1
flow:
  - {id: s, module: "test:search"}
  - {id: it, module: "flow:iterator", parameters: {array: "{{s.a}}"}}
  - {id: 3, module: "test:action", parameters: {v: "{{it.value}}"}}
  - id: agg
    module: flow:array-aggregator
    parameters: {source: %s, fields: {v: "{{3.v}}"} %s}
  - {id: 9, module: "test:action", parameters: {v: "{{agg.array}}", n: "{{it.value}}{{3.v}}"}}
"""
SIX = {"s": lambda: [{"a": [1, 2, 3]}, {"a": [4, 5, 6]}]}


def rows(*values):
    return [{"v": value} for value in values]


def test_it_speaks_once_per_operation_of_its_source():
    assert play(BOTH % ("it", ""), SIX).values("9") == [rows(1, 2, 3), rows(4, 5, 6)]
    assert play(BOTH % ("s", ""), SIX).values("9") == [rows(1, 2, 3, 4, 5, 6)]


def test_it_is_one_operation_however_much_it_gathers():
    assert play(BOTH % ("it", ""), SIX).end.by_module["agg"] == 2
    assert play(BOTH % ("s", ""), SIX).end.by_module["agg"] == 1


def test_what_lies_between_source_and_aggregator_cannot_be_read_behind_it():
    assert play(BOTH % ("s", ""), SIX).values("9", "n") == [""]


def test_what_lies_before_the_source_can_be_read_behind_it():
    scenario = BOTH.replace('n: "{{it.value}}{{3.v}}"', 'n: "{{s.k}}"')
    answers = {"s": lambda: [{"k": "A", "a": [1]}, {"k": "B", "a": [2]}]}
    assert play(scenario % ("it", ""), answers).values("9", "n") == ["A", "B"]


def test_it_speaks_of_nothing_unless_told_to_stop():
    nothing = {"s": lambda: [{"a": []}]}
    assert play(BOTH % ("it", ""), nothing).values("9") == [[]]
    stopped = play(BOTH % ("it", ", stop_if_empty: true"), nothing)
    assert stopped.log == ["s"]
    assert stopped.status == "success"


def test_it_speaks_of_nothing_when_every_bundle_was_filtered_away():
    scenario = BOTH.replace(
        '{id: 3, module: "test:action",', '{id: 3, module: "test:action", filter: "{{false}}",'
    )
    assert play(scenario % ("s", ""), SIX).values("9") == [[]]


def test_it_speaks_of_nothing_when_the_source_gave_nothing():
    assert play(BOTH % ("s", ""), {"s": list}).values("9") == [[]]


GROUPED = BOTH.replace('n: "{{it.value}}{{3.v}}"', 'n: "{{agg.key}}"')


def test_groups_come_in_the_order_of_their_first_bundle():
    played = play(GROUPED % ("s", ", group_by: '{{3.v % 2}}'"), SIX)
    assert played.values("9", "n") == ["1", "0"]
    assert played.values("9") == [rows(1, 3, 5), rows(2, 4, 6)]
    assert played.end.by_module["agg"] == 1


def test_keys_are_compared_as_text():
    answers = {"s": lambda: {"a": [1, "1", 1.0, "x"]}}
    played = play(GROUPED % ("it", ", group_by: '{{it.value}}'"), answers)
    assert played.values("9", "n") == ["1", "x"]


def test_no_bundles_are_no_groups():
    assert play(GROUPED % ("it", ", group_by: '{{3.v}}'"), {"s": lambda: {"a": []}}).log == ["s"]


def test_a_dropped_bundle_is_left_out():
    scenario = BOTH.replace(
        'parameters: {v: "{{it.value}}"}}', 'parameters: {v: "{{it.value}}"}, on_error: []}'
    )
    answers = {**SIX, "3": fail_when(lambda given: given["v"] == 2)}
    assert play(scenario % ("it", ""), answers).values("9") == [rows(1, 3), rows(4, 5, 6)]


def test_an_aggregator_may_gather_what_another_says():
    scenario = BOTH.replace(
        BOTH.splitlines()[-1].strip(" -"),
        '{id: agg2, module: "flow:array-aggregator", parameters: {source: %s, '
        'fields: {v: "{{agg.array}}"}}}\n'
        '  - {id: 9, module: "test:action", parameters: {v: "{{agg2.array}}"}}',
    )
    answers = {**SIX, "agg2": aggregate}
    outer = play(scenario % ("it", "", "s"), answers)
    assert outer.values("9") == [rows(rows(1, 2, 3), rows(4, 5, 6))]
    of_the_first = play(scenario % ("it", "", "agg"), answers)
    assert of_the_first.values("9") == [rows(rows(1, 2, 3)), rows(rows(4, 5, 6))]
    of_the_same = play(scenario % ("s", "", "s"), answers)
    assert of_the_same.values("9") == [rows(rows(1, 2, 3, 4, 5, 6))]


def test_several_aggregators_of_one_source_in_several_routes():
    scenario = """
millrace: 1
flow:
  - {id: it, module: "flow:iterator", parameters: {array: [1, 2, 3]}}
  - id: r
    module: flow:router
    routes:
      - filter: "{{it.value > 1}}"
        flow:
          - {id: agg, module: "flow:array-aggregator",
             parameters: {source: it, fields: {v: "{{it.value}}"}}}
          - {id: 8, module: "test:action", parameters: {v: "{{agg.array}}"}}
      - flow:
          - {id: agg2, module: "flow:array-aggregator",
             parameters: {source: it, fields: {v: "{{it.value}}"}}}
          - {id: 9, module: "test:action", parameters: {v: "{{agg2.array}}"}}
"""
    played = play(scenario, {"agg2": aggregate})
    assert played.log == ["agg", "8", "agg2", "9"]
    assert played.values("8") == [rows(2, 3)]
    assert played.values("9") == [rows(1, 2, 3)]


def test_an_aggregator_in_an_error_route_speaks_only_when_there_were_errors():
    scenario = """
millrace: 1
flow:
  - {id: it, module: "flow:iterator", parameters: {array: [1, 2, 3]}}
  - id: 3
    module: "test:action"
    parameters: {v: "{{it.value}}"}
    on_error:
      - {id: agg, module: "flow:array-aggregator",
         parameters: {source: it, fields: {m: "{{3.error.type}}"}}}
      - {id: mail, module: "test:action", parameters: {v: "{{agg.array}}"}}
"""
    assert play(scenario).log == ["3", "3", "3"]
    played = play(scenario, {"3": fail_when(lambda given: given["v"] > 1, error=DataError)})
    assert played.values("mail") == [[{"m": "DataError"}, {"m": "DataError"}]]
    assert played.status == "success"


WRONG = """
millrace: 1
flow:
  - {id: 1, module: "test:action"}
  - id: r
    module: flow:router
    routes:
      - {flow: [{id: a, module: "test:action"}]}
      - {flow: [{id: agg, module: "flow:array-aggregator", parameters: {source: %s}},
                {id: z, module: "test:action"}]}
"""


@pytest.mark.parametrize("source", ["a", "z", "nobody", "agg", "''"])
def test_a_source_whose_bundles_cannot_reach_it_is_said_to_be_wrong(source):
    played = play(WRONG % source)
    assert played.error == "InvalidConfigurationError"
    assert "its source must be an earlier module" in played.end.failure.message  # type: ignore[union-attr]


def test_a_group_that_fails_is_kept_with_its_key_and_can_be_resumed():
    scenario = GROUPED % ("s", ", group_by: '{{3.v % 2}}'")

    def odd_fails(gathered):
        if gathered[0]["fields"]["v"] == 1:
            raise DataError("odd")
        return aggregate(gathered)

    played = play(scenario, {**SIX, "agg": odd_fails})
    assert played.values("9", "n") == ["0"]
    [kept] = played.kept
    resumed = play(scenario, start=Start(at=NOON, resumption=kept.resumption))
    assert resumed.calls == [
        ("agg", {"gathered": [{"fields": {"v": value}} for value in (1, 3, 5)]}),
        ("9", {"v": rows(1, 3, 5), "n": "1"}),
    ]
    assert resumed.keys[0] == kept.resumption["key"]


def test_a_bundle_that_could_not_be_gathered_is_resumed_into_an_aggregation_of_its_own():
    scenario = GROUPED.replace('{v: "{{3.v}}"}', '{v: "{{formatDate(3.v; 1)}}"}')
    scenario = scenario % ("it", ", group_by: 'k{{it.value}}'")
    answers = {"s": lambda: {"a": ["2020-01-01", "never"]}}
    played = play(scenario, answers)
    assert played.values("9", "n") == ["k2020-01-01"]
    [kept] = played.kept
    kept.resumption["bundles"]["3"] = {"v": "2020-01-02"}
    resumed = play(scenario, start=Start(at=NOON, resumption=kept.resumption))
    assert resumed.log == ["agg", "9"]
    assert resumed.values("9", "n") == ["knever"]


def test_an_aggregator_behind_a_resumed_module_speaks_with_that_one_bundle():
    scenario = GROUPED % ("it", ", group_by: 'k{{it.value}}'")
    played = play(scenario, {**SIX, "3": fail_when(lambda given: given["v"] == 2)})
    [kept] = played.kept
    resumed = play(scenario, start=Start(at=NOON, resumption=kept.resumption))
    assert resumed.log == ["3", "agg", "9"]
    assert resumed.of("9") == [{"v": rows(2), "n": "k2"}]


def test_a_substitute_for_one_group_takes_its_place_among_the_others():
    scenario = GROUPED % ("s", ", group_by: '{{3.v % 2}}'")
    scenario = scenario.replace(
        "  - {id: 9",
        "    on_error: [{id: e, module: 'flow:resume', parameters: {array: none}}]\n  - {id: 9",
    )
    played = play(scenario, {**SIX, "agg": fail()})
    assert played.of("9") == [{"v": "none", "n": "1"}, {"v": "none", "n": "0"}]


def test_an_aggregator_can_be_retried_with_the_same_bundles_and_key():
    scenario = GROUPED % ("s", ", group_by: '{{3.v % 2}}'")
    scenario = scenario.replace(
        "  - {id: 9", "    on_error: [{id: e, module: 'flow:retry'}]\n  - {id: 9"
    )
    tries = fail_times(1)

    def once(gathered):
        tries()
        return aggregate(gathered)

    played = play(scenario, {**SIX, "agg": once})
    assert played.values("9") == [rows(1, 3, 5), rows(2, 4, 6)]
    asked = [key for key, module in zip(played.keys, played.log, strict=True) if module == "agg"]
    assert asked[0] == asked[1] != asked[2]


def test_the_source_may_be_an_any_of():
    scenario = """
millrace: 1
flow:
  - {id: any, module: "flow:any-of", triggers: [{id: 1, module: "test:trigger"}]}
  - {id: agg, module: "flow:array-aggregator", parameters: {source: any, fields: {n: "{{1.n}}"}}}
  - {id: 9, module: "test:action", parameters: {v: "{{agg.array}}"}}
"""
    assert play(scenario, {"1": lambda: [{"n": 1}, {"n": 2}]}).values("9") == [[{"n": 1}, {"n": 2}]]
