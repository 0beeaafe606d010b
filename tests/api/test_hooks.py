"""Who may call a webhook, and what callers hear."""

from __future__ import annotations

from datetime import timedelta

import pytest

from .gateway import Gateway, clock_fixture, gateway_fixture  # noqa: F401 - fixtures

RECEIVE = """\
millrace: 1
schedule: instant
flow:
  - {id: 1, module: "webhooks:receive", webhook: w}
"""


async def test_t18_a_kept_event_is_accepted(gateway):
    token = await gateway.webhook()
    await gateway.scenario(RECEIVE)
    answered = await gateway.post(token, {"name": "Ada"})
    assert (answered.status, answered.body) == (200, b"Accepted")
    assert "sandbox" in answered.header("content-security-policy")
    assert await gateway.bundle() == {"name": "Ada"}


async def test_t18_unknown_disabled_and_expired_are_gone_alike(gateway, clock):
    disabled = await gateway.webhook("disabled")
    (view,) = await gateway.runtime.webhooks.all(by=gateway.owner)
    await gateway.runtime.webhooks.change(view.id, by=gateway.owner, is_enabled=False)
    url, _ = await gateway.runtime.webhooks.create(
        by=gateway.owner, name="expired", expires_in=timedelta(days=1)
    )
    expired = url.rpartition("/")[2]
    assert (await gateway.post(expired, {})).status == 200
    clock.move(days=1)
    answers = [await gateway.post(token, {}) for token in ("nothing", "", disabled, expired)]
    assert answers[0].status == 410
    assert all(answered == answers[0] for answered in answers)


