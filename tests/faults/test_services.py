"""A service that fails in the middle of a scenario: who, why and what to do is said.

Each scenario writes a record before it calls the service, so that it can be seen that what was done
stays done.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zipfile
from contextlib import suppress

import pytest

BEFORE = '{id: 1, module: "data-store:add", data_store: done, parameters: {key: before}}'
AFTER = '{id: 9, module: "data-store:add", data_store: done, parameters: {key: after}}'


@pytest.fixture
async def ask(site):
    """Runs: a record, a request, a record; answers the execution and the keys that stayed."""
    store = await site.runtime.data_stores.create(by=site.owner, name="done")

    async def ask(path, more="", settings="{keep_incomplete: listed}"):
        url = path if path.startswith("http") else site.practice.url + path
        request = f'{{id: 2, module: "http:request", parameters: {{url: "{url}"{more}}}}}'
        row = await site.run(BEFORE, request, AFTER, settings=settings)
        records = await site.runtime.data_stores.records(store.id, by=site.owner)
        return row, sorted(record.key for record in records)

    return ask


@pytest.mark.parametrize(
    ("switch", "type_", "said"),
    [
        ({"hang": True}, "ModuleTimeoutError", "127.0.0.1 did not answer within 1 second"),
        ({"delay_seconds": 20}, "ModuleTimeoutError", "127.0.0.1 did not answer within 1 second"),
        ({"reset": True}, "ConnectionError", "127.0.0.1 closed the connection"),
        ({"half_body": True}, "ConnectionError", "in the middle of its answer"),
        ({"status": 429, "retry_after": 7}, "RateLimitError", "a switch is on (429)"),
        ({"status": 503}, "ConnectionError", "a switch is on (503)"),
        ({"status": 504}, "ConnectionError", "a switch is on (504)"),
        ({"status": 500}, "RuntimeError", "a switch is on (500)"),
        ({"status": 401}, "InvalidAccessTokenError", "a switch is on (401)"),
        ({"status": 404}, "DataError", "a switch is on (404)"),
    ],
    ids=str,
)
async def test_a_service_that_fails_is_named_and_what_was_done_stays(
    site, ask, switch, type_, said
):
    await site.switch(path="/shop", times=1, **switch)
    row, keys = await ask("/shop/products/lamp", ", timeout: 1")
    # Of an error of the type RuntimeError Make keeps nothing; the settings here are Make's.
    assert row.status == ("error" if type_ == "RuntimeError" else "warning")
    assert (row.error_type, row.error_module) == (type_, "2")
    assert row.error_message.startswith('HTTP, module 2 "Make a request": ')
    assert said in row.error_message
    assert keys == ["before"]
    kept = await site.runtime.incomplete.page(by=site.owner)
    assert [one.error_module for one in kept] == ([] if row.status == "error" else ["2"])
    details = await site.runtime.history.get(row.id, by=site.owner)
    failed = details.operations[1]
    assert (failed.module, failed.error["type"]) == ("2", type_)
    assert failed.input["url"] == site.practice.url + "/shop/products/lamp"
    await site.still_works()


@pytest.mark.parametrize("body", ['{"a": ', "[" * 5_000_000, "<html>"], ids=len)
async def test_an_answer_that_is_not_what_it_says_comes_as_text(site, ask, body):
    await site.switch(path="/shop", times=1, status=200, body=body)
    row, keys = await ask("/shop/products/lamp")
    assert (row.status, keys) == ("success", ["after", "before"])
    (given,) = await site.output(row, "2")
    assert given["data"] == body
    await site.still_works()


async def test_an_address_without_a_server_is_named(site, ask):
    row, _ = await ask("http://127.0.0.1:1/x")
    assert row.error_type == "ConnectionError"
    assert row.error_message == (
        'HTTP, module 2 "Make a request": 127.0.0.1 refuses connections; is the service running?'
    )
    await site.still_works()


async def test_a_wait_that_the_service_asks_for_is_kept_to(site, ask):
    await site.switch(path="/shop", times=1, status=429, retry_after=3600)
    row, _ = await ask("/shop/products/lamp")
    assert row.status == "warning"
    (kept,) = await site.runtime.incomplete.page(by=site.owner)
    assert kept.retry_at_ms - kept.created_at_ms >= 3_600_000


@pytest.mark.parametrize(
    ("module", "parameters", "said"),
    [
        ("json:parse", {"json": "[" * 2_000}, "nested more than 100 levels"),
        ("json:parse", {"json": '{"a": '}, "it ends too early at line 1"),
        (
            "xml:parse",
            {
                "xml": '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">'
                '<!ENTITY d "&c;&c;&c;&c;">]><a>&d;&d;&d;</a>'
            },
            "document type (<!DOCTYPE …>), which is refused; remove it",
        ),
        (
            "xml:parse",
            {"xml": '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'},
            "document type (<!DOCTYPE …>), which is refused; remove it",
        ),
        ("xml:parse", {"xml": "<a>" * 100_000}, "not well-formed XML at line 1"),
        ("csv:parse", {"csv": '"a,b\n' * 1000}, "line 1: "),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_data_that_is_made_to_do_harm_does_none(site, module, parameters, said):
    given = json.dumps(parameters)
    row = await site.run(
        f'{{id: 2, module: "{module}", parameters: {given}}}',
        '{id: 3, module: "tools:compose", parameters: {value: "{{2}}"}}',
        settings="{keep_incomplete: none}",
        force=True,
    )
    assert (row.status, row.error_module) == ("error", "2")
    assert "module 2" in row.error_message
    assert said in row.error_message
    assert len(row.error_message) < 300
    await site.still_works()


@pytest.mark.parametrize(
    ("module", "cause", "remedy"),
    [
        (
            '{id: 2, module: "email:send", connection: missing, '
            "parameters: {to: [a@example.com], subject: s, text: t}}",
            "no connection 'missing'",
            "Create it, or choose another",
        ),
        (
            '{id: 2, module: "data-store:count", data_store: missing}',
            "no data store 'missing'",
            "Create it, or choose another",
        ),
    ],
)
async def test_what_is_missing_is_told_before_anything_is_done(site, module, cause, remedy):
    store = await site.runtime.data_stores.create(by=site.owner, name="done")
    row = await site.run(BEFORE, module, force=True)
    assert (row.status, row.error_module, row.operations) == ("error", "2", 0)
    assert "module 2" in row.error_message
    assert cause in row.error_message
    assert remedy in row.error_message
    assert await site.runtime.data_stores.records(store.id, by=site.owner) == []
    assert await site.runtime.incomplete.page(by=site.owner) == []
    await site.still_works()


async def test_a_module_that_is_not_installed_fails_when_it_is_reached(site):
    store = await site.runtime.data_stores.create(by=site.owner, name="done")
    row = await site.run(BEFORE, '{id: 2, module: "moon:land", parameters: {}}', AFTER, force=True)
    assert row.error_module == "2"
    assert "there is no module moon:land in this installation" in row.error_message
    records = await site.runtime.data_stores.records(store.id, by=site.owner)
    assert [record.key for record in records] == ["before"]
    await site.still_works()


def bomb() -> bytes:
    """A zip of one entry: 1.5 GB of zeros in 1.5 MB."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("z", "w") as out:
        for _ in range(1500):
            out.write(bytes(1024 * 1024))
    return made.getvalue()


