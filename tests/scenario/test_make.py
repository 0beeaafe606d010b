"""Exports of Make's, read."""

from __future__ import annotations

import codecs
import json

import pytest
from make_exports import AGGREGATED, ALL, BRANCHED, BY_HAND, KNOWN, ROUTED, WHEN, export, module

from millrace.errors import ScenarioInvalid
from millrace.scenario.formats import read_make, read_scenario
from millrace.scenario.model import Filter, Input, Schedule, Settings


def test_ids_modules_and_names_become_ours():
    scenario = read_make(ROUTED, KNOWN)
    hook, router = scenario.flow

    assert scenario.name == "Orders"
    assert (hook.id, hook.module, hook.version) == ("1", "webhooks:receive", None)
    assert hook.name == "Order comes in"
    assert hook.parameters == {"maxResults": 1}
    assert hook.resources == {"webhook": "Orders 77"}
    assert scenario.layout["1"] == (0, 0)
    assert router.module == "flow:router"


def test_parameters_are_renamed_translated_and_dropped_as_the_app_says():
    request = read_make(ROUTED, KNOWN).flow[1].routes[0].flow[0]

    assert request.parameters == {
        "handleErrors": True,
        "url": "https://shop.example/{{1.id}}",
        "method": "POST",
        "query": [{"name": "a", "value": "{{1.a}}"}],
    }


def test_constants_say_which_special_case_a_module_was():
    data = export(module(1, "http:ActionSendDataBasicAuth", parameters={"key": 5}))
    request = read_make(data, KNOWN).flow[0]

    assert request.parameters == {"auth": "basic"}
    assert request.resources == {"key": "key 5"}


def test_a_dotted_name_goes_into_a_collection():
    aggregator = read_make(AGGREGATED, KNOWN).flow[2]

    assert aggregator.parameters == {
        "source": "1",
        "layout": {"separator": "\n"},
        "value": "{{1.sku}}",
    }


def test_the_filter_of_a_routes_first_module_becomes_the_filter_of_the_route():
    first, fallback, disabled = read_make(ROUTED, KNOWN).flow[1].routes

    assert first.name == "big"
    assert first.filter == Filter(
        conditions=(({"a": "{{1.total}}", "o": "number:greater", "b": "9"},),)
    )
    assert first.flow[0].filter is None
    assert (fallback.name, fallback.filter, fallback.is_fallback) == ("the rest", None, True)
    assert disabled.is_disabled


def test_an_error_route_ends_in_our_directive():
    on_error = read_make(ROUTED, KNOWN).flow[1].routes[0].flow[0].on_error

    assert on_error is not None
    assert [each.module for each in on_error] == ["flow:break"]
    assert on_error[0].parameters == {"retry": True, "count": "3", "interval": "15"}


def test_an_unknown_module_stays_as_it_is():
    row = read_make(ROUTED, KNOWN).flow[1].routes[1].flow[0]

    assert (row.module, row.version) == ("google-sheets:addRow", 2)
    assert row.resources == {"connection": "connection 99"}
    assert row.parameters == {"values": {"0": "{{1.id}}"}}


def test_a_placeholder_is_passed_over():
    assert read_make(ROUTED, KNOWN).flow[1].routes[2].flow[0].is_disabled


def test_an_aggregator_has_its_fields_under_one_parameter():
    aggregator = read_make(AGGREGATED).flow[1]

    assert aggregator.module == "flow:array-aggregator"
    assert aggregator.parameters == {
        "source": "1",
        "target": "5.rows",
        "fields": {"sku": "{{1.sku}}", "source": "shop"},
        "group_by": "{{1.kind}}",
        "stop_if_empty": True,
    }


def test_if_else_and_merge_become_one_container_with_the_id_of_the_merge():
    scenario = read_make(BRANCHED, KNOWN)
    _, branched, after = scenario.flow

    assert (branched.id, branched.module, after.id) == ("3", "flow:if", "5")
    assert [route.name for route in branched.routes] == ["Big", "Stops", "Else"]
    assert branched.routes[2].is_fallback
    # A branch that does not merge has nothing to hand on.
    assert branched.merge == {"size": ("{{4.value}}", None, "small")}
    assert scenario.layout["3"] == (600, 0)


