"""Error routes and their directives: each row of the table in ``engine/directives.py``."""

from __future__ import annotations

from datetime import timedelta

import pytest

from millrace.engine.commands import CallModule, RetryPolicy
from millrace.errors import ConnectionFailure, DataError, ModuleError, RateLimitError

from .playing import NOON, Start, fail, fail_times, fail_when, play

CHAIN = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: 2
    module: "test:action"
    parameters: {v: "{{1.n}}"}
    on_error: [%s]
  - {id: 3, module: "test:action", parameters: {v: "{{2.v}}"}}
"""
TWO_FAILS = {
    "1": lambda: [{"n": 1}, {"n": 2}, {"n": 3}],
    "2": fail_when(lambda given: given["v"] == 2, error=DataError),
}


def handled(directive: str, **more):
    return play(CHAIN % directive, {**TWO_FAILS, **more})


def test_ignore_drops_the_bundle_and_the_others_go_on():
    played = handled('{id: e, module: "flow:ignore"}')
    assert played.values("3") == [1, 3]
    assert (played.status, played.commits, played.rollbacks) == ("success", 1, 0)
    assert (played.end.failure, played.end.is_counted) == (None, False)


@pytest.mark.parametrize("route", ["", '{id: e, module: "test:action"}'])
def test_an_error_route_without_a_directive_means_ignore(route):
    played = handled(route)
    assert played.values("3") == [1, 3]
    assert played.status == "success"


def test_an_error_route_whose_modules_are_all_disabled_is_none():
    played = handled('{id: e, module: "flow:ignore", disabled: true}')
    assert [kept.module for kept in played.kept] == ["2"]


def test_resume_goes_on_with_a_substitute():
    played = handled('{id: e, module: "flow:resume", parameters: {v: "not {{1.n}}"}}')
    assert played.values("3") == [1, "not 2", 3]
    assert played.status == "success"


def test_a_substitute_may_have_a_field_of_any_name():
    scenario = CHAIN % '{id: e, module: "flow:resume", parameters: {source: "s", target: "t"}}'
    scenario = scenario.replace('"{{2.v}}"', '"{{2.source}}{{2.target}}"')
    assert play(scenario, TWO_FAILS).values("3") == ["", "st", ""]


def test_commit_keeps_what_was_done_and_ignores_the_rest():
    played = handled('{id: e, module: "flow:commit"}')
    assert played.values("3") == [1]
    assert (played.status, played.commits, played.rollbacks) == ("success", 1, 0)


def test_rollback_undoes_and_ignores_the_rest():
    played = handled('{id: e, module: "flow:rollback"}')
    assert played.values("3") == [1]
    assert (played.status, played.commits, played.rollbacks) == ("error", 0, 1)
    assert played.error == "DataError"


def test_an_explicit_rollback_neither_counts_nor_switches_off():
    played = play(CHAIN % '{id: e, module: "flow:rollback"}', {"1": dict, "2": fail()})
    assert (played.error, played.end.is_counted) == ("RuntimeError", False)
    assert not played.end.switches_off


def test_break_keeps_the_bundle_and_the_others_go_on():
    played = handled('{id: e, module: "flow:break"}')
    assert played.values("3") == [1, 3]
    assert (played.status, played.commits) == ("warning", 1)
    [kept] = played.kept
    assert (kept.module, kept.failure.type, kept.retry) == ("2", "DataError", None)
    assert not played.end.is_counted


def test_break_that_completes_by_itself_is_a_success():
    played = handled(
        '{id: e, module: "flow:break", parameters: {retry: true, count: 5, interval: 2}}'
    )
    assert played.status == "success"
    assert played.kept[0].retry == RetryPolicy(attempts=5, interval_seconds=120)


def test_break_keeps_also_what_failed_at_the_first_module():
    scenario = """
