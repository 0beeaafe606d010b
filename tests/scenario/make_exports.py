"""Exports in the manner of Make's editor, its API and those who write them by hand; all made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millrace.scenario.formats import MakeModule

Json = dict[str, Any]

KNOWN: Mapping[str, MakeModule] = {
    "http:ActionSendData": MakeModule(
        module="http:request",
        rename={"qs": "query", "data": "body", "serializeUrl": "", "parseResponse": "parse"},
        values={"method": {"get": "GET", "post": "POST", "put": "PUT"}},
        static=("handleErrors",),
    ),
    "http:ActionSendDataBasicAuth": MakeModule(
        module="http:request", constants={"auth": "basic"}, resource={"key": "key"}
    ),
    "gateway:CustomWebHook": MakeModule(
        module="webhooks:receive", resource={"hook": "webhook"}, static=("hook", "maxResults")
    ),
    "util:FunctionSleep": MakeModule(module="tools:sleep"),
    "util:TextAggregator": MakeModule(
        module="tools:text-aggregator",
        rename={"feeder": "source", "rowSeparator": "layout.separator"},
    ),
}


def module(id: Any, name: str, /, **more: Any) -> Json:
    """A module as the editor exports it."""
    return {
        "id": id,
        "module": name,
        "version": 1,
        "parameters": {},
        "mapper": {},
        "metadata": {"designer": {"x": 300 * id if isinstance(id, int) else 0, "y": 0}},
        **more,
    }


def export(*flow: Json, **more: Any) -> Json:
    """A file of the editor."""
    return {
        "name": "Orders",
        "flow": list(flow),
        "metadata": {
            "instant": False,
            "version": 1,
            "scenario": {
                "roundtrips": 1,
                "maxErrors": 3,
                "autoCommit": True,
                "autoCommitTriggerLast": True,
                "sequential": False,
                "slots": None,
                "confidential": False,
                "dataloss": False,
                "dlq": False,
                "freshVariables": False,
            },
            "designer": {"orphans": []},
            "zone": "eu1.make.com",
        },
        **more,
    }


WHEN = {"name": "big", "conditions": [[{"a": "{{1.total}}", "o": "number:greater", "b": "9"}]]}

ROUTED = export(
    module(
        1,
        "gateway:CustomWebHook",
        parameters={"hook": 77, "maxResults": 1},
        metadata={
            "designer": {"x": 0, "y": 0, "name": "Order comes in"},
            "restore": {"parameters": {"hook": {"label": "Orders"}}},
            "parameters": [{"name": "hook", "type": "hook:gateway-webhook", "label": "Webhook"}],
        },
    ),
    module(
        2,
        "builtin:BasicRouter",
        parameters={"else": 1},
        mapper=None,
        filter=None,
        routes=[
            {
                "flow": [
                    module(
                        3,
                        "http:ActionSendData",
                        version=3,
                        parameters={"handleErrors": True},
                        filter=WHEN,
                        mapper={
                            "url": "https://shop.example/{{1.id}}",
                            "method": "post",
                            "qs": [{"name": "a", "value": "{{1.a}}"}],
                            "serializeUrl": False,
                        },
                        onerror=[
                            module(
                                6,
                                "builtin:Break",
                                mapper={"retry": True, "count": "3", "interval": "15"},
                            )
                        ],
                    )
                ]
            },
            {
                "flow": [
                    module(
                        4,
                        "google-sheets:addRow",
                        version=2,
                        parameters={"__IMTCONN__": 99},
                        mapper={"values": {"0": "{{1.id}}"}},
                        filter={"name": "the rest", "conditions": []},
                    )
                ]
            },
            {"disabled": True, "flow": [module(5, "placeholder:Placeholder")]},
        ],
    ),
)

AGGREGATED = export(
    module(1, "builtin:BasicFeeder", mapper={"array": "{{1.lines}}"}),
    module(
        2,
        "builtin:BasicAggregator",
        parameters={"feeder": 1, "target": "5.rows"},
        mapper={"sku": "{{1.sku}}", "source": "shop"},
        flags={"groupBy": "{{1.kind}}", "stopIfEmpty": True},
    ),
    module(
        3,
        "util:TextAggregator",
        parameters={"feeder": "1", "rowSeparator": "\n"},
        mapper={"value": "{{1.sku}}"},
    ),
)

BRANCHED = export(
    module(1, "util:SetVariables"),
    module(
        2,
        "builtin:BasicIfElse",
        mapper=None,
        branches=[
            {
                "type": "condition",
                "label": "Big",
                "conditions": WHEN["conditions"],
                "merge": True,
                "disabled": False,
                "flow": [module(4, "util:SetVariable2")],
            },
            {"type": "else", "label": "Else", "merge": True, "disabled": False, "flow": []},
            {
                "type": "condition",
                "label": "Stops",
                "conditions": [[{"a": "{{1.x}}", "o": "exist"}]],
                "merge": False,
                "disabled": False,
                "flow": [],
            },
        ],
    ),
    module(
        3,
        "builtin:BasicMerge",
        mapper=None,
        outputs=[{"name": "size", "mappings": ["{{4.value}}", "small"]}],
        filters=[None, None],
    ),
    module(5, "http:ActionSendData", version=3, mapper={"url": "{{3.size}}"}),
)

BY_HAND = {
    "name": "Written by hand",
    "flow": [
        {"id": "1", "module": "gateway:CustomWebHook", "version": "1", "parameters": {"hook": ""}},
        {
            "id": 2,
            "module": "builtin:BasicRouter",
            "parameters": {"else": "7"},
            "routes": [
                {"flow": [3], "filter": {"name": "hot", "conditions": [
                    [{"a": "{{1.score}}", "o": "numeric:greaterequal", "b": "70"}]]}},
                {"condition": "{{1.score < 70}}", "disabled": "true", "flow": []},
            ],
        },
        {"id": 3, "module": "http:ActionSendData", "mapper": None, "filter": None,
         "parameters": {"url": "https://a.example", "method": "GET"}},
        {"id": None, "module": "placeholder:Placeholder"},
        {"id": 4, "module": "builtin:Sleep", "mapper": {"timeout": 15}, "filter": {
            "conditions": [{"a": "{{1.a}}", "o": "string:equal", "b": ""}]}},
        {"id": 4, "module": "acme:Unknown", "version": 7, "metadata": None, "tools": [{"a": 1}],
         "onerror": [], "name": "ours", "parameters": {"both": 1}, "mapper": {"both": "2"}},
    ],
    "metadata": {"instant": "true", "scenario": {"roundtrips": "0", "dlq": "true"}},
    "_note": "kept",
}  # fmt: skip

ALL = {
    "routed": ROUTED,
    "aggregated": AGGREGATED,
    "branched": BRANCHED,
    "by hand": BY_HAND,
    "empty": {"flow": []},
    "wrapped": {"blueprint": ROUTED},
    "template": {
        "blueprint": AGGREGATED,
        "controller": {"name": "x", "idSequence": 9},
        "scheduling": {"type": "daily", "time": "07:30"},
        "language": "en",
        "metadata": None,
    },
    "answer": {
        "code": "OK",
        "response": {
            "blueprint": BRANCHED,
            "scheduling": {"type": "indefinitely", "interval": "3600"},
            "lastEdit": "2026-01-01T00:00:00.000Z",
        },
    },
    "clipboard": {
        "subflows": [{"flow": [module(9, "a:B")]}, {"flow": ROUTED["flow"]}],
        "metadata": {"version": 1},
    },
    "list of flows": [{"flow": [module(1, "a:B")]}],
    "list of modules": [module(1, "a:B"), module(2, "a:C")],
    "scheduled inside": export(
        module(1, "a:B"),
        scheduling={
            "type": "weekly",
            "days": [1, 5],
            "time": "08:00:00",
            "between": ["2027-01-01T00:00:00.000Z", "2027-06-01T00:00:00.000Z"],
            "restrict": [{"days": [1], "months": [2], "time": ["08:00", "17:00"]}],
        },
        interface={"input": [{"name": "note", "type": "text", "required": True}]},
    ),
}