def test_an_if_else_alone_merges_nothing():
    branched = read_make(export(BRANCHED["flow"][1])).flow[0]

    assert (branched.id, branched.merge) == ("2", None)


def test_settings_keep_makes_behaviour():
    assert read_make(export()).settings == Settings(
        max_errors=3, keep_incomplete="none", pause_at_first_error=False
    )
    data = export()
    data["metadata"]["scenario"] |= {"roundtrips": "5", "dlq": "true", "dataloss": True}
    data["metadata"]["scenario"] |= {"autoCommit": False, "sequential": 1, "freshVariables": True}
    assert read_make(data).settings == Settings(
        cycles=5,
        auto_commit=False,
        sequential=True,
        keep_incomplete="listed",
        drop_when_full=True,
        fresh_variables=True,
        max_errors=3,
    )


def test_an_export_without_settings_has_makes_defaults():
    assert read_make({"flow": []}).settings == Settings(max_errors=3, keep_incomplete="none")


def test_an_instant_scenario_pauses_at_the_first_error():
    data = export(module(1, "a:B"))
    data["metadata"]["instant"] = True
    scenario = read_make(data)

    assert scenario.schedule == Schedule(kind="instant")
    assert scenario.settings.pause_at_first_error


def test_a_webhook_as_first_module_makes_a_scenario_instant():
    assert read_make({"flow": [{"id": 1, "module": "gateway:CustomWebHook"}]}).schedule == (
        Schedule(kind="instant")
    )