millrace: 1
settings: {keep_incomplete: listed}
flow: [{id: 1, module: "test:action", on_error: [{id: e, module: "flow:break"}]}]
"""
    assert [kept.module for kept in play(scenario, {"1": fail()}).kept] == ["1"]


@pytest.mark.parametrize("parameters", ["count: 0", "count: 10001", "interval: 0", "interval: x"])
def test_break_says_what_it_cannot_do(parameters):
    scenario = '{id: e, module: "flow:break", parameters: {retry: true, %s}}'
    played = handled(scenario % parameters)
    assert [kept.module for kept in played.kept] == ["e"]
    assert played.kept[0].failure.type == "BundleValidationError"


RETRY = '{id: e, module: "flow:retry", parameters: {times: 3, wait: 10, backoff: 3}}'


def test_retry_tries_the_same_again_with_the_same_key():
    played = play(CHAIN % RETRY, {"1": lambda: {"n": 2}, "2": fail_times(2)})
    assert played.log == ["1", "2", "2", "2", "3"]
    assert [wait.total_seconds() for wait in played.waits] == [9, 29]
    assert played.keys[1] == played.keys[2] == played.keys[3] != played.keys[4]
    assert (played.status, played.operations) == ("success", 5)


def test_a_retry_gives_the_module_what_it_was_given_before():
    scenario = (CHAIN % RETRY).replace('v: "{{1.n}}"', 'v: "{{uuid}} {{now}} {{random}}"')
    played = play(scenario, {"1": dict, "2": fail_times(2)})
    assert len(played.values("2")) == 3
    assert len(set(played.values("2"))) == 1


def test_a_retry_says_which_attempt_it_is():
    played = play(CHAIN % RETRY, {"1": dict, "2": fail_times(2)})
    asked = [command for command in played.commands if isinstance(command, CallModule)]
    assert [command.attempt for command in asked if command.module == "2"] == [1, 2, 3]


def test_after_the_last_retry_the_error_has_no_handler():
    played = play(CHAIN % RETRY, {"1": lambda: {"n": 2}, "2": fail()})
    assert played.log == ["1", "2", "2", "2", "2"]
    assert [kept.failure.type for kept in played.kept] == ["RuntimeError"]
    assert played.kept[0].resumption["key"] == played.keys[1]


def test_every_bundle_has_its_own_retries():
    played = play(CHAIN % RETRY, {"1": lambda: [{"n": 1}, {"n": 2}], "2": fail()})
    assert played.values("2") == [1, 1, 1, 1, 2, 2, 2, 2]


def test_another_directive_in_between_does_not_use_up_the_retries_of_the_next_bundle():
    scenario = CHAIN % (
        '{id: r, module: "flow:router", routes: [{filter: "{{2.error.type = \'DataError\'}}", '
        'flow: [{id: i, module: "flow:ignore"}]}, {fallback: true, flow: [' + RETRY + "]}]}"
    )
    errors = iter([ConnectionFailure, ConnectionFailure, DataError, *[ConnectionFailure] * 4])

    def always(**given):
        raise next(errors)("no")

    played = play(scenario, {"1": lambda: [{"n": 1}, {"n": 2}], "2": always})
    assert played.values("2") == [1, 1, 1, 2, 2, 2, 2]


def test_a_retry_waits_at_least_as_long_as_the_service_asks():
    answers = {"1": dict, "2": fail(error=RateLimitError, retry_after=timedelta(hours=2))}
    played = play(CHAIN % RETRY, answers)
    assert {round(wait.total_seconds()) for wait in played.waits} == {7199}


def test_a_thousand_retries_do_not_overflow():
    retry = '{id: e, module: "flow:retry", parameters: {times: 1000, wait: 1, backoff: 100}}'
    played = play(CHAIN % retry, {"1": dict, "2": fail()})
    assert len(played.of("2")) == 1_001
    assert max(played.waits).days == 29


def test_a_module_that_cannot_even_be_asked_is_not_retried_for_ever():
    scenario = (CHAIN % RETRY).replace('"{{1.n}}"', "\"{{parseDate('x'; 'YYYY')}}\"")
    played = play(scenario, {"1": dict})
    assert (len(played.waits), len(played.kept)) == (3, 1)
    assert played.operations == 1


def test_a_trigger_can_be_retried():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger", on_error: [%s]}
  - {id: 2, module: "test:action", parameters: {v: "{{1.n}}"}}
"""
    count = fail_times(2)

    def found():
        count()
        return [{"n": 1}, {"n": 2}]

    assert play(scenario % RETRY, {"1": found}).values("2") == [1, 2]


