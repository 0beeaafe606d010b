"""Cycles, commit and rollback: the phases of an execution."""

from __future__ import annotations

from .playing import NOON, Start, fail_when, play

POLL = """
millrace: 1
settings: {cycles: %s}
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "test:action", parameters: {v: "{{1.n}}"}}
"""


def batches(*sizes):
    """A trigger that finds so many bundles at each asking."""
    left, number = list(sizes), [0]

    def found():
        size = left.pop(0) if left else 0
        bundles = []
        for _ in range(size):
            number[0] += 1
            bundles.append({"n": number[0]})
        return bundles

    return {"1": found}


def test_each_cycle_asks_the_trigger_once_and_commits():
    played = play(POLL % 3, batches(2, 2, 2, 2))
    assert played.values("2") == [1, 2, 3, 4, 5, 6]
    assert (played.commits, played.end.cycles) == (3, 3)


def test_a_trigger_that_finds_nothing_ends_the_cycles():
    played = play(POLL % 10, batches(2, 1))
    assert played.values("2") == [1, 2, 3]
    assert (len(played.of("1")), played.end.cycles) == (3, 3)


def test_run_once_is_one_cycle_whatever_the_setting():
    assert play(POLL % 10, batches(1, 1), start=Start(at=NOON, cycles=1)).end.cycles == 1


def test_without_a_trigger_all_cycles_are_performed():
    scenario = "millrace: 1\nsettings: {cycles: 4}\nflow: [{id: 1, module: 'test:search'}]\n"
    played = play(scenario, {"1": list})
    assert (len(played.of("1")), played.end.cycles) == (4, 4)


def test_an_event_is_one_cycle():
    played = play(POLL % 5, start=Start(at=NOON, bundles=[{"n": 1}]))
    assert (played.values("2"), played.end.cycles) == ([1], 1)


def test_an_error_undoes_its_own_cycle_only():
    scenario = (POLL % 5).replace("cycles: 5", "cycles: 5, keep_incomplete: none")
    answers = {**batches(1, 1, 1, 1), "2": fail_when(lambda given: given["v"] == 3)}
    played = play(scenario, answers)
    assert (played.commits, played.rollbacks, played.end.cycles) == (2, 1, 3)
    assert played.status == "error"


def test_a_commit_that_breaks_ends_the_execution():
    played = play(POLL % 5, batches(1, 1), commits=False)
    assert (played.status, played.error) == ("error", "InconsistencyError")
    assert (played.end.cycles, played.end.is_counted) == (1, True)


def test_a_failed_last_cycle_does_not_hide_what_a_kept_bundle_said():
    answers = {**batches(1, 1), "2": fail_when(lambda given: given["v"] == 1)}
    played = play(POLL % 2, answers)
    assert (played.status, played.error, len(played.kept)) == ("warning", "RuntimeError", 1)


OUTPUTS = """
millrace: 1
outputs: {answer: "{{2.v}}", who: "{{var.input.who}}"}
flow:
  - {id: 1, module: "test:trigger"}
  - {id: 2, module: "test:action", parameters: {v: "{{1.n}}"}%s}
"""


def test_outputs_are_what_the_last_bundle_left():
    start = Start(at=NOON, inputs={"who": "Eva"})
    played = play(OUTPUTS % "", batches(3), start=start)
    assert played.end.outputs == {"answer": 3, "who": "Eva"}


def test_a_commit_directive_gives_outputs_too():
    scenario = OUTPUTS % ', on_error: [{id: e, module: "flow:commit"}]'
    answers = {**batches(3), "2": fail_when(lambda given: given["v"] == 2)}
    assert play(scenario, answers).end.outputs is not None


def test_outputs_that_cannot_be_evaluated_fail_the_execution():
    scenario = (OUTPUTS % "").replace("{{2.v}}", "{{parseDate('x'; 'Y')}}")
    played = play(scenario, batches(1))
    assert (played.status, played.error) == ("error", "BundleValidationError")
    assert played.end.failure is not None
    assert played.end.failure.message.startswith("outputs, answer: ")
    assert (played.commits, played.rollbacks) == (0, 1)


ANY = """
millrace: 1
flow:
  - {id: any, module: "flow:any-of", triggers: [
      {id: a, module: "test:trigger"},
      {flow: [{id: b, module: "test:trigger"},
              {id: b2, module: "test:action", parameters: {v: "{{b.n}}"}}]}]}
  - {id: 2, module: "test:action", parameters: {v: "{{a.n}}|{{b.n}}|{{b2.v}}"}}
"""


def test_any_of_begins_with_the_one_that_fired_and_the_others_are_empty():
    of_a = play(ANY, start=Start(at=NOON, trigger="a", bundles=[{"n": 1}]))
    assert of_a.values("2") == ["1||"]
    of_b = play(ANY, start=Start(at=NOON, trigger="b", bundles=[{"n": 2}]))
    assert of_b.values("2") == ["|2|2"]


def test_a_trigger_that_is_not_there_any_more_is_said_to_be_gone():
    played = play(ANY, start=Start(at=NOON, trigger="c", bundles=[{}]))
    assert (played.status, played.error) == ("error", "InvalidConfigurationError")