async def test_a_bomb_in_an_archive_is_refused(site):
    files = site.runtime.services.vault.files(site.owner.team_id)
    binary = files.keep(bomb(), name="bomb.zip", media_type="application/zip")
    lines = [
        "millrace: 1",
        "settings: {keep_incomplete: none}",
        "flow:",
        '  - {id: 1, module: "webhooks:receive", webhook: w}',
        '  - {id: 2, module: "archive:extract", parameters: {data: "{{1.data}}"}}',
    ]
    await site.runtime.webhooks.create(by=site.owner, name="w")
    saved = await site.runtime.scenarios.create(by=site.owner, text="\n".join(lines))
    await site.runtime.scenarios.publish(saved.scenario.id, by=site.owner, force=True)
    program = await site.runtime.programs.published(site.owner.team_id, saved.scenario.id)
    _, done = await site.runtime.executions.start(program, bundles=[{"data": binary}])
    row = (await done).row
    assert (row.status, row.error_module) == ("error", "2")
    assert row.error_message == (
        'Archive, module 2 "Extract an archive": '
        "the archive holds more than 100 times its own size; it looks like a trap"
    )
    await site.still_works()


async def test_a_body_that_unpacks_without_end_is_cut_off(site, ask):
    packed = gzip.compress(bytes(600 * 1024 * 1024), 9)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
            f"Content-Length: {len(packed)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + packed)
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        row, keys = await ask(f"http://127.0.0.1:{port}/x")
    finally:
        server.close()
    assert (row.error_type, row.error_module) == ("MaxFileSizeExceededError", "2")
    assert keys == ["before"]
    await site.still_works()
