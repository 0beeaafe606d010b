"""Every problem of a scenario, with its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from make_exports import ALL, KNOWN

from millrace.scenario.check import check
from millrace.scenario.formats import read_make, read_native
from millrace.scenario.model import Input, Module, Scenario, Schedule, Settings


@dataclass(frozen=True, kw_only=True)
class Parameter:
    name: str
    type: str = "any"
    is_required: bool = False
    default: Any = None
    is_mapped: bool = True
    options: tuple[Any, ...] = ()
    fields: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Traits:
    name: str
    kind: str = "action"
    is_open: bool = False
    parameters: tuple[Parameter, ...] = ()


OFFERED = {
    one.name: one
    for one in (
        Traits(name="webhooks:receive", kind="instant-trigger"),
        Traits(name="rss:watch", kind="trigger", is_open=True),
        Traits(
            name="http:request",
            parameters=(
                Parameter(name="url", is_required=True),
                Parameter(name="method", options=("GET", "POST"), is_required=True, default="GET"),
                Parameter(name="verify", options=(True, False)),
                Parameter(name="secret", is_mapped=False),
                Parameter(
                    name="headers",
                    type="array",
                    fields=(Parameter(name="name", is_required=True), Parameter(name="value")),
                ),
            ),
        ),
        Traits(name="tools:compose", is_open=True),
        Traits(name="tools:text-aggregator", kind="aggregator", is_open=True),
        Traits(name="flow:array-aggregator", kind="aggregator", is_open=True),
    )
}


def lookup(name: str, version: int | None) -> Traits | None:
    return None if version is not None and version > 1 else OFFERED.get(name)


def problems(flow: str, **more: Any) -> list[str]:
    scenario = read_native("millrace: 1\nflow:\n" + flow)
    return [str(one) for one in check(scenario, lookup, names=OFFERED)]


def test_a_good_scenario_has_no_problems():
    assert (
        problems("""
  - {id: 1, module: webhooks:receive}
  - {id: items, module: flow:iterator, parameters: {array: "{{1.lines}}"}}
  - id: 2
    module: http:request
    parameters: {url: "https://x/{{items.sku}}", headers: [{name: a}], verify: true}
    on_error:
      - {id: 20, module: tools:compose, parameters: {value: "{{2.error.message}}"}}
      - {id: 21, module: flow:resume, parameters: {stock: "{{20.value}}"}}
  - id: 5
    module: flow:router
    routes:
      - {filter: [[{a: "{{2.data}}", o: text:equal, b: x}]],
         flow: [{id: a, module: tools:compose}]}
      - {fallback: true, flow: []}
    merge: {x: ["{{a.value}}", "{{items.sku}}"]}
  - {id: rows, module: flow:array-aggregator,
     parameters: {source: items, fields: {x: "{{5.x}}"}}}
  - {id: each, module: flow:for-each, parameters: {array: "{{rows.array}}"},
     flow: [{id: b, module: tools:compose,
             parameters: {value: "{{each.x}}{{now}}{{var.input.a}}"}}]}
