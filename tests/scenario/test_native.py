"""The scenario file, read and written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.errors import ScenarioInvalid
from millrace.scenario.formats import read_native, read_scenario, write_native
from millrace.scenario.model import Filter, Input, Module, Route, Scenario, Schedule, Settings

SHOP = """\
millrace: 1
name: Web shop order
description: |
  Reserve stock,
  tell the buyer.
inputs:
  - {name: note, label: Note for the warehouse}
schedule: {every: 15 minutes}
timezone: Europe/Prague
settings: {sequential: false, order_by: "{{1.customer.id}}"}
flow:
  - id: 1
    module: webhooks:receive@2
    webhook: orders
  - id: items
    module: flow:iterator
    parameters: {array: "{{1.lines}}"}
  - id: product
    module: data-store:get
    data_store: products
    parameters: {key: "{{items.sku}}"}
    on_error:
      - {id: 30, module: flow:resume, parameters: {stock: 0}}
  - id: 5
    module: flow:router
    routes:
      - name: in stock
        filter: [[{a: "{{items.qty}}", o: "number:lessorequal", b: "{{product.stock}}"}]]
        flow: [{id: reserve, module: "http:request", connection: warehouse}]
      - {name: short, filter: "{{items.qty > product.stock}}", flow: []}
      - {name: everything else, fallback: true, flow: []}
    merge:
      status: [reserved, asked, ignored]