@pytest.mark.parametrize(
    ("scheduling", "schedule"),
    [
        (None, Schedule(kind="interval", every_seconds=900)),
        ({"type": "indefinitely", "interval": "60"}, Schedule(kind="interval", every_seconds=60)),
        ({"type": "immediately"}, Schedule(kind="instant")),
        ({"type": "on-demand"}, Schedule(kind="on-demand")),
        ({"type": "once", "date": "2027-01-01T00:00:00Z"}, Schedule(kind="once", at="2027-01-01T00:00:00Z")),  # noqa: E501
        ({"type": "daily", "time": "07:30"}, Schedule(kind="daily", at="07:30")),
        ({"type": "weekly", "days": ["1", 5], "time": "08:00"}, Schedule(kind="weekly", days=(1, 5), at="08:00")),  # noqa: E501
        ({"type": "monthly", "days": [31], "time": "08:00"}, Schedule(kind="monthly", days=(31,), at="08:00")),  # noqa: E501
        ({"type": "yearly", "days": [1], "months": [1, 7], "time": "08:00"}, Schedule(kind="yearly", days=(1,), months=(1, 7), at="08:00")),  # noqa: E501
        ({"type": "sometimes"}, Schedule(kind="interval", every_seconds=900)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_inside", [True, False])
def test_the_schedule_is_found_inside_and_beside(scheduling, schedule, is_inside):
    data = export(module(1, "a:B"))
    data = (
        {**data, "scheduling": scheduling}
        if is_inside
        else {"response": {"blueprint": data, "scheduling": scheduling}}
    )

    assert read_make(data).schedule == schedule


def test_inputs_are_read():
    assert read_make(ALL["scheduled inside"]).inputs == (Input(name="note", is_required=True),)
    newer = export(io={"input_spec": [{"name": "n", "type": "number", "default": 1}, "?"]})
    assert read_make(newer).inputs == (Input(name="n", type="number", default=1),)


def test_what_people_write_by_hand_is_understood():
    scenario = read_make(BY_HAND, KNOWN)
    hook, router, placeholder, sleep, unknown = scenario.flow

    assert hook.id == "1"
    assert hook.resources == {}
    assert scenario.schedule == Schedule(kind="instant")
    assert scenario.settings.cycles == 1
    assert scenario.settings.keep_incomplete == "listed"
    hot, cold = router.routes
    # The module that the route names by its id has moved into it.
    assert [each.id for each in hot.flow] == ["3"]
    assert hot.name == "hot"
    assert hot.filter is not None
    assert hot.filter.conditions[0][0]["o"] == "number:greaterorequal"
    assert cold.filter == Filter(expression="{{1.score < 70}}")
    assert cold.is_disabled
    assert not any(route.is_fallback for route in router.routes)
    assert placeholder.id == "5"
    assert (sleep.module, sleep.parameters) == ("tools:sleep", {"duration": 15})
    assert sleep.filter == Filter(conditions=(({"a": "{{1.a}}", "o": "text:equal", "b": ""},),))
    assert (unknown.version, unknown.on_error, unknown.parameters) == (7, None, {"both": "2"})


def test_what_is_needed_of_the_team_is_listed_once():
    flow = [
        module(1, "a:B", parameters={"__IMTCONN__": 7}, metadata={
            "parameters": [{"name": "__IMTCONN__", "type": "account:google,google2"}]}),
        module(2, "a:C", parameters={"__IMTCONN__": 7}, metadata={
            "parameters": [{"name": "__IMTCONN__", "type": "account:google"}],
            "restore": {"parameters": {"__IMTCONN__": {"label": "Shop"}}}}),
        module(3, "a:D", parameters={"__IMTCONN__": 7}, metadata={
            "parameters": [{"name": "__IMTCONN__", "type": "account:google"}]}),
        module(4, "datastore:GetRecord", parameters={"datastore": 3}, mapper={"key": "{{1.id}}"}),
    ]  # fmt: skip

    assert read_make(export(*flow)).needs == (
        {"connection": "google 7", "app": "a", "type": "google", "for": ("1", "3")},
        {"connection": "Shop 7", "app": "a", "type": "google", "label": "Shop", "for": ("2",)},
        {"data_store": "data store 3", "app": "datastore", "for": ("4",)},
    )


def test_a_resource_that_is_mapped_stays_a_parameter():
    data = export(module(1, "datastore:GetRecord", mapper={"datastore": "{{1.store}}"}))
    row = read_make(data).flow[0]

    assert (row.resources, row.parameters) == ({}, {"datastore": "{{1.store}}"})


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.encode(),
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-32"),
    ],
)
@pytest.mark.parametrize("name", ALL)
def test_an_export_is_recognised_in_every_wrapper_and_encoding(name, encode):
    text = json.dumps(ALL[name], ensure_ascii=False, indent=1)

    assert read_scenario(encode(text), known=KNOWN) == read_make(ALL[name], KNOWN)


def test_a_blueprint_as_text_inside_an_answer_is_opened():
    assert read_make({"blueprint": json.dumps(ROUTED)}, KNOWN).flow == read_make(ROUTED, KNOWN).flow


def test_a_blueprint_written_as_yaml_is_recognised():
    scenario = read_scenario("flow:\n  - id: 1\n    module: http:ActionSendData\n    mapper: {}\n")

    assert scenario.flow[0].module == "http:ActionSendData"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"blueprint": {"flow": {}}}, "flow: this is no scenario"),
        ([1, 2], "flow: this is no scenario"),
        ({"response": "?"}, "flow: this is no scenario"),
        ({"subflows": []}, "flow: this is no scenario"),
        ({"flow": [{"id": 1}, "x"], "metadata": {}}, "flow[0]: a module is expected"),
    ],
)
def test_what_is_no_scenario_is_refused(data, message):
    with pytest.raises(ScenarioInvalid) as caught:
        read_scenario(json.dumps(data))

    assert str(caught.value).startswith(message)


def test_a_filter_on_a_later_module_of_a_route_stays_there():
    data = export(
        module(
            1,
            "builtin:BasicRouter",
            mapper=None,
            routes=[{"flow": [module(2, "a:B"), module(3, "a:C", filter=WHEN)]}],
        )
    )
    route = read_make(data).flow[0].routes[0]

    assert (route.name, route.filter) == ("", None)
    assert route.flow[1].filter is not None
    assert route.flow[1].filter.name == "big"