def test_the_error_can_be_read_in_its_route():
    played = handled(
        '{id: e, module: "test:action", parameters: {v: "{{2.error.type}}: {{2.error.message}} '
        '{{2.error.detail.code}}"}}',
        **{"2": fail("broken", error=DataError, detail={"code": 7})},
    )
    assert played.values("e")[0] == 'DataError: Test, module 2 "action": broken 7'


def test_the_type_switch():
    scenario = CHAIN % (
        '{id: r, module: "flow:router", routes: [{filter: [[{a: "{{2.error.type}}", '
        'o: "text:equal", b: DataError}]], flow: [{id: i, module: "flow:resume", '
        "parameters: {v: data}}]}, {filter: \"{{2.error.type = 'ConnectionError'}}\", "
        'flow: [{id: c, module: "flow:break"}]}]}'
    )
    errors: list[type[ModuleError]] = [DataError, ConnectionFailure, RateLimitError]

    def each(v):
        raise errors[v]("no")

    played = play(scenario, {"1": lambda: [{"n": n} for n in (0, 1, 2)], "2": each})
    assert played.values("3") == ["data"]
    assert [kept.failure.type for kept in played.kept] == ["ConnectionError"]


FILTERED = '{id: e, module: "%s", filter: "{{2.error.type = \'%s\'}}"}'


def test_a_filter_on_an_error_route_that_passes():
    assert handled(FILTERED % ("flow:ignore", "DataError")).kept == []


def test_a_filter_on_an_error_route_that_does_not_pass_means_no_error_route():
    played = handled(FILTERED % ("flow:ignore", "ConnectionError"))
    assert [kept.module for kept in played.kept] == ["2"]
    assert "error" not in played.kept[0].resumption["bundles"].get("2", {})


def test_a_filter_on_an_error_route_that_cannot_be_decided_means_no_error_route():
    played = handled("{id: e, module: \"flow:ignore\", filter: \"{{parseDate('x'; 'Y') > now}}\"}")
    assert [kept.module for kept in played.kept] == ["2"]


def test_a_module_that_fails_in_an_error_route_ends_the_execution_as_make_does():
    scenario = (CHAIN % '{id: e, module: "test:action"}').replace(
        "flow:\n", "settings: {keep_incomplete: listed}\nflow:\n", 1
    )
    played = play(scenario, {**TWO_FAILS, "e": fail(error=DataError)})
    assert (played.status, played.rollbacks) == ("error", 1)


def test_error_routes_nest():
    played = handled(
        '{id: e, module: "test:action", on_error: [{id: f, module: "flow:resume", '
        'parameters: {v: inner}}]}, {id: g, module: "flow:resume", parameters: {v: "{{e.v}}"}}',
        e=fail(),
    )
    assert played.values("3") == [1, "inner", 3]


def test_what_fails_in_an_error_route_is_resumed_in_the_error_route():
    scenario = CHAIN % (
        '{id: e, module: "test:action", parameters: {v: "{{2.error.type}}"}}, '
        '{id: g, module: "flow:resume", parameters: {v: "{{e.v}} {{1.n}}"}}'
    )
    played = play(scenario, {**TWO_FAILS, "e": fail()})
    assert played.values("3") == [1, 3]
    [kept] = played.kept
    assert kept.module == "e"
    resumed = play(scenario, start=Start(at=NOON, resumption=kept.resumption))
    assert resumed.values("3") == ["DataError 2"]


def test_throw_takes_the_place_of_the_error():
    played = handled('{id: e, module: "flow:throw", parameters: {message: worse, type: DataError}}')
    [kept] = played.kept
    assert (kept.module, kept.failure.type) == ("2", "DataError")
    assert kept.failure.message == 'flow, module e "throw": worse'


def test_throw_in_the_flow_is_a_failure_of_its_own():
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "flow:throw", filter: "{{1.n = 2}}", parameters: {type: DataError, message: m}}
  - {id: 3, module: "test:action"}
"""
    played = play(scenario, {"1": lambda: [{"n": 1}, {"n": 2}]})
    assert [kept.failure.type for kept in played.kept] == ["DataError"]
    assert played.operations == 1


def test_an_unknown_type_is_thrown_as_a_runtime_error():
    played = handled('{id: e, module: "flow:throw", parameters: {type: Nonsense}}')
    assert played.kept[0].failure.type == "RuntimeError"


@pytest.mark.parametrize("directive", ["ignore", "resume", "break", "retry"])
def test_a_directive_outside_an_error_route_ends_the_bundle_only(directive):
    scenario = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "test:action", parameters: {v: "{{1.n}}"}}
  - {id: 3, module: "flow:%s"}
"""
    played = play(scenario % directive, {"1": lambda: [{"n": 1}, {"n": 2}]})
    assert (played.values("2"), played.status) == ([1, 2], "success")