layout: {1: [0, 0], items: [160, 0.5]}
notes: [{on: 5, text: Ask Eva first.}]
needs: [{connection: warehouse, app: http, for: [reserve, 1]}]
"""


def problems_of(source: object) -> list[str]:
    with pytest.raises(ScenarioInvalid) as caught:
        read_native(source)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def with_flow(flow: str) -> str:
    return f"millrace: 1\nflow:\n{flow}"


def test_a_file_is_read_into_the_model():
    scenario = read_scenario(SHOP)

    assert scenario.inputs == (Input(name="note", label="Note for the warehouse"),)
    assert scenario.schedule == Schedule(kind="interval", every_seconds=900)
    assert scenario.settings == Settings(order_by="{{1.customer.id}}")
    assert scenario.description == "Reserve stock,\ntell the buyer.\n"
    assert [module.id for module in scenario.modules()] == [
        "1", "items", "product", "30", "5", "reserve",
    ]  # fmt: skip
    first, _, product, router = scenario.flow
    assert (first.module, first.version) == ("webhooks:receive", 2)
    assert first.resources == {"webhook": "orders"}
    assert product.on_error == (Module(id="30", module="flow:resume", parameters={"stock": 0}),)
    condition = {"a": "{{items.qty}}", "o": "number:lessorequal", "b": "{{product.stock}}"}
    assert router.routes[0].filter == Filter(conditions=((condition,),))
    assert router.routes[1].filter == Filter(expression="{{items.qty > product.stock}}")
    assert router.routes[2] == Route(name="everything else", is_fallback=True)
    assert router.merge == {"status": ("reserved", "asked", "ignored")}
    assert scenario.layout == {"1": (0, 0), "items": (160, 0.5)}
    assert scenario.notes == ({"on": "5", "text": "Ask Eva first."},)
    assert scenario.needs == ({"connection": "warehouse", "app": "http", "for": ("reserve", "1")},)


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_written_reads_back_the_same(as_json):
    scenario = read_native(SHOP)
    written = write_native(scenario, as_json=as_json)

    assert read_native(written) == scenario
    assert write_native(read_native(written), as_json=as_json) == written


def test_defaults_are_not_written_and_keys_keep_their_order():
    scenario = Scenario(
        settings=Settings(), name="Short", flow=(Module(id="1", module="http:request"),)
    )

    assert write_native(scenario) == (
        "millrace: 1\nname: Short\nflow:\n  - {id: 1, module: http:request}\n"
    )


def test_an_unknown_key_is_named_with_its_path_and_the_nearest_known_one():
    assert problems_of(with_flow("  - {id: 1, module: a:b, paramters: {}}")) == [
        "flow[0].paramters: unknown key; did you mean parameters?"
    ]


def test_every_problem_is_reported_at_once():
    assert problems_of(
        "millrace: 2\nnam: x\ntimezone: [1]\nsettings: {cycles: 0, sequential: yes}\n"
        "flow: [{module: a:b}, {id: 2, module: a:b, filter: [{a: 1}]}]"
    ) == [
        "millrace: this file needs a newer Millrace; this one reads 1",
        "nam: unknown key; did you mean name?",
        "timezone: a text is expected, not a list; put it in quotes",
        "settings.cycles: must be at least 1",
        "settings.sequential: true or false is expected, not a text",
        "flow[0].id: is missing",
        "flow[1].filter[0]: a list is expected, not a map; "
        "write a list of lists: the outer is OR, the inner AND",
    ]


def test_structure_keys_belong_to_their_containers():
    assert problems_of(with_flow("  - {id: 1, module: a:b, routes: []}")) == [
        "flow[0].routes: belongs to flow:router only, not to a:b"
    ]


def test_containers_read_and_write():
    scenario = read_native(
        with_flow(
            "  - id: any\n    module: flow:any-of\n    triggers:\n"
            "      - {id: 1, module: webhooks:receive}\n"
            "      - {name: timer, flow: [{id: 2, module: tools:tick}]}\n"
            "  - id: if\n    module: flow:if\n    branches:\n"
            "      - {filter: '{{1.x}}', flow: [{id: 3, module: a:b}]}\n"
            "    else: [{id: 4, module: a:b}]\n    merge: {x: [1, 2]}\n"
            "  - id: each\n    module: flow:for-each\n    parameters: {array: '{{1.a}}'}\n"
            "    flow: [{id: 5, module: a:b}]\n"
        )
    )
    any_of, condition, each = scenario.flow

    assert any_of.routes[0] == Route(flow=(Module(id="1", module="webhooks:receive"),))
    assert any_of.routes[1].name == "timer"
    assert condition.routes[1] == Route(is_fallback=True, flow=(Module(id="4", module="a:b"),))
    assert each.flow[0].id == "5"
    assert read_native(write_native(scenario)) == scenario


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("{every: 90 seconds}", Schedule(kind="interval", every_seconds=90)),
        ("{every: 2h}", Schedule(kind="interval", every_seconds=7200)),
        ("{every: day}", Schedule(kind="interval", every_seconds=86400)),
        ('{cron: "0 7 * * 1-5"}', Schedule(kind="cron", cron="0 7 * * 1-5")),
        ("{daily: 07:00}", Schedule(kind="daily", at="07:00")),
        ('{weekly: [mon, 5], at: "06:00"}', Schedule(kind="weekly", days=(1, 5), at="06:00")),
        ('{monthly: [1, 31], at: "06:00"}', Schedule(kind="monthly", days=(1, 31), at="06:00")),
        (
            '{yearly: [24], months: [december], at: "06:00"}',
            Schedule(kind="yearly", days=(24,), months=(12,), at="06:00"),
        ),
        ("{once: 2026-12-01T08:00:00Z}", Schedule(kind="once", at="2026-12-01T08:00:00Z")),
        ("on-demand", Schedule(kind="on-demand")),
        ("instant", Schedule(kind="instant")),
        (
            "{instant: true, start: 2027-01-01, windows: [{days: [1], time: ['08:00', '17:00']}]}",
            Schedule(
                kind="instant",
                start="2027-01-01",
                windows=({"days": (1,), "time": ("08:00", "17:00")},),
            ),
        ),
    ],
)
def test_schedules_read_and_write(text, schedule):
    scenario = read_native(f"millrace: 1\nschedule: {text}\nflow: []")

    assert scenario.schedule == schedule
    assert read_native(write_native(scenario)) == scenario


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{every: 15}", "schedule.every: a number with a unit is expected, such as 15 minutes"),
        (
            "{every: 3 moons}",
            "schedule.every: a number with a unit is expected, such as 15 minutes",
        ),
        ("hourly", "schedule: must be one of on-demand, instant"),
        ("{monthly: [1]}", "schedule.at: is missing: the local time HH:MM"),
        ("{daily: 07:00, at: 08:00}", "schedule.at: means nothing with daily"),
        (
            "{weekly: [noday], at: 08:00}",
            "schedule.weekly[0]: a number or an English name is expected",
        ),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused(text, message):
    assert any(
        problem.startswith(message)
        for problem in problems_of(f"millrace: 1\nschedule: {text}\nflow: []")
    )


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_any_parameters_survive_being_written(parameters):
    scenario = Scenario(flow=(Module(id="1", module="a:b", parameters=parameters),))

    assert read_native(write_native(scenario)) == scenario
    assert read_native(json.loads(write_native(scenario, as_json=True))) == scenario
