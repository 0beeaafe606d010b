"""What an error does where no error route handles it: table 4.1 of the specification."""

from __future__ import annotations

import pytest

from millrace.engine.defaults import TABLE
from millrace.errors import ModuleError

from .playing import NOON, Start, fail, play

CHAIN = """
millrace: 1
settings: {keep_incomplete: %s}
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "test:action", parameters: {v: "{{1.n}}"}}
  - {id: 3, module: "test:action", parameters: {v: "{{2.v}}"}}
"""

ONE = """
millrace: 1
settings: {keep_incomplete: %s}
flow: [{id: 1, module: "test:%s"}]
"""


def error_of(name: str) -> type[ModuleError]:
    class Made(ModuleError):
        type = name

    return Made


def broken(mode: str, kind: str, **options):
    def second(v):
        if v == 2:
            raise error_of(kind)("no")
        return {"v": v}

    answers = {"1": lambda: [{"n": 1}, {"n": 2}, {"n": 3}], "2": second}
    return play(CHAIN % mode, answers, **options)


KEPT_BY_MAKE = {
    "ConnectionError": True,
    "RateLimitError": True,
    "ModuleTimeoutError": True,
    "OutOfSpaceError": True,
    "DataError": False,
    "BundleValidationError": False,
    "DuplicateDataError": False,
    "InvalidConfigurationError": False,
    "MaxResultsExceededError": False,
    "MaxFileSizeExceededError": False,
    "UnexpectedError": False,
}
"""Stored when incomplete executions are allowed → whether they are retried by themselves."""

SWITCHING_OFF = {
    "InvalidConfigurationError",
    "InvalidAccessTokenError",
    "AccountValidationError",
    "MaxResultsExceededError",
    "MaxFileSizeExceededError",
    "UnexpectedError",
}

UNCOUNTED = {
    "ConnectionError",
    "ModuleTimeoutError",
    "DataError",
    "BundleValidationError",
    "DuplicateDataError",
    "ExecutionInterruptedError",
}


@pytest.mark.parametrize("mode", ["listed", "all"])
@pytest.mark.parametrize(("kind", "is_retried"), KEPT_BY_MAKE.items())
def test_what_make_keeps_is_kept_and_the_others_go_on(kind, is_retried, mode):
    played = broken(mode, kind)
    assert played.values("3") == [1, 3]
    [kept] = played.kept
    assert (kept.failure.type, kept.retry is not None) == (kind, is_retried)
    assert (played.status, played.commits, played.rollbacks) == ("warning", 1, 0)
    assert played.end.switches_off == (kind in SWITCHING_OFF)


@pytest.mark.parametrize("kind", ["RuntimeError", "UnknownError", "SomethingNobodyKnows"])
def test_what_make_does_not_keep_ends_the_execution(kind):
    played = broken("listed", kind)
    assert (played.values("3"), played.kept) == ([1], [])
    assert (played.status, played.rollbacks, played.commits) == ("error", 1, 0)
    assert played.end.is_counted


@pytest.mark.parametrize("kind", ["RuntimeError", "UnknownError", "SomethingNobodyKnows"])
def test_here_every_failed_bundle_is_kept(kind):
    played = broken("all", kind)
    assert played.values("3") == [1, 3]
    assert [kept.failure.type for kept in played.kept] == [kind]


@pytest.mark.parametrize("kind", sorted(TABLE.keys() - {"OutcomeUnknownError"}))
def test_with_nothing_kept_every_error_rolls_back(kind):
    played = broken("none", kind)
    assert (played.values("3"), played.kept, played.rollbacks) == ([1], [], 1)
    warned = kind == "ExecutionInterruptedError"
    assert played.status == ("warning" if warned else "error")
    assert played.error == kind
    assert played.end.is_counted == (kind not in UNCOUNTED)
    assert played.end.switches_off == (kind in SWITCHING_OFF)


@pytest.mark.parametrize("mode", ["none", "listed", "all"])
def test_an_outcome_that_nobody_knows_is_always_kept_for_a_person(mode):
    played = broken(mode, "OutcomeUnknownError")
    assert [kept.failure.type for kept in played.kept] == ["OutcomeUnknownError"]
    assert played.kept[0].retry is None
    assert played.values("3") == [1, 3]


