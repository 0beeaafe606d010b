"""The filter on the link into a module."""

from __future__ import annotations

import random

from .playing import NOON, Start, play

FILTERED = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "test:action", filter: "{{1.n > 1}}", parameters: {v: "{{1.n}}"}}
  - {id: 3, module: "test:action"}
"""


def test_a_bundle_that_does_not_pass_ends_there_and_nothing_is_counted():
    played = play(FILTERED, {"1": lambda: [{"n": 1}, {"n": 2}]})
    assert played.log == ["1", "2", "3"]
    assert played.operations == 3
    assert played.status == "success"
    assert played.end.links == {"2": [1, 1]}


def test_outer_list_is_or_and_inner_list_is_and():
    scenario = FILTERED.replace(
        'filter: "{{1.n > 1}}"',
        "filter: [[{a: '{{1.n}}', o: 'number:greater', b: 1}, {a: '{{1.n}}', o: 'number:less', "
        "b: 4}], [{a: '{{1.n}}', o: 'number:equal', b: 9}]]",
    )
    played = play(scenario, {"1": lambda: [{"n": n} for n in (1, 2, 3, 4, 9)]})
    assert played.values("2") == [2, 3, 9]


def test_a_filter_without_conditions_passes():
    scenario = FILTERED.replace('filter: "{{1.n > 1}}"', "filter: {name: all, conditions: []}")
    assert play(scenario, {"1": lambda: {"n": 0}}).log == ["1", "2", "3"]


BROKEN = FILTERED.replace("{{1.n > 1}}", "{{parseDate(1.n; 'YYYY') > now}}")


def test_a_filter_that_cannot_be_decided_is_a_failure_of_the_module_behind_it():
    played = play(BROKEN, {"1": lambda: {"n": "x"}})
    assert played.log == ["1"]
    assert [kept.module for kept in played.kept] == ["2"]
    assert played.end.failure is not None
    assert played.end.failure.message.startswith('Test, module 2 "action": ')
    assert played.operations == 1


def test_a_failed_filter_is_asked_again_when_the_bundle_is_resumed():
    resumption = play(BROKEN, {"1": lambda: {"n": "x"}}).kept[0].resumption
    resumption["bundles"]["1"] = {"n": "2000"}
    assert play(BROKEN, start=Start(at=NOON, resumption=resumption)).log == []
    resumption["bundles"]["1"] = {"n": "3000"}
    assert play(BROKEN, start=Start(at=NOON, resumption=resumption)).log == ["2", "3"]


def test_the_filter_of_a_route_is_asked_again_when_the_bundle_is_resumed():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: 2
    module: flow:router
    routes:
      - {filter: "{{parseDate(1.n; 'YYYY') > now}}", flow: [{id: 3, module: "test:action"}]}
      - {flow: [{id: 4, module: "test:action"}]}
"""
    resumption = play(scenario, {"1": lambda: {"n": "x"}}).kept[0].resumption
    resumption["bundles"]["1"] = {"n": "2000"}
    assert play(scenario, start=Start(at=NOON, resumption=resumption)).log == []
    resumption["bundles"]["1"] = {"n": "3000"}
    assert play(scenario, start=Start(at=NOON, resumption=resumption)).log == ["3"]


def test_chance_is_drawn_anew_for_every_bundle_that_meets_a_filter():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:search"}
  - {id: 2, module: "test:action", filter: "{{random < 0.5}}"}
"""
    passed = [
        len(play(scenario, {"1": lambda: [{}] * 100}, execution_id=str(n)).of("2"))
        for n in range(5)
    ]
    assert all(20 < count < 80 for count in passed), passed
    assert len(set(passed)) > 1


def test_the_same_execution_draws_the_same_chance_again():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:action", parameters: {v: "{{random}}", u: "{{uuid}}", t: "{{now}}"}}
"""
    name = str(random.random())
    assert play(scenario, execution_id=name).calls == play(scenario, execution_id=name).calls
