"""A stream that breaks: what it delivered stays done."""

from __future__ import annotations

from millrace.errors import ConnectionFailure

from .playing import NOON, Start, play

STREAM = """
millrace: 1
flow:
  - {id: 1, module: "test:search", on_error: [%s]}
  - {id: 2, module: "test:action", parameters: {v: "{{1.n}}"}}
  - {id: agg, module: "flow:array-aggregator", parameters: {source: 1, fields: {n: "{{2.v}}"}}}
  - {id: 9, module: "test:action", parameters: {v: "{{agg.array}}"}}
"""


class Breaking:
    """Two bundles, then an error so many times, then the third."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, command):
        if not command.page:
            return [{"n": 1}, {"n": 2}], True
        self.times -= 1
        if self.times >= 0:
            raise ConnectionFailure("cut")
        return [{"n": 3}], False


def numbers(*values):
    return [{"n": value} for value in values]


def test_a_page_is_retried_and_nothing_is_delivered_twice():
    retry = '{id: e, module: "flow:retry"}'
    played = play(STREAM % retry, by_command={"1": Breaking(2)})
    assert played.values("2") == [1, 2, 3]
    assert played.values("9") == [numbers(1, 2, 3)]


def test_what_was_gathered_before_an_ignored_break_is_spoken_of():
    played = play(STREAM % '{id: e, module: "flow:ignore"}', by_command={"1": Breaking(9)})
    assert played.values("9") == [numbers(1, 2)]


def test_a_substitute_is_one_more_bundle_of_the_stream():
    resume = '{id: e, module: "flow:resume", parameters: {n: 7}}'
    played = play(STREAM % resume, by_command={"1": Breaking(9)})
    assert played.values("9") == [numbers(1, 2, 7)]


def test_a_kept_stream_is_resumed_behind_what_it_delivered():
    scenario = STREAM.replace(", on_error: [%s]", "")
    played = play(scenario, by_command={"1": Breaking(9)})
    assert played.values("9") == [numbers(1, 2)]
    [kept] = played.kept
    resumed = play(
        scenario, by_command={"1": Breaking(0)}, start=Start(at=NOON, resumption=kept.resumption)
    )
    assert resumed.values("2") == [3]
    assert resumed.values("9") == [numbers(3)]
    assert resumed.keys[0] == played.keys[0]