def test_an_unknown_outcome_is_not_given_to_an_error_route():
    scenario = (CHAIN % "all").replace(
        'parameters: {v: "{{1.n}}"}}',
        'parameters: {v: "{{1.n}}"}, on_error: [{id: e, module: "flow:retry"}]}',
    )
    played = play(scenario, {"1": dict, "2": fail(error=error_of("OutcomeUnknownError"))})
    assert (played.log, len(played.kept)) == (["1", "2"], 1)


def test_a_revoked_token_is_kept_and_nothing_more_is_done():
    played = broken("listed", "InvalidAccessTokenError")
    assert played.values("3") == [1]
    assert [kept.failure.type for kept in played.kept] == ["InvalidAccessTokenError"]
    assert (played.commits, played.end.switches_off) == (1, True)


@pytest.mark.parametrize(
    "kind", ["AccountValidationError", "InconsistencyError", "OperationsLimitExceededError"]
)
def test_what_cannot_be_resumed_is_never_kept(kind):
    played = broken("all", kind)
    assert (played.kept, played.status, played.rollbacks) == ([], "error", 1)


@pytest.mark.parametrize("mode", ["none", "listed"])
@pytest.mark.parametrize("first", ["trigger", "action"])
@pytest.mark.parametrize("kind", ["ConnectionError", "RateLimitError", "ModuleTimeoutError"])
def test_at_the_first_module_a_service_that_is_down_is_a_warning(kind, first, mode):
    played = play(ONE % (mode, first), {"1": fail(error=error_of(kind))})
    assert (played.status, played.kept, played.rollbacks) == ("warning", [], 1)
    assert not played.end.is_counted


@pytest.mark.parametrize("kind", ["DataError", "OutOfSpaceError", "RuntimeError"])
def test_at_the_first_module_other_errors_are_errors(kind):
    played = play(ONE % ("listed", "action"), {"1": fail(error=error_of(kind))})
    assert (played.status, played.kept, played.rollbacks) == ("error", [], 1)


def test_here_a_first_action_that_fails_is_kept_too():
    assert len(play(ONE % ("all", "action"), {"1": fail()}).kept) == 1


def test_a_trigger_that_fails_has_nothing_to_keep():
    played = play(ONE % ("all", "trigger"), {"1": fail()})
    assert (played.status, played.kept) == ("error", [])


def test_under_makes_rules_a_warning_does_not_count():
    assert not broken("listed", "OutOfSpaceError").end.is_counted


def test_here_a_kept_failure_counts_towards_the_pause():
    assert broken("all", "RuntimeError").end.is_counted
    assert not broken("all", "DataError").end.is_counted


def test_without_room_the_scenario_is_switched_off():
    played = broken("all", "DataError", is_kept=False)
    assert (played.status, played.error) == ("error", "OutOfSpaceError")
    assert (played.values("3"), played.end.switches_off) == ([1], True)


def test_without_room_the_bundle_is_dropped_when_the_scenario_says_so():
    scenario = (CHAIN % "all").replace("all}", "all, drop_when_full: true}")
    played = play(scenario, {"1": lambda: [{}, {}], "2": fail()}, is_kept=False)
    assert (len(played.of("2")), played.status) == (2, "warning")
    assert not played.end.switches_off


def test_the_message_says_where_it_happened():
    played = broken("all", "DataError")
    assert played.end.failure is not None
    assert played.end.failure.message == 'Test, module 2 "action": no'
    assert played.end.failure.module == "2"


def test_a_failed_operation_counts_and_one_that_was_never_begun_does_not():
    assert broken("all", "DataError").end.by_module == {"1": 1, "2": 3, "3": 2}
    scenario = (CHAIN % "all").replace('"{{2.v}}"', "\"{{parseDate('x'; 'Y')}}\"")
    played = play(scenario, {"1": lambda: {"n": 1}})
    assert played.end.by_module == {"1": 1, "2": 1}
    assert [note.failure.type for note in played.notes if note.failure] == ["BundleValidationError"]


def test_a_module_that_is_not_installed_fails_when_it_is_reached():
    scenario = (CHAIN % "all").replace('3, module: "test:action"', '3, module: "moon:land"')
    played = play(scenario, {"1": lambda: {"n": 1}})
    assert played.log == ["1", "2"]
    [kept] = played.kept
    assert kept.failure.type == "InvalidConfigurationError"
    assert "there is no module moon:land in this installation" in kept.failure.message


def test_a_trigger_that_is_not_installed_fails():
    scenario = 'millrace: 1\nflow: [{id: 1, module: "moon:watch"}]\n'
    played = play(scenario, start=Start(at=NOON, bundles=[{}]))
    assert played.error == "InvalidConfigurationError"
