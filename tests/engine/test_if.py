"""flow:if: the first branch that holds, and the merge behind it."""

from __future__ import annotations

import pytest

from .playing import NOON, Start, play

CHOICE = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: 2
    module: flow:if
    branches:
      - {filter: "{{1.n > 2}}", flow: [{id: big, module: "test:action", parameters: {v: "B"}}]}
      - {filter: "{{1.n > 1}}", flow: [{id: mid, module: "test:action", parameters: {v: "M"}}]}
    else:
      - {id: low, module: "test:action", parameters: {v: "L"}}
    merge: {size: ["{{big.v}}", "{{mid.v}}", "{{low.v}}"]}
  - {id: 9, module: "test:action", parameters: {v: "{{1.n}}{{2.size}}"}}
"""


@pytest.mark.parametrize(("n", "taken"), [(3, "big"), (2, "mid"), (1, "low")])
def test_only_the_first_true_branch_is_taken(n, taken):
    assert play(CHOICE, {"1": lambda: {"n": n}}).log == ["1", taken, "9"]


def test_the_merge_hands_on_what_the_branch_gave():
    played = play(CHOICE, {"1": lambda: [{"n": 3}, {"n": 1}, {"n": 2}]})
    assert played.values("9") == ["3B", "1L", "2M"]


def test_an_if_and_its_merge_are_an_operation_each():
    played = play(CHOICE, {"1": lambda: {"n": 1}})
    assert played.end.by_module == {"1": 1, "2": 2, "low": 1, "9": 1}


def test_without_an_else_a_bundle_that_holds_nowhere_ends():
    scenario = CHOICE[: CHOICE.index("    else:")]
    played = play(scenario, {"1": lambda: {"n": 0}})
    assert played.log == ["1"]
    assert played.operations == 2


def test_a_merge_that_fails_is_resumed_at_the_merge_and_not_at_the_beginning():
    scenario = CHOICE.replace('"{{low.v}}"', "\"{{parseDate(1.n; 'YYYY')}}\"")
    played = play(scenario, {"1": lambda: {"n": "x"}})
    assert played.log == ["1", "low"]
    [kept] = played.kept
    assert kept.resumption["node"] == "2/2"
    kept.resumption["bundles"]["1"] = {"n": "2000"}
    resumed = play(scenario, start=Start(at=NOON, resumption=kept.resumption))
    assert resumed.log == ["9"]


def test_an_aggregator_may_gather_from_an_if():
    scenario = CHOICE.replace(
        '  - {id: 9, module: "test:action", parameters: {v: "{{1.n}}{{2.size}}"}}',
        '  - {id: agg, module: "flow:array-aggregator", parameters: {source: 2, '
        'fields: {s: "{{2.size}}"}}}\n'
        '  - {id: 9, module: "test:action", parameters: {v: "{{agg.array}}"}}',
    )
    played = play(scenario, {"1": lambda: [{"n": 3}, {"n": 1}]})
    assert played.values("9") == [[{"s": "B"}], [{"s": "L"}]]