async def test_t18_too_many_requests_hear_when_to_come_again(gateway, clock):
    token = await gateway.webhook(requests=2, per_seconds=10)
    statuses = [(await gateway.post(token, {})).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    answered = await gateway.post(token, {})
    assert answered.header("retry-after") == "6"
    clock.move(seconds=5)
    statuses = [(await gateway.post(token, {})).status for _ in range(2)]
    assert statuses == [200, 429]


async def test_a_limit_of_one_webhook_is_not_that_of_another(gateway):
    slow, other = await gateway.webhook(requests=1), await gateway.webhook("other")
    statuses = [(await gateway.post(token, {})).status for token in (slow, slow, other)]
    assert statuses == [200, 429, 200]


@pytest.mark.parametrize(
    ("client", "status"),
    [
        ("10.0.0.1", 200),
        ("110.0.0.11", 403),
        ("10.0.0.11", 403),
        ("::ffff:10.0.0.1", 200),
        ("::ffff:10.0.0.2", 403),
        ("192.0.2.200", 200),
        ("2001:db8::7", 200),
        ("2001:db9::7", 403),
        ("", 403),
        (None, 403),
        ("somewhere", 403),
    ],
)
async def test_only_allowed_addresses_may_call(gateway, client, status):
    token = await gateway.webhook(allow=["10.0.0.1", "192.0.2.0/24", "2001:db8::/32"])
    assert (await gateway.post(token, {}, client=client)).status == status


async def test_a_forwarded_address_is_believed_from_a_known_proxy_only(gateway):
    token = await gateway.webhook(allow=["10.0.0.1"])
    told = Gateway(gateway.runtime, gateway.owner, trusted_proxies=["192.0.2.9"])

    async def status(asked, client, *forwarded):
        headers = [("X-Forwarded-For", value) for value in forwarded]
        return (await asked.call(token, headers=headers, client=client)).status

    assert await status(gateway, "192.0.2.9", "10.0.0.1") == 403
    assert await status(told, "192.0.2.8", "10.0.0.1") == 403
    assert await status(told, "192.0.2.9", "10.0.0.1") == 200
    # What the caller wrote itself stands before what the proxy adds, in the same header or not.
    assert await status(told, "192.0.2.9", "10.0.0.1, 198.51.100.7") == 403
    assert await status(told, "192.0.2.9", "10.0.0.1", "198.51.100.7") == 403
    assert await status(told, "192.0.2.9", "198.51.100.7", "10.0.0.1, 192.0.2.9") == 200


async def test_another_method_than_the_one_taken_is_refused(gateway):
    token = await gateway.webhook(method="POST")
    assert (await gateway.call(token, method="GET")).status == 405
    assert (await gateway.call(token, method="POST")).status == 200


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(gateway):
    token = await gateway.webhook()
    size = {"content-length": str(10 * 1024 * 1024)}
    answered = await gateway.call(token, b"", headers=size, is_cut=True)
    assert answered.status == 413


async def test_a_body_that_turns_out_too_large_is_refused_while_it_arrives(gateway):
    token = await gateway.webhook()
    megabyte = bytes(1024 * 1024)
    assert (await gateway.call(token, [megabyte] * 6)).status == 413
    assert (await gateway.call(token, megabyte * 6)).status == 413
    assert (await gateway.call(token, [megabyte] * 5)).status == 200


@pytest.mark.parametrize("parts", [[], [b'{"a": 1'], [b'{"a": ', b"1}"]])
async def test_a_caller_that_leaves_in_the_middle_leaves_no_event(gateway, parts):
    token = await gateway.webhook()
    assert (await gateway.call(token, parts, is_cut=True)).status == 400
    (view,) = await gateway.runtime.webhooks.all(by=gateway.owner)
    assert await gateway.runtime.webhooks.queue(view.id, by=gateway.owner) == []


async def test_what_was_refused_is_in_the_log_of_requests_without_its_content(gateway):
    token = await gateway.webhook(structure=[{"name": "email", "type": "email", "required": True}])
    await gateway.post(token, {"email": "secret words"})
    (view,) = await gateway.runtime.webhooks.all(by=gateway.owner)
    (row,) = await gateway.runtime.webhooks.requests(view.id, by=gateway.owner)
    assert (row.status, row.method, row.address) == (400, "POST", "192.0.2.1")
    assert row.problem.startswith("email: ")
    assert "secret" not in row.problem


async def test_learning_takes_its_structure_from_the_next_request(gateway):
    token = await gateway.webhook(is_learning=True)
    assert (await gateway.post(token, {"qty": 2, "lines": [{"sku": "x"}]})).status == 200
    (view,) = await gateway.runtime.webhooks.all(by=gateway.owner)
    assert [field["name"] for field in view.settings.structure] == ["qty", "lines"]
    assert not view.is_learning
    answered = await gateway.post(token, {"qty": "two"})
    assert (answered.status, answered.body[:5]) == (400, b"qty: ")
    # Learning again, the old structure is not in the way of the new one.
    await gateway.runtime.webhooks.change(view.id, by=gateway.owner, is_learning=True)
    assert (await gateway.post(token, {"qty": "two"})).status == 200
    assert (await gateway.post(token, {"qty": "three"})).status == 200


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, b"name: a value is required."),
        ({"name": "Ada", "lines": [{"qty": 1}, {"qty": "x"}]}, b"lines[2].qty: "),
        ({"name": "Ada", "lines": [{}]}, b"lines[1].qty: a value is required."),
        ({"name": "Ada", "tags": ["a", {"b": 1}]}, b"tags[2]: "),
        ({"name": "Ada", "address": {"zip": [[]]}}, b"address.zip: "),
        ({"name": "Ada", "born": "tomorrow-ish"}, b"born: "),
    ],
)
async def test_t18_what_does_not_fit_the_structure_is_refused_by_the_fields_name(
    gateway, given, problem
):
    structure = [
        {"name": "name", "type": "text", "required": True},
        {
            "name": "lines",
            "type": "array",
            "fields": [{"name": "qty", "type": "number", "required": True}],
        },
        {"name": "tags", "type": "array", "item": "text"},
        {"name": "address", "type": "collection", "fields": [{"name": "zip", "type": "number"}]},
        {"name": "born", "type": "date"},
    ]
    token = await gateway.webhook(structure=structure)
    answered = await gateway.post(token, given)
    assert answered.status == 400
    assert answered.body.startswith(problem)


async def test_a_strict_structure_refuses_what_it_does_not_name(gateway):
    structure = [{"name": "a", "type": "number"}]
    loose = await gateway.webhook(structure=structure)
    strict = await gateway.webhook("strict", structure=structure, is_strict=True)
    assert (await gateway.post(loose, {"a": "1", "b": 2})).status == 200
    answered = await gateway.post(strict, {"a": "1", "b": 2})
    assert (answered.status, answered.body[:2]) == (400, b"b:")
