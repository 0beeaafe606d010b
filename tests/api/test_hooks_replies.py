"""What a caller hears when a scenario answers it, or fails to."""

from __future__ import annotations

import asyncio
import json

import pytest

from .gateway import Gateway, clock_fixture, gateway_fixture  # noqa: F401 - fixtures

JSON = {"content-type": "application/json"}
FAILED = (500, b"Scenario failed to complete.")


def scenario(*modules: str, settings: str = "{}") -> str:
    lines = [
        "millrace: 1",
        "schedule: instant",
        f"settings: {settings}",
        "flow:",
        '  - {id: 1, module: "webhooks:receive", webhook: w}',
    ]
    return "\n".join([*lines, *(f"  - {module}" for module in modules)])


def respond(id: int, parameters: str) -> str:
    return f'{{id: {id}, module: "webhooks:respond", parameters: {parameters}}}'


THROW = '{id: 8, module: "flow:throw", parameters: {message: "no luck"}}'
SLEEP = '{id: 5, module: "tools:sleep", parameters: {duration: "{{1.seconds}}"}}'


@pytest.fixture
def replied(gateway):
    """What a scenario answers to one request."""

    async def replied(*modules, settings="{}", body=b"{}", headers=JSON, **options):
        token = await gateway.webhook()
        await gateway.scenario(scenario(*modules, settings=settings))
        return await gateway.call(token, body, headers=headers, **options)

    return replied


async def test_t18_a_scenario_answers_with_status_headers_and_text(replied):
    answered = await replied(
        respond(
            2,
            '{status: 201, body: "made {{1.n}}", headers: '
            "[{key: X-Made, value: '{{1.n}}'}, {key: Cache-Control, value: max-age=60}, "
            "{key: Set-Cookie, value: a=b}, {key: Content-Security-Policy, value: none}]}",
        ),
        body=b'{"n": 7}',
    )
    assert (answered.status, answered.body) == (201, b"made 7")
    assert answered.header("x-made") == "7"
    assert answered.header("content-type") == "text/plain; charset=utf-8"
    assert answered.header("cache-control") == "max-age=60"
    assert answered.header("set-cookie") is None
    assert answered.header("content-security-policy").startswith("sandbox")


async def test_t18_data_is_answered_as_json(replied):
    answered = await replied(
        respond(2, "{json: {name: '{{1.name}}', all: '{{1.list}}', big: '{{1.big}}'}}"),
        body=json.dumps({"name": "Ž\ud800"[:1], "list": [1, None], "big": 2**70}).encode(),
    )
    assert answered.header("content-type") == "application/json"
    assert json.loads(answered.body)["name"] == "Ž"
    assert json.loads(answered.body)["all"] == [1, None]


async def test_a_file_is_answered_with_its_bytes_and_type(replied):
    content = bytes(range(256)) * 40
    answered = await replied(
        respond(2, "{body: '{{1.data}}'}"), body=content, headers={"content-type": "image/png"}
    )
    assert (answered.status, answered.body) == (200, content)
    assert answered.header("content-type") == "image/png"
    assert answered.header("x-content-type-options") == "nosniff"


async def test_a_file_inside_json_is_an_error_and_not_a_crash(replied):
    answered = await replied(
        respond(2, "{json: {file: '{{1.data}}'}}"),
        body=b"\x89PNG",
        headers={"content-type": "image/png"},
    )
    assert answered.status in (200, 500)


@pytest.mark.parametrize("status", [204, 304])
async def test_what_may_have_no_body_has_none(replied, status):
    answered = await replied(respond(2, f"{{status: {status}, body: text}}"))
    assert (answered.status, answered.body) == (status, b"")
    assert answered.header("content-length") is None


async def test_head_hears_the_headers_alone(replied):
    answered = await replied(respond(2, "{body: text}"), body=b"", method="HEAD")
    assert (answered.status, answered.body) == (200, b"")
    assert answered.header("content-length") == "4"


