"""How bundles travel: depth first, one at a time, in order."""

from __future__ import annotations

from .playing import NOON, Start, pages, play

CHAIN = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "test:search", parameters: {n: "{{1.n}}"}}
  - {id: 3, module: "test:action", parameters: {v: "{{1.n}}{{2.x}}"}}
  - {id: 4, module: "test:action", parameters: {v: "{{3.v}}"}}
"""


def test_each_bundle_travels_to_the_end_before_the_next_starts():
    answers = {"1": lambda: [{"n": 1}, {"n": 2}], "2": lambda n: [{"x": "a"}, {"x": "b"}]}
    played = play(CHAIN, answers)
    assert played.log == ["1", "2", "3", "4", "3", "4", "2", "3", "4", "3", "4"]
    assert played.values("4") == ["1a", "1b", "2a", "2b"]


def test_no_bundle_ends_the_way_and_is_a_success():
    played = play(CHAIN, {"1": lambda: [{"n": 1}, {"n": 2}], "2": lambda n: []})
    assert played.log == ["1", "2", "2"]
    assert played.status == "success"


def test_a_trigger_that_finds_nothing_ends_the_execution():
    played = play(CHAIN, {"1": list})
    assert (played.log, played.status, played.operations) == (["1"], "success", 1)


def test_several_bundles_know_their_place_and_number():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:search"}
  - {id: 2, module: "test:action", parameters: {v: "{{1.__IMTINDEX__}}/{{1.__IMTLENGTH__}}"}}
"""
    assert play(scenario, {"1": lambda: [{"a": 1}, {"a": 2}]}).values("2") == ["1/2", "2/2"]


def test_what_an_instant_trigger_received_is_one_operation_of_it():
    start = Start(at=NOON, bundles=[{"n": 1}, {"n": 2}])
    played = play(CHAIN, {"2": lambda n: [{"x": n}]}, start=start)
    assert played.values("3") == ["11", "22"]
    assert played.operations == 1 + 2 + 2 + 2
    assert played.notes[0].module == "1"
    assert played.notes[0].output == [{"n": 1}, {"n": 2}]


def test_a_disabled_module_is_passed_over():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "test:action", disabled: true}
  - {id: 3, module: "test:action", parameters: {v: "{{1.n}}"}}
"""
    assert play(scenario, {"1": lambda: {"n": 7}}).calls == [("1", {}), ("3", {"v": 7})]


def test_an_empty_scenario_is_a_success():
    played = play("millrace: 1\nflow: []\n")
    assert (played.status, played.operations, played.commits) == ("success", 0, 1)


STREAM = """
millrace: 1
flow:
  - {id: 1, module: "test:search"}
  - {id: 2, module: "test:action", parameters: {v: "{{1.n}}", at: "{{1.__IMTINDEX__}}"}}
  - {id: agg, module: "flow:array-aggregator", parameters: {source: 1, fields: {n: "{{2.v}}"}}}
  - {id: 9, module: "test:action", parameters: {v: "{{agg.array}}"}}
"""


def test_a_stream_is_one_operation_whose_bundles_come_page_by_page():
    stream = pages([{"n": 1}, {"n": 2}], [{"n": 3}], [{"n": 4}])
    played = play(STREAM, by_command={"1": stream})
    assert played.log == ["1", "2", "2", "1", "2", "1", "2", "agg", "9"]
    assert played.values("2", "at") == [1, 2, 3, 4]
    assert played.values("9") == [[{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]]
    assert played.end.by_module["1"] == 1


def test_a_stream_may_end_with_an_empty_page():
    played = play(STREAM, by_command={"1": pages([{"n": 1}], [])})
    assert played.values("9") == [[{"n": 1}]]


def test_the_pages_of_a_stream_are_asked_for_with_one_key():
    played = play(STREAM, by_command={"1": pages([{"n": 1}], [{"n": 2}])})
    keys = [key for key, module in zip(played.keys, played.log, strict=True) if module == "1"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_stream_may_begin_with_an_empty_page():
    scenario = STREAM.replace("test:search", "test:trigger")
    turns = iter([([], True), ([{"n": 1}], False)])
    assert play(scenario, by_command={"1": lambda command: next(turns)}).values("9") == [[{"n": 1}]]