def test_directives_are_no_operations():
    assert handled('{id: e, module: "flow:ignore"}').end.by_module == {"1": 1, "2": 3, "3": 2}


ROUTER = """
millrace: 1
flow:
  - {id: 1, module: "test:trigger"}
  - id: r
    module: flow:router
    on_error: [%s]
    routes:
      - flow:
          - {id: it, module: "flow:iterator", parameters: {array: [x, y]}}
          - {id: 2, module: "test:action", parameters: {v: "{{1.n}}{{it.value}}"}}
          - {id: 3, module: "test:action", parameters: {v: "{{2.v}}"}}
      - {flow: [{id: 4, module: "test:action", parameters: {v: "{{1.n}}"}}]}
"""
X_FAILS = {
    "1": lambda: [{"n": 1}, {"n": 2}],
    "2": fail_when(lambda given: given["v"] == "1x"),
}


def test_ignore_on_a_router_skips_its_remaining_routes():
    played = play(ROUTER % '{id: e, module: "flow:ignore"}', X_FAILS)
    assert played.values("3") == ["2x", "2y"]
    assert played.values("4") == [2]


@pytest.mark.parametrize(
    ("directive", "third"),
    [
        ('{id: e, module: "flow:resume", parameters: {v: s}}', ["s", "1y", "2x", "2y"]),
        ('{id: e, module: "flow:break"}', ["1y", "2x", "2y"]),
    ],
)
def test_other_directives_on_a_router_let_its_routes_go_on(directive, third):
    played = play(ROUTER % directive, X_FAILS)
    assert played.values("3") == third
    assert played.values("4") == [1, 2]


def test_retry_on_a_router_tries_the_failed_module_again_in_its_place():
    played = play(
        ROUTER % '{id: e, module: "flow:retry"}', {"1": lambda: {"n": 1}, "2": fail_times(1)}
    )
    assert played.values("3") == ["1x", "1y"]
    assert played.values("4") == [1]


def test_the_error_route_of_the_inner_router_comes_first():
    scenario = """
millrace: 1
flow:
  - id: r
    module: flow:router
    on_error: [{id: outer, module: "test:action"}]
    routes:
      - flow:
          - id: s
            module: flow:router
            on_error: [{id: inner, module: "test:action", filter: "{{2.error.type = 'DataError'}}"}]
            routes: [{flow: [{id: 2, module: "test:action"}]}]
"""
    assert play(scenario, {"2": fail(error=DataError)}).log == ["2", "inner"]
    assert play(scenario, {"2": fail()}).log == ["2", "outer"]


def test_throw_in_an_error_route_reaches_the_router_around_it():
    scenario = """
millrace: 1
flow:
  - id: r
    module: flow:router
    on_error: [{id: outer, module: "test:action", parameters: {v: "{{2.error.message}}"}}]
    routes:
      - flow: [{id: 2, module: "test:action",
                on_error: [{id: t, module: "flow:throw", parameters: {message: worse}}]}]
"""
    assert play(scenario, {"2": fail()}).values("outer") == ['flow, module t "throw": worse']


def test_sibling_routes_still_run_for_a_dropped_bundle():
    scenario = """
millrace: 1
flow:
  - id: r
    module: flow:router
    routes:
      - {flow: [{id: 2, module: "test:action", on_error: []}, {id: 3, module: "test:action"}]}
      - {flow: [{id: 4, module: "test:action"}]}
"""
    assert play(scenario, {"2": fail()}).log == ["2", "4"]


@pytest.mark.parametrize("directive", ["throw", "retry"])
def test_what_a_router_gives_up_is_not_given_to_it_again(directive):
    played = play(ROUTER % ('{id: e, module: "flow:' + directive + '"}'), X_FAILS)
    assert len(played.kept) == 1
    assert played.values("3") == ["1y", "2x", "2y"]
    assert played.values("4") == [1, 2]
