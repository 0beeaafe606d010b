"""flow:router: every route that a bundle passes, in order; the fallback for the rest."""

from __future__ import annotations

import pytest

from .playing import play

TWO = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: 2
    module: flow:router
    routes:
      - {name: a, flow: [{id: 3, module: "test:action", parameters: {v: "{{1.n}}a"}}]}
      - {name: b, flow: [{id: 4, module: "test:action", parameters: {v: "{{1.n}}b"}}]}
"""


def test_a_bundle_visits_every_route_before_the_next_bundle():
    played = play(TWO, {"1": lambda: [{"n": 1}, {"n": 2}]})
    assert [parameters["v"] for _, parameters in played.calls[1:]] == ["1a", "1b", "2a", "2b"]


def test_a_router_is_no_operation():
    assert play(TWO, {"1": lambda: [{"n": 1}, {"n": 2}]}).operations == 5


FALLBACK = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: 2
    module: flow:router
    routes:
      - {name: rest, fallback: true, flow: [{id: rest, module: "test:action"}]}
      - {filter: "{{1.n > 1}}", flow: [{id: big, module: "test:action"}]}
      - {filter: "{{1.n > 2}}", flow: [{id: bigger, module: "test:action"}]}
"""


@pytest.mark.parametrize(("n", "visited"), [(1, ["rest"]), (2, ["big"]), (3, ["big", "bigger"])])
def test_the_fallback_is_for_bundles_that_passed_no_other_route(n, visited):
    assert play(FALLBACK, {"1": lambda: {"n": n}}).log == ["1", *visited]


def test_a_route_without_a_filter_always_matches_so_the_fallback_never_runs():
    scenario = FALLBACK.replace('{filter: "{{1.n > 1}}", flow', "{flow")
    assert play(scenario, {"1": lambda: {"n": 0}}).log == ["1", "big"]


def test_the_filter_of_a_fallback_is_not_asked():
    scenario = FALLBACK.replace("fallback: true,", 'fallback: true, filter: "{{false}}",')
    assert play(scenario, {"1": lambda: {"n": 0}}).log == ["1", "rest"]


def test_a_disabled_route_is_not_taken_and_does_not_count_as_passed():
    scenario = FALLBACK.replace('{filter: "{{1.n > 1}}",', '{disabled: true, filter: "{{true}}",')
    assert play(scenario, {"1": lambda: {"n": 2}}).log == ["1", "rest"]


def test_a_disabled_fallback_is_not_taken():
    scenario = FALLBACK.replace("fallback: true,", "fallback: true, disabled: true,")
    assert play(scenario, {"1": lambda: {"n": 0}}).log == ["1"]


def test_the_bundles_of_one_route_cannot_be_read_in_another():
    scenario = """
millrace: 1
flow:
  - id: 2
    module: flow:router
    routes:
      - {flow: [{id: 3, module: "test:action", parameters: {v: 1}}]}
      - {flow: [{id: 4, module: "test:action", parameters: {v: "{{3.v}}"}}]}
"""
    assert play(scenario).values("4") == [None]


def test_routers_nest():
    scenario = """
millrace: 1
flow:
  - id: r
    module: flow:router
    routes:
      - flow:
          - {id: 1, module: "test:action"}
          - id: s
            module: flow:router
            routes: [{flow: [{id: 2, module: "test:action"}]},
                     {flow: [{id: 3, module: "test:action"}]}]
      - {flow: [{id: 4, module: "test:action"}]}
"""
    assert play(scenario).log == ["1", "2", "3", "4"]


MERGED = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: 2
    module: flow:router
    routes:
      - {filter: "{{1.n > 1}}", flow: [{id: 3, module: "test:action", parameters: {v: "{{1.n}}"}}]}
      - {flow: []}
      - {flow: [{id: 4, module: "test:action"}]}
    merge: {which: ["a{{3.v}}", "b", null], where: ["x", "y", null]}
  - {id: 5, module: "test:action", parameters: {v: "{{2.which}}{{2.where}}", one: "{{1.n}}"}}
"""


def test_what_follows_a_merge_runs_for_each_bundle_that_reaches_the_end_of_a_route():
    played = play(MERGED, {"1": lambda: [{"n": 1}, {"n": 2}]})
    assert played.values("5") == ["by", "a2x", "by"]
    assert played.values("5", "one") == [1, 2, 2]


def test_a_route_for_which_the_merge_says_nothing_ends_there():
    assert play(MERGED, {"1": lambda: {"n": 1}}).log == ["1", "5", "4"]


def test_the_merge_of_a_router_is_no_operation():
    assert play(MERGED, {"1": lambda: {"n": 1}}).operations == 3


def test_without_a_merge_nothing_follows_a_router():
    scenario = TWO + '  - {id: 9, module: "test:action"}\n'
    assert play(scenario, {"1": lambda: {"n": 1}}).log == ["1", "3", "4"]


def test_an_aggregator_gathers_what_a_router_hands_on():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: 2
    module: flow:router
    routes: [{flow: []}, {filter: "{{1.n > 1}}", flow: []}]
    merge: {v: ["a", "b"]}
  - {id: agg, module: "flow:array-aggregator", parameters: {source: 2, fields: {v: "{{2.v}}"}}}
  - {id: 9, module: "test:action", parameters: {v: "{{agg.array}}"}}
"""
    played = play(scenario, {"1": lambda: [{"n": 1}, {"n": 2}]})
    assert played.values("9") == [[{"v": "a"}], [{"v": "a"}, {"v": "b"}]]


def test_the_bundles_of_every_way_are_counted():
    played = play(FALLBACK, {"1": lambda: [{"n": 1}, {"n": 2}, {"n": 3}]})
    assert played.end.links == {"2/1": [2, 1], "2/2": [1, 2]}


def test_a_route_whose_filter_cannot_be_decided_fails_alone():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: 2
    module: flow:router
    routes:
      - {filter: "{{parseDate('x'; 'YYYY') > now}}", flow: [{id: a, module: "test:action"}]}
      - {filter: "{{1.n = 1}}", flow: [{id: b, module: "test:action"}]}
      - {fallback: true, flow: [{id: c, module: "test:action"}]}
"""
    played = play(scenario, {"1": lambda: [{"n": 1}, {"n": 2}]})
    assert played.log == ["1", "b"]
    assert [kept.module for kept in played.kept] == ["a", "a"]
    assert played.status == "warning"
