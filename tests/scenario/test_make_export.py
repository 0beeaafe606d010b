"""Scenarios written back as exports of Make's."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from make_exports import AGGREGATED, ALL, BRANCHED, KNOWN, ROUTED, WHEN, export, module

from millrace.errors import ScenarioInvalid
from millrace.scenario.formats import read_make, read_native, write_make, write_native
from millrace.scenario.model import Filter, Input, Module, Route, Scenario, Schedule, Settings


def canonical(data: Any) -> str:
    """Text that is the same for the same JSON, and only then: 1, 1.0 and true differ."""
    return json.dumps(data, sort_keys=True)


def back(data: Any, change: Any = lambda scenario: scenario) -> Any:
    return write_make(change(read_make(data, KNOWN)), KNOWN)


def changed(scenario: Scenario, index: int, **fields: Any) -> Scenario:
    flow = list(scenario.flow)
    flow[index] = replace(flow[index], **fields)
    return replace(scenario, flow=tuple(flow))


@pytest.mark.parametrize("known", [{}, KNOWN], ids=["no apps", "apps"])
@pytest.mark.parametrize("name", ALL)
def test_what_is_not_changed_comes_back_the_same(name, known):
    assert canonical(write_make(read_make(ALL[name], known), known)) == canonical(ALL[name])


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_nothing_is_lost_on_the_way_through_our_own_file(name, as_json):
    file = write_native(read_make(ALL[name], KNOWN), as_json=as_json)

    assert canonical(write_make(read_native(file), KNOWN)) == canonical(ALL[name])


def test_an_export_is_not_changed_by_reading_and_writing_it():
    before = copy.deepcopy(ALL)
    for data in ALL.values():
        back(data)

    assert canonical(before) == canonical(ALL)


def test_a_changed_parameter_shows_and_the_others_stay():
    def change(scenario: Scenario) -> Scenario:
        parameters = {**scenario.flow[0].parameters, "maxResults": 5}
        return changed(scenario, 0, parameters=parameters)

    expected = copy.deepcopy(ROUTED)
    expected["flow"][0]["parameters"]["maxResults"] = 5
    assert canonical(back(ROUTED, change)) == canonical(expected)


def test_a_changed_value_is_translated_back_and_what_was_dropped_on_import_stays():
    data = export(
        module(
            1, "http:ActionSendData", mapper={"method": "post", "serializeUrl": False, "url": "x"}
        )
    )
    made = back(data, lambda one: changed(one, 0, parameters={"method": "PUT", "url": "x"}))

    assert made["flow"][0]["mapper"] == {"method": "put", "serializeUrl": False, "url": "x"}


def test_a_spelling_that_means_the_same_stays_until_it_is_changed():
    data = export(module(1, "http:ActionSendData", mapper={"method": "POST", "url": "x"}))

    assert canonical(back(data)) == canonical(data)
    url = back(data, lambda one: changed(one, 0, parameters={"method": "POST", "url": "y"}))
    assert url["flow"][0]["mapper"] == {"method": "POST", "url": "y"}
    method = back(data, lambda one: changed(one, 0, parameters={"method": "GET", "url": "x"}))
    assert method["flow"][0]["mapper"] == {"method": "get", "url": "x"}


def test_a_new_name_and_place_show():
    def change(scenario: Scenario) -> Scenario:
        named = changed(scenario, 0, name="Start")
        return replace(named, name="Sales", layout={**named.layout, "1": (5, 6)})

    made = back(ROUTED, change)
    assert made["name"] == "Sales"
    assert made["flow"][0]["metadata"]["designer"] == {"x": 5, "y": 6, "name": "Start"}
    unnamed = back(ROUTED, lambda one: changed(one, 0, name=""))
    assert unnamed["flow"][0]["metadata"]["designer"] == {"x": 0, "y": 0}


def test_added_and_removed_modules_show():
    new = Module(id="9", module="http:request", parameters={"method": "GET", "url": "https://b"})
    made = back(ROUTED, lambda one: replace(one, flow=(*one.flow[:1], new)))

    assert [each["id"] for each in made["flow"]] == [1, 9]
    assert made["flow"][1] == {
        "id": 9,
        "module": "http:ActionSendData",
        "version": 1,
        "parameters": {},
        "mapper": {"method": "get", "url": "https://b"},
    }


def test_a_module_that_was_replaced_forgets_what_it_was():
    made = back(
        ROUTED, lambda one: changed(one, 0, module="tools:compose", parameters={"value": 1})
    )

    assert made["flow"][0] == {
        "id": 1,
        "module": "tools:compose",
        "version": 1,
        "parameters": {"hook": "Orders 77"},
        "mapper": {"value": 1},
        "metadata": {"designer": {"x": 0, "y": 0, "name": "Order comes in"}},
    }


def test_a_bound_connection_keeps_the_id_that_make_knows():
    made = back(ROUTED, lambda one: changed(one, 0, resources={"webhook": "our orders"}))

    assert canonical(made) == canonical(ROUTED)
    made = back(ROUTED, lambda one: changed(one, 0, resources={}))
    assert made["flow"][0]["parameters"] == {"maxResults": 1}


def test_a_changed_route_filter_goes_to_the_first_module_of_the_route():
    def change(scenario: Scenario) -> Scenario:
        routes = list(scenario.flow[1].routes)
        routes[0] = replace(routes[0], name="huge", filter=Filter(expression="{{1.total > 99}}"))
        routes[2] = replace(routes[2], is_disabled=False, is_fallback=True)
        routes[1] = replace(routes[1], is_fallback=False)
        return changed(scenario, 1, routes=tuple(routes))

    router = back(ROUTED, change)["flow"][1]
    assert router["parameters"] == {"else": 2}
    assert router["routes"][0]["flow"][0]["filter"] == {
        "name": "huge",
        "conditions": [[{"a": "{{1.total > 99}}", "o": "boolean:equal", "b": "true"}]],
    }
    assert "disabled" not in router["routes"][2]


def test_the_filter_of_a_route_and_of_its_first_module_become_one():
    one = Filter(conditions=(({"a": "1", "o": "exist"},), ({"a": "2", "o": "exist"},)))
    two = Filter(name="inner", conditions=(({"a": "3", "o": "exist"},),))
    router = Module(
        id="1",
        module="flow:router",
        routes=(Route(name="r", filter=one, flow=(Module(id="2", module="a:b", filter=two),)),),
    )
    made = write_make(Scenario(flow=(router,)))

    assert made["flow"][0]["routes"][0]["flow"][0]["filter"] == {
        "name": "r",
        "conditions": [
            [{"a": "1", "o": "exist"}, {"a": "3", "o": "exist"}],
            [{"a": "2", "o": "exist"}, {"a": "3", "o": "exist"}],
        ],
    }


def test_a_changed_merge_shows():
    def change(scenario: Scenario) -> Scenario:
        return changed(scenario, 1, merge={"size": ("{{4.value}}", "stops?", "little")})

    flow = back(BRANCHED, change)["flow"]
    assert [each["id"] for each in flow] == [1, 2, 3, 5]
    # The branches are in Make's order again: big, else, stops, which now goes on too.
    assert [branch["merge"] for branch in flow[1]["branches"]] == [True, True, True]
    assert flow[2]["outputs"] == [{"name": "size", "mappings": ["{{4.value}}", "little", "stops?"]}]
    assert flow[2]["id"] == 3


def test_a_changed_branch_keeps_what_was_not_changed():
    def change(scenario: Scenario) -> Scenario:
        routes = list(scenario.flow[1].routes)
        routes[0] = replace(routes[0], name="Huge")
        return changed(scenario, 1, routes=tuple(routes))

    branch = back(BRANCHED, change)["flow"][1]["branches"][0]
    assert branch["label"] == "Huge"
    assert branch["conditions"] == WHEN["conditions"]
    assert branch["merge"]


def test_group_by_of_an_aggregator_goes_to_its_flags():
    def change(scenario: Scenario) -> Scenario:
        parameters = {**scenario.flow[1].parameters, "group_by": "{{1.other}}"}
        return changed(scenario, 1, parameters=parameters)

    made = back(AGGREGATED, change)["flow"][1]
    assert made["flags"] == {"groupBy": "{{1.other}}", "stopIfEmpty": True}
    assert made["parameters"] == {"feeder": 1, "target": "5.rows"}
    assert made["mapper"] == {"sku": "{{1.sku}}", "source": "shop"}


def test_settings_show_and_keep_what_we_do_not_know():
    wanted = Settings(cycles=4, max_errors=3, keep_incomplete="listed")
    said = back(ROUTED, lambda one: replace(one, settings=wanted))["metadata"]["scenario"]

    assert said == {**ROUTED["metadata"]["scenario"], "roundtrips": 4, "dlq": True}


@pytest.mark.parametrize(
    ("schedule", "scheduling"),
    [
        (Schedule(kind="interval", every_seconds=60), {"type": "indefinitely", "interval": 60}),
        (Schedule(kind="on-demand"), {"type": "on-demand"}),
        (Schedule(kind="daily", at="07:00"), {"type": "daily", "time": "07:00"}),
        (Schedule(kind="once", at="2027-01-01"), {"type": "once", "date": "2027-01-01"}),
        (
            Schedule(kind="yearly", days=(1,), months=(2,), at="07:00"),
            {"type": "yearly", "time": "07:00", "days": [1], "months": [2]},
        ),
    ],
)
def test_a_changed_schedule_shows_where_the_old_one_stood(schedule, scheduling):
    inside = back(ROUTED, lambda one: replace(one, schedule=schedule))
    assert inside["scheduling"] == scheduling
    beside = back(ALL["template"], lambda one: replace(one, schedule=schedule))
    assert beside["scheduling"] == scheduling
    assert "scheduling" not in beside["blueprint"]
    assert read_make(beside, KNOWN).schedule == schedule


def test_a_scenario_of_ours_becomes_an_export_with_numbers_for_ids():
    scenario = Scenario(
        name="Ours",
        schedule=Schedule(kind="interval", every_seconds=900),
        inputs=(Input(name="note", default="x"),),
        flow=(
            Module(id="lines", module="flow:iterator", parameters={"array": "{{var.input.lines}}"}),
            Module(
                id="7",
                module="http:request",
                resources={"key": "shop"},
                parameters={
                    "auth": "basic",
                    "url": "https://x/{{lines.id}}?"
                    '{{if(lines.a = "lines.b"; `lines`; 1.lines)}} lines',
                },
                filter=Filter(conditions=(({"a": "{{lines.ok}}", "o": "exist"},),)),
            ),
            Module(
                id="rows",
                module="flow:array-aggregator",
                parameters={"source": "lines", "fields": {"id": "{{lines.id}}"}},
            ),
            Module(
                id="if",
                module="flow:if",
                merge={"x": ("{{rows.array}}", 2)},
                routes=(
                    Route(name="a", filter=Filter(expression="{{rows.ok}}")),
                    Route(is_fallback=True),
                ),
            ),
        ),
    )
    made = write_make(scenario, KNOWN)

    assert [(each["id"], each["module"]) for each in made["flow"]] == [
        (8, "builtin:BasicFeeder"),
        (7, "http:ActionSendDataBasicAuth"),
        (9, "builtin:BasicAggregator"),
        (11, "builtin:BasicIfElse"),
        (10, "builtin:BasicMerge"),
    ]
    assert made["flow"][1]["mapper"]["url"] == (
        'https://x/{{8.id}}?{{if(8.a = "lines.b"; `8`; 1.lines)}} lines'
    )
    assert made["flow"][1]["parameters"] == {"key": "shop"}
    assert made["flow"][1]["filter"]["conditions"] == [[{"a": "{{8.ok}}", "o": "exist"}]]
    assert made["flow"][2]["parameters"] == {"feeder": 8}
    assert made["flow"][4]["outputs"] == [{"name": "x", "mappings": ["{{9.array}}", 2]}]
    assert made["interface"]["input"][0]["name"] == "note"
    again = read_make(made, KNOWN)
    assert [each.module for each in again.flow] == [each.module for each in scenario.flow]
    assert again.flow[3].merge == {"x": ("{{9.array}}", 2)}
    assert again.inputs == scenario.inputs


def test_what_make_cannot_say_is_refused_with_every_problem():
    scenario = Scenario(
        schedule=Schedule(kind="cron", cron="0 7 * * *"),
        flow=(
            Module(id="1", module="flow:for-each"),
            Module(id="2", module="a:b", is_disabled=True),
            Module(id="3", module="flow:router", merge={}),
        ),
    )
    with pytest.raises(ScenarioInvalid) as caught:
        write_make(scenario)

    assert [problem.path for problem in caught.value.problems] == [
        "module 1",
        "module 2",
        "module 3",
        "schedule",
    ]


words = st.sampled_from(["id", "module", "version", "parameters", "mapper", "filter", "routes",
                         "flow", "metadata", "designer", "x", "name", "conditions", "a", "o", "b",
                         "onerror", "else", "feeder", "flags", "groupBy", "branches", "outputs",
                         "type", "merge", "hook", "url", "method", "disabled"])  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 9), st.floats(0, 2), st.text(max_size=3),
    st.sampled_from(["{{1.a}}", "1", "true", "post", "text:equal", "string:equal"]),
)  # fmt: skip
names = st.sampled_from(
    ["builtin:BasicRouter", "builtin:BasicIfElse", "builtin:BasicMerge", "builtin:BasicAggregator",
     "builtin:Resume", "placeholder:Placeholder", "acme:Thing", *KNOWN]
)  # fmt: skip
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4)
)


def modules(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    flow = st.just([]) if inner.is_empty else st.lists(inner, max_size=3)
    route = st.fixed_dictionaries(
        {},
        optional={
            "flow": flow,
            "disabled": scalars,
            "filter": anything,
            "condition": scalars,
            "label": scalars,
            "type": st.sampled_from(["else", "condition"]),
            "conditions": anything,
            "merge": st.booleans(),
        },
    )
    return st.fixed_dictionaries(
        {"module": names},
        optional={
            "id": st.integers(1, 5) | scalars,
            "version": scalars,
            "parameters": st.dictionaries(words, anything, max_size=3) | scalars,
            "mapper": st.dictionaries(words, anything, max_size=3) | scalars,
            "filter": anything,
            "flags": anything,
            "metadata": st.fixed_dictionaries({}, optional={"designer": anything}) | scalars,
            "routes": st.lists(route, max_size=3) | scalars,
            "branches": st.lists(route, max_size=3) | scalars,
            "outputs": anything,
            "onerror": flow | scalars,
            "extra": anything,
        },
    )


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # Making a failing export smaller takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(st.lists(st.recursive(modules(st.nothing()), modules, max_leaves=6), max_size=4), anything)
def test_whatever_a_broken_export_says_comes_back_the_same(flow, metadata):
    data = {"flow": flow, "metadata": metadata}
    scenario = read_make(data, KNOWN)

    assert canonical(write_make(scenario, KNOWN)) == canonical(data)
    again = read_native(write_native(scenario))
    assert canonical(write_make(again, KNOWN)) == canonical(data)