""")
        == []
    )


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (
            "  - {id: 1, module: a:b}\n  - {id: 1, module: tools:compose}",
            ["flow[0].module: there is no app a in this installation",
             "flow[1].id: there is another module with the id 1; ids must be unique"],
        ),
        ("  - {id: a-b, module: tools:compose}",
         ["flow[0].id: an id is a number, or a word of letters, digits and _"]),
        ("  - {id: now, module: tools:compose}",
         ["flow[0].id: now means something else in expressions; choose another id"]),
        ("  - {id: 1, module: htp:request}",
         ["flow[0].module: there is no app htp in this installation; did you mean http?"]),
        ("  - {id: 1, module: http:requets}",
         ["flow[0].module: there is no module http:requets; did you mean http:request?"]),
        ("  - {id: 1, module: tools:compose@7}",
         ["flow[0].module: there is no version 7 of tools:compose; remove the @"]),
        ("  - {id: 1, module: flow:routr}",
         ["flow[0].module: there is no module flow:routr; did you mean flow:router?"]),
        ("  - {id: 1, module: http:request, parameters: {ur: x}}",
         ["flow[0].parameters.ur: http:request has no such parameter; did you mean url?",
          "flow[0].parameters.url: is missing: http:request needs it"]),
        ("  - {id: 1, module: http:request, parameters: {url: x, method: GETT, verify: maybe}}",
         ["flow[0].parameters.method: must be one of GET, POST; did you mean GET?",
          "flow[0].parameters.verify: must be one of True, False"]),
        ("  - {id: 1, module: http:request, parameters: {url: x, headers: [{nam: a}]}}",
         ["flow[0].parameters.headers[0].nam: http:request has no such parameter; "
          "did you mean name?",
          "flow[0].parameters.headers[0].name: is missing: http:request needs it"]),
        ("  - {id: 1, module: http:request, parameters: {url: x, secret: '{{1.a}}'}}",
         ["flow[0].parameters.secret: is taken as written; expressions are not evaluated here"]),
        ("  - {id: 1, module: tools:compose, parameters: {a: {b: ['{{lenght(now)}}']}}}",
         ["flow[0].parameters.a.b[0]: Function 'lenght' not found! Did you mean length? "
          "(at character 3)"]),
        ("  - {id: 1, module: tools:compose}\n"
         "  - {id: 2, module: tools:compose, parameters: {a: '{{7.x}}{{2.x}}{{3.x}}'}}\n"
         "  - {id: 3, module: tools:compose}",
         ["flow[1].parameters.a: a module cannot read itself",
          "flow[1].parameters.a: module 3 comes later",
          "flow[1].parameters.a: there is no module 7"]),
        ("  - {id: order, module: tools:compose}\n"
         "  - {id: 2, module: tools:compose, parameters: {a: '{{ordr.x}}'}}",
         ["flow[1].parameters.a: there is no module ordr; did you mean order?"]),
        ("  - {id: 1, module: tools:compose, filter: [[{a: 1, o: exist}]]}",
         ["flow[0].filter: the first module cannot have a filter: nothing comes before it"]),
        ("  - {id: 1, module: tools:compose}\n  - {id: 2, module: rss:watch}",
         ["flow[1].module: rss:watch is a trigger and can only be the first module"]),
        ("  - {id: 1, module: tools:compose}\n"
         "  - {id: 2, module: tools:compose, "
         "filter: [[{a: '{{', o: text:equals}, {o: txt:equal}]]}",
         ["flow[1].filter[0][0].o: text:equals is read as text:equal",
          "flow[1].filter[0][0].a: the braces {{ that open here are not closed (at character 1)",
          "flow[1].filter[0][1].o: there is no operator txt:equal; did you mean text:equal?"]),
        ("  - {id: 1, module: tools:compose}\n"
         "  - {id: 2, module: tools:compose, filter: '{{1.a > 9.b}}'}",
         ["flow[1].filter: there is no module 9"]),
        ("  - {id: 1, module: tools:compose}\n  - {id: 2, module: tools:compose, filter: '1 +* 2'}",
         None),
        ("  - {id: 1, module: flow:ignore}",
         ["flow[0].module: flow:ignore has a meaning in an error route only (on_error)"]),
        ("  - {id: 1, module: tools:compose, on_error: [{id: 2, module: flow:break},"
         " {id: 3, module: tools:compose}]}",
         ["flow[0].on_error[0].module: flow:break ends an error route; nothing can follow it"]),
        ("  - {id: 1, module: flow:router, routes: [{flow: []}], on_error: []}",
         ["flow[0].on_error: flow:router cannot fail by itself; put the error route elsewhere"]),
        ("  - {id: 1, module: flow:router, routes: []}",
         ["flow[0].routes: flow:router has no routes"]),
        ("  - {id: 1, module: tools:compose}\n"
         "  - {id: 2, module: tools:text-aggregator, parameters: {source: nope}}\n"
         "  - {id: 3, module: tools:text-aggregator, parameters: {source: 9}}\n"
         "  - {id: 9, module: tools:compose}",
         ["flow[1].parameters.source: there is no module nope",
          "flow[2].parameters.source: module 9 does not come before this aggregator "
          "on the same way"]),
        ("  - {id: 1, module: tools:compose}\n"
         "  - {id: 2, module: tools:compose}\n"
         "  - {id: 3, module: flow:array-aggregator, "
         "parameters: {source: 2, fields: {a: '{{2.a}}'}}}\n"
         "  - {id: 4, module: tools:compose, parameters: {a: '{{1.a}}{{2.a}}{{3.array}}'}}",
         ["flow[3].parameters.a: the bundles of module 2 went into aggregator 3; read 3 instead"]),
        ("  - {id: 1, module: tools:compose}\n  - {id: 2, module: flow:any-of, triggers: []}",
         ["flow[1].module: flow:any-of can only be the first module",
          "flow[1].triggers: flow:any-of has no triggers"]),
        ("  - {id: 1, module: flow:any-of, triggers: [{id: 2, module: webhooks:receive},"
         " {id: 3, module: tools:compose}]}\n"
         "  - {id: 4, module: tools:compose, parameters: {a: '{{2.a}}{{3.a}}'}}",
         ["flow[0].triggers[1]: each of flow:any-of must be a trigger"]),
    ],
)  # fmt: skip
def test_a_problem_is_named_with_its_place(flow, expected):
    found = problems(flow)

    if expected is None:
        assert len(found) == 1
        assert found[0].startswith("flow[1].filter: ")
    else:
        assert found == expected


def test_routes_and_merges():
    assert problems("""
  - {id: 1, module: tools:compose}
  - id: 2
    module: flow:router
    routes:
      - {name: always, flow: [{id: a, module: tools:compose}]}
      - {filter: "{{1.x}}", flow: [{id: b, module: tools:compose, parameters: {v: "{{a.x}}"}}]}
      - {fallback: true, filter: "{{1.x}}", flow: []}
      - {fallback: true, flow: []}
    merge: {x: ["{{a.x}}", "{{a.x}}", 3]}
  - {id: 3, module: tools:compose, parameters: {v: "{{2.x}}{{b.x}}"}}
  - id: 4
    module: flow:if
    branches: [{filter: "{{1.x}}", flow: []}]
    else: [{id: 5, module: no:no}]
  - {id: 6, module: tools:compose}
