"""What will become of an export, said before it is imported."""

from __future__ import annotations

import json

from make_exports import ALL, BY_HAND, KNOWN, ROUTED, export, module

from millrace.scenario.formats import compatibility, read_make


def test_each_module_says_what_becomes_of_it():
    report = compatibility(ROUTED, KNOWN)

    assert [(one.id, one.make, one.module, one.status) for one in report.modules] == [
        ("1", "gateway:CustomWebHook", "webhooks:receive", "runs"),
        ("2", "builtin:BasicRouter", "flow:router", "runs"),
        ("3", "http:ActionSendData", "http:request", "runs"),
        ("6", "builtin:Break", "flow:break", "runs"),
        ("4", "google-sheets:addRow", "google-sheets:addRow", "unknown"),
        ("5", "placeholder:Placeholder", "placeholder:Placeholder", "placeholder"),
    ]
    assert report.modules_share == 4 / 5
    assert (report.expressions, report.expressions_share) == (4, 1.0)


def test_what_is_known_but_not_installed_does_not_run():
    report = compatibility(ROUTED, KNOWN, lookup=lambda name, version: None)

    assert [one.status for one in report.modules if one.id in ("1", "2")] == ["unknown", "runs"]


def test_a_module_with_a_connection_needs_one():
    data = export(module(1, "http:ActionSendDataBasicAuth", parameters={"key": 5}))

    assert compatibility(data, KNOWN).modules[0].status == "needs a connection"


def test_bindings_say_what_must_be_chosen():
    (hook, sheet) = compatibility(ROUTED, KNOWN).bindings

    assert (hook.kind, hook.name, hook.label) == ("webhook", "Orders 77", "Orders")
    assert (hook.type, hook.parameter, hook.modules) == ("gateway-webhook", "hook", ("1",))
    assert (sheet.kind, sheet.app, sheet.modules) == ("connection", "google-sheets", ("4",))


def test_broken_expressions_say_where_and_why():
    data = export(
        module(1, "a:B", mapper={"x": ["{{1.a}}", "{{nope(1)}}"]}),
        module(2, "a:C", parameters={"x": "{{nope(1)}}"}),
    )
    report = compatibility(data)

    # What stands in Make's static parameters is never evaluated.
    assert (report.expressions, report.expressions_share) == (2, 0.5)
    (broken,) = report.broken
    assert (broken.path, broken.module_id) == ("flow[0].parameters.x[1]", "1")
    assert "nope" in broken.message


def test_operators_that_were_put_right_are_named():
    report = compatibility(BY_HAND, KNOWN)

    assert [(one.path, one.found, one.read_as) for one in report.operators] == [
        ("flow[1].routes[0].filter[0][0]", "numeric:greaterequal", "number:greaterorequal"),
        ("flow[3].filter[0][0]", "string:equal", "text:equal"),
    ]


def test_what_is_kept_but_never_runs_is_said():
    data = export(
        module(1, "builtin:BasicRouter", mapper=None, routes=[{"flow": [module(2, "a:B")]}]),
        module(3, "a:C", tools=[{"name": "t"}]),
    )
    data["metadata"]["designer"]["orphans"] = [[module(9, "a:B")]]

    assert compatibility(data).notes == (
        "1 chain of modules not attached to the flow: kept, never run",
        "flow[0]: what follows a router never runs",
        "flow[1]: the tools of an agent are kept and not offered to it",
    )
    assert compatibility(ALL["clipboard"]).notes == (
        "1 other flow in the same file: kept, never run",
    )


def test_the_report_is_a_page_and_plain_data():
    report = compatibility(read_make(BY_HAND, KNOWN), KNOWN)
    page = str(report)

    assert page.startswith(
        "Written by hand\nmodules that run: 4 of 5 (80 %)\nexpressions that parse: 3 of 3 (100 %)\n"
    )
    assert "acme:Unknown" in page
    assert "no installed app offers it" in page
    assert "numeric:greaterequal → number:greaterorequal" in page
    assert json.loads(json.dumps(report.as_data()))["modules_share"] == 0.8


def test_a_share_is_never_rounded_up_to_all():
    flow = [module(n, "http:ActionSendData") for n in range(1, 300)]
    page = str(compatibility(export(*flow, module(300, "a:B")), KNOWN))

    assert "modules that run: 299 of 300 (99 %)" in page
