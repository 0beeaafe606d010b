"""flow:iterator and flow:repeater: many bundles out of one."""

from __future__ import annotations

import pytest

from .playing import play

ITERATOR = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - {id: it, module: "flow:iterator", parameters: {array: "{{1.a}}"}}
  - id: 3
    module: "test:action"
    parameters: {v: "{{it.value}}", k: "{{it.k}}", at: "{{it.__IMTINDEX__}}/{{it.__IMTLENGTH__}}"}
"""


def test_an_iterator_gives_one_bundle_per_item():
    played = play(ITERATOR, {"1": lambda: {"a": ["x", {"k": 1}]}})
    assert played.of("3") == [
        {"v": "x", "k": None, "at": "1/2"},
        {"v": None, "k": 1, "at": "2/2"},
    ]


@pytest.mark.parametrize(
    ("given", "values"),
    [([], []), (None, []), ("", []), ("one", ["one"]), (0, [0]), ({"value": 5}, [5])],
)
def test_what_is_not_an_array(given, values):
    assert play(ITERATOR, {"1": lambda: {"a": given}}).values("3") == values


def test_an_iterator_is_one_operation_per_array():
    played = play(ITERATOR, {"1": lambda: [{"a": [1, 2, 3]}, {"a": []}]})
    assert played.end.by_module == {"1": 1, "it": 2, "3": 3}


def test_iterators_nest():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - {id: a, module: "flow:iterator", parameters: {array: "{{1.a}}"}}
  - {id: b, module: "flow:iterator", parameters: {array: "{{a.b}}"}}
  - {id: 3, module: "test:action", parameters: {v: "{{a.n}}{{b.value}}"}}
"""
    items = [{"n": 1, "b": ["x", "y"]}, {"n": 2, "b": ["z"]}]
    assert play(scenario, {"1": lambda: {"a": items}}).values("3") == ["1x", "1y", "2z"]


REPEATER = """
millrace: 1
flow:
  - {id: 1, module: "flow:repeater", parameters: {%s}}
  - {id: 2, module: "test:action", parameters: {v: "{{1.i}}"}}
"""


@pytest.mark.parametrize(
    ("parameters", "values"),
    [
        ("start: 1, repeats: 3, step: 1", [1, 2, 3]),
        ("start: 5, repeats: 3, step: -2", [5, 3, 1]),
        ("repeats: '2'", [1, 2]),
        ("start: 1, repeats: 0", []),
        ("start: '', repeats: '{{2}}', step: ''", [1, 2]),
    ],
)
def test_a_repeater_counts(parameters, values):
    assert play(REPEATER % parameters).values("2") == values


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("repeats: -1", "repeats: between 0 and 10000000 allowed"),
        ("repeats: 2, step: 0", "step: must not be 0"),
        ("repeats: many", "repeats: a whole number is needed"),
        ("repeats: 1.5", "repeats: a whole number is needed"),
    ],
)
def test_a_repeater_says_what_it_cannot_count(parameters, message):
    played = play(REPEATER % parameters)
    assert played.error == "BundleValidationError"
    assert played.end.failure is not None
    assert played.end.failure.message == f'flow, module 1 "repeater": {message}'


def test_ten_thousand_bundles_let_others_have_their_turn():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "flow:repeater", parameters: {repeats: 10000}}
  - {id: 2, module: "tools:increment", parameters: {reset: run}}
"""
    played = play(scenario)
    assert played.operations == 10_001
    assert max(len(commands) for _, commands in played.history) <= 260


def test_many_bundles_that_are_filtered_away_let_others_have_their_turn():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "flow:repeater", parameters: {repeats: 20000}}
  - {id: 2, module: "test:action", filter: "{{1.i > 19999}}", parameters: {v: "{{1.i}}"}}
"""
    played = play(scenario)
    assert played.values("2") == [20_000]
    assert len(played.history) > 5