""") == [
        "flow[1].routes[3].fallback: only one route can be the fallback",
        "flow[1].routes[0]: this route has no filter, so the fallback route is never taken",
        "flow[1].routes[1].flow[0].parameters.v: module a lies on another way "
        "and cannot be read here",
        "flow[1].routes[2].filter: a fallback route takes what no other route took; "
        "its filter is not used",
        "flow[1].merge.x: one expression per route is expected, in their order: 4, not 3",
        "flow[1].merge.x[1]: module a lies on another way and cannot be read here",
        "flow[2].parameters.v: module b lies on another way and cannot be read here",
        "flow[4]: nothing can follow flow:if without merge; "
        "say under merge what its routes hand on, or move what follows into a route",
        "flow[3].else[0].module: there is no app no in this installation",
    ]  # fmt: skip


def test_a_directive_may_end_a_route_inside_an_error_route():
    assert (
        problems("""
  - id: 1
    module: tools:compose
    on_error:
      - id: 2
        module: flow:router
        routes:
          - {filter: [[{a: "{{1.error.type}}", o: text:equal, b: DataError}]],
             flow: [{id: 3, module: flow:ignore}]}
          - {fallback: true, flow: [{id: 4, module: flow:throw, parameters: {message: x}}]}
""")
        == []
    )


def test_a_router_may_stand_inside_a_branch():
    assert (
        problems("""
  - id: 1
    module: flow:if
    branches:
      - {filter: "{{var.input.x}}", flow: [{id: 2, module: flow:router, routes: [{flow: []}]}]}
