"""Resuming what was kept: from the failed module on, nothing before it again."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from millrace.engine.commands import CallModule
from millrace.errors import DataError

from .playing import NOON, Played, Start, fail, fail_when, play

CHAIN = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "tools:set-variable", parameters: {name: v, value: "{{1.n * 10}}"}}
  - id: r
    module: flow:router
    routes:
      - flow:
          - {id: 3, module: "test:action", parameters: {v: "{{2.v}}"}}
          - {id: 4, module: "tools:get-variable", parameters: {name: v}}
          - {id: 5, module: "test:action", parameters: {v: "{{3.v}}{{4.v}}{{var.input.who}}"}}
      - {flow: [{id: 6, module: "test:action", parameters: {v: "{{1.n}}"}}]}
"""
THREE = {"1": lambda: [{"n": 1}, {"n": 2}, {"n": 3}]}
SECOND_FAILS = {**THREE, "3": fail_when(lambda given: given["v"] == 20, error=DataError)}


def first() -> Played:
    return play(CHAIN, SECOND_FAILS, start=Start(at=NOON, inputs={"who": "Eva"}))


def resumed(played: Played, **more) -> Played:
    resumption = msgspec.json.decode(msgspec.json.encode(played.kept[0].resumption))
    return play(CHAIN, start=Start(at=NOON + timedelta(days=1), resumption={**resumption, **more}))


def test_sibling_routes_and_other_bundles_have_gone_on():
    assert first().values("6") == [1, 2, 3]
    assert first().values("5") == ["1010Eva", "3030Eva"]


def test_only_the_rest_of_its_own_route_is_done():
    again = resumed(first())
    assert again.calls == [("3", {"v": 20}), ("5", {"v": "2020Eva"})]
    assert (again.status, again.operations) == ("success", 3)


def test_it_asks_with_the_key_of_the_first_attempt():
    played = first()
    key = played.kept[0].resumption["key"]
    assert key in played.keys
    assert resumed(played).keys[0] == key


def test_the_key_of_other_modules_is_their_own():
    assert len(set(resumed(first()).keys)) == 2


def test_a_failure_that_repeats_is_kept_with_the_same_key():
    played = first()
    again = play(CHAIN, {"3": fail()}, start=Start(at=NOON, resumption=played.kept[0].resumption))
    assert [kept.resumption["key"] for kept in again.kept] == [played.kept[0].resumption["key"]]


def test_a_person_may_say_what_the_module_gave():
    again = resumed(first(), output=[{"v": "done"}])
    assert again.calls == [("5", {"v": "done20Eva"})]


def test_what_the_person_said_may_be_several_bundles_or_none():
    assert resumed(first(), output=[{"v": "a"}, {"v": "b"}]).values("5") == ["a20Eva", "b20Eva"]
    assert resumed(first(), output=[]).log == []


def test_a_mended_mapping_is_used():
    played = first()
    mended = CHAIN.replace('v: "{{2.v}}"', 'v: "mended"')
    again = play(mended, start=Start(at=NOON, resumption=played.kept[0].resumption))
    assert again.values("3") == ["mended"]


def test_a_module_that_is_gone_is_said_to_be_gone():
    played = first()
    other = CHAIN.replace("id: 3", "id: 33").replace("3.v", "33.v")
    again = play(other, start=Start(at=NOON, resumption=played.kept[0].resumption))
    assert (again.error, again.log) == ("InvalidConfigurationError", [])


def test_a_scenario_of_several_cycles_is_resumed_for_one():
    scenario = "millrace: 1\nsettings: {cycles: 3}\nflow: [{id: 1, module: 'test:action'}]\n"
    [kept] = play(scenario, {"1": fail()}, start=Start(at=NOON, cycles=1)).kept
    again = play(scenario, start=Start(at=NOON, resumption=kept.resumption))
    assert (again.log, again.end.cycles) == (["1"], 1)


def test_a_resumed_trigger_is_asked_again():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger", on_error: [{id: e, module: "flow:break"}]}
  - {id: 2, module: "test:action", parameters: {v: "{{1.n}}"}}
"""
    [kept] = play(scenario, {"1": fail()}).kept
    again = play(scenario, THREE, start=Start(at=NOON, resumption=kept.resumption))
    assert again.values("2") == [1, 2, 3]


def test_a_failed_iterator_is_resumed():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "flow:iterator", parameters: {array: "{{split(parseDate(1.n); ',')}}"}}
  - {id: 3, module: "test:action", parameters: {v: "{{2.value}}"}}
"""
    [kept] = play(scenario, {"1": lambda: {"n": "x"}}).kept
    mended = scenario.replace("parseDate(1.n)", "1.n")
    again = play(mended, start=Start(at=NOON, resumption=kept.resumption))
    assert again.values("3") == ["x"]


def test_what_is_kept_is_plain_data():
    for kept in first().kept:
        plain = msgspec.json.decode(msgspec.json.encode(kept.resumption))
        assert plain == kept.resumption


def test_a_resumption_is_not_the_first_module_so_that_it_is_kept_again_under_makes_rules():
    scenario = """
millrace: 1
settings: {keep_incomplete: listed}
flow: [{id: 1, module: "test:action", on_error: [{id: e, module: "flow:break",
        filter: "{{1.error.message != 'x'}}"}]}]
"""
    [kept] = play(scenario, {"1": fail(error=DataError)}).kept
    plain = scenario.replace(", on_error", ", disabled_on_error").split(", disabled_on_error")[0]
    again = play(
        plain + "}]\n",
        {"1": fail(error=DataError)},
        start=Start(at=NOON, resumption=kept.resumption),
    )
    assert [each.failure.type for each in again.kept] == ["DataError"]


def test_the_first_asking_of_a_resumption_is_a_first_attempt():
    asked = [command for command in resumed(first()).commands if isinstance(command, CallModule)]
    assert [command.attempt for command in asked] == [1, 1]