@pytest.mark.parametrize(
    "header",
    [
        "{key: Location, value: 'javascript:alert(1)'}",
        "{key: 'X-A: b', value: c}",
        '{key: X-A, value: "b\\r\\nSet-Cookie: c=d"}',
        "{key: Transfer-Encoding, value: chunked}",
    ],
)
async def test_a_header_that_would_do_harm_never_gets_out(replied, header):
    answered = await replied(respond(2, f"{{body: text, headers: [{header}]}}"))
    assert answered.header("location") is None
    assert answered.header("set-cookie") is None
    assert answered.header("transfer-encoding") is None
    assert not any(name.startswith("x-a") for name, _ in answered.headers)


async def test_the_first_response_wins(replied):
    answered = await replied(respond(2, "{body: first}"), respond(3, "{body: second, status: 201}"))
    assert (answered.status, answered.body) == (200, b"first")


async def test_t18_a_scenario_that_fails_before_it_responds_says_so(replied):
    settings = "{keep_incomplete: none}"
    answered = await replied(THROW, respond(9, "{body: never}"), settings=settings)
    assert (answered.status, answered.body) == FAILED
    assert b"no luck" not in answered.body


async def test_t18_a_scenario_that_never_responds_has_accepted(replied):
    answered = await replied(
        '{id: 2, module: "flow:router", routes: [{filter: "{{1.n = 1}}", flow: ['
        + respond(3, "{body: never}")
        + "]}]}"
    )
    assert (answered.status, answered.body) == (200, b"Accepted")


async def test_with_auto_commit_a_response_is_out_before_a_later_failure(replied):
    settings = "{keep_incomplete: none}"
    answered = await replied(
        respond(2, "{body: done}"), SLEEP, THROW, settings=settings, body=b'{"seconds": 1}'
    )
    assert (answered.status, answered.body) == (200, b"done")


@pytest.mark.parametrize("between", [(), (SLEEP,)])
async def test_without_auto_commit_a_later_failure_takes_the_responses_place(replied, between):
    settings = "{keep_incomplete: none, auto_commit: false}"
    body = b'{"seconds": 1}'
    answered = await replied(
        respond(2, "{body: done}"), *between, THROW, settings=settings, body=body
    )
    assert (answered.status, answered.body) == FAILED


async def test_without_auto_commit_the_response_comes_when_all_went_well(replied):
    answered = await replied(
        respond(2, "{body: done}"), SLEEP, settings="{auto_commit: false}", body=b'{"seconds": 1}'
    )
    assert (answered.status, answered.body) == (200, b"done")


async def test_a_caller_that_has_waited_long_enough_hears_that_it_was_accepted(gateway):
    patient = Gateway(gateway.runtime, gateway.owner, reply_seconds=0.05)
    token = await gateway.webhook()
    await gateway.scenario(scenario(SLEEP, respond(2, "{body: late}")))
    answered = await patient.post(token, {"seconds": 1})
    assert (answered.status, answered.body) == (200, b"Accepted")
    (row,) = await gateway.executions(1)
    assert row.status == "success"


async def test_an_execution_that_leaves_memory_still_answers_its_caller(gateway, clock):
    token = await gateway.webhook()
    await gateway.scenario(scenario(SLEEP, respond(2, "{body: 'after {{1.seconds}}'}")))
    asking = asyncio.ensure_future(gateway.post(token, {"seconds": 60}))
    await gateway.parked()
    assert not asking.done()
    clock.move(seconds=61)
    gateway.runtime.queue.wake()
    answered = await asyncio.wait_for(asking, 5)
    assert (answered.status, answered.body) == (200, b"after 60")


async def test_a_caller_of_an_ordered_scenario_that_must_wait_hears_accepted_at_once(gateway):
    token = await gateway.webhook()
    failing = '{id: 3, module: "json:parse", parameters: {json: "{{1.json}}"}}'
    await gateway.scenario(
        scenario(failing, respond(2, "{body: done}"), settings="{sequential: true}")
    )
    assert (await gateway.post(token, {"json": "[1]"})).body == b"done"
    assert (await gateway.post(token, {"json": "["})).status == 200
    answered = await asyncio.wait_for(gateway.post(token, {"json": "[2]"}), 5)
    assert (answered.status, answered.body) == (200, b"Accepted")