""")
        == []
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"timezone": "Europe/Praha"}, ["timezone: there is no time zone Europe/Praha"]),
        ({"timezone": "../etc"}, ["timezone: there is no time zone ../etc"]),
        ({"settings": Settings(cycles=0, max_errors=0, keep_incomplete="x")},
         ["settings.cycles: must be at least 1", "settings.max_errors: must be at least 1",
          "settings.keep_incomplete: must be one of all, listed, none"]),
        ({"settings": Settings(order_by="{{1.a}}{{9.a}}")},
         ["settings.order_by: there is no module 9"]),
        ({"inputs": (Input(name="a"), Input(name="a"))},
         ["inputs[1].name: there are two inputs called a"]),
        ({"outputs": {"x": ["{{1.a}}{{8.a}}"]}}, ["outputs.x[0]: there is no module 8"]),
        ({"schedule": Schedule(kind="hourly")}, ["schedule: there is no schedule hourly"]),
        ({"schedule": Schedule(kind="interval", every_seconds=0)},
         ["schedule.every: must be at least one second"]),
        ({"schedule": Schedule(kind="interval")}, ["schedule.every: does not say when"]),
        ({"schedule": Schedule(kind="daily", at="25:00")},
         ["schedule.daily: a time is expected, such as 07:30"]),
        ({"schedule": Schedule(kind="weekly", at="07:00")}, ["schedule.weekly: names no day"]),
        ({"schedule": Schedule(kind="weekly", at="07:00", days=(7,))},
         ["schedule.weekly: days are numbers from 0 to 6"]),
        ({"schedule": Schedule(kind="monthly", at="7:00", days=(0, 31))},
         ["schedule.monthly: days are numbers from 1 to 31"]),
        ({"schedule": Schedule(kind="yearly", at="07:00", days=(1,), months=(13,))},
         ["schedule.months: months are numbers from 1 to 12"]),
        ({"schedule": Schedule(kind="yearly", at="07:00", days=(1,))},
         ["schedule.months: names no month"]),
        ({"schedule": Schedule(kind="once", at="soon")},
         ["schedule.once: an instant is expected, such as 2027-01-31T08:00:00Z"]),
        ({"schedule": Schedule(kind="on-demand", start="2027-02-01", end="2027-01-01T00:00:00Z")},
         ["schedule.end: comes before the start"]),
        ({"schedule": Schedule(kind="instant", start="x")},
         ["schedule.start: an instant is expected, such as 2027-01-31T08:00:00Z"]),
        ({"schedule": Schedule(kind="instant", windows=({"days": (9,), "months": (0,),
                                                         "time": ("x", "08:00")},))},
         ["schedule.windows[0].days: days are numbers from 0 (Sunday) to 6",
          "schedule.windows[0].months: months are numbers from 1 to 12",
          "schedule.windows[0].time: two times are expected, such as 08:00 and 17:30"]),
    ],
)  # fmt: skip
def test_what_stands_around_the_flow_is_checked(fields, expected):
    scenario = Scenario(flow=(Module(id="1", module="tools:compose"),), **fields)
    found = [str(problem) for problem in check(scenario)]

    assert [text[: len(want)] for text, want in zip(found, expected, strict=True)] == expected


@pytest.mark.parametrize(
    ("cron", "is_good"),
    [
        ("0 7 * * 1-5", True),
        ("*/15 0-6,18 1,15 jan-mar sun", True),
        ("0 0 L * *", True),
        ("0 0 * * fri#2", True),
        ("0 0 * * 5-1", True),
        ("0 7 * *", False),
        ("60 * * * *", False),
        ("* 24 * * *", False),
        ("* * 0 * *", False),
        ("* * * 13 *", False),
        ("* * * * 8", False),
        ("*/0 * * * *", False),
        ("5-1 * * * *", False),
        ("a * * * *", False),
        ("1,, * * * *", False),
    ],
)
def test_cron_expressions(cron, is_good):
    found = check(Scenario(schedule=Schedule(kind="cron", cron=cron)))

    assert [problem.path for problem in found] == ([] if is_good else ["schedule.cron"])


def test_an_instant_schedule_needs_a_trigger_that_can_fire():
    schedule = Schedule(kind="instant")
    hook = Scenario(schedule=schedule, flow=(Module(id="1", module="webhooks:receive"),))
    poll = Scenario(schedule=schedule, flow=(Module(id="1", module="rss:watch"),))

    assert check(hook, lookup) == []
    assert [problem.path for problem in check(poll, lookup)] == ["schedule"]


def test_problems_carry_a_code_and_the_module_for_programs():
    scenario = Scenario(flow=(Module(id="7", module="tools:compose", parameters={"a": "{{8.x}}"}),))
    (problem,) = check(scenario)

    assert (problem.code, problem.severity, problem.module_id) == (
        "reference-missing",
        "error",
        "7",
    )


def test_an_import_may_read_what_is_not_there_as_it_could_in_make():
    data = {"flow": [{"id": 1, "module": "a:B", "mapper": {"x": "{{9.a}}"}}]}
    (problem,) = check(read_make(data))

    assert (problem.severity, str(problem)) == (
        "warning",
        "flow[0].parameters.x: there is no module 9",
    )


@pytest.mark.parametrize("name", ALL)
def test_imports_are_checked_without_trouble(name):
    codes = {problem.code for problem in check(read_make(ALL[name], KNOWN), lookup)}

    assert "shape" not in codes


def test_without_a_lookup_nothing_is_said_about_modules():
    scenario = Scenario(flow=(Module(id="1", module="no:such", parameters={"a": 1}),))

    assert check(scenario) == []
