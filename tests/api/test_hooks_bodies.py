"""What becomes of a request's body, however broken it is."""

from __future__ import annotations

import pytest

from millrace.expressions.values import Binary

from .gateway import clock_fixture, gateway_fixture  # noqa: F401 - fixtures

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
PARTS = {"content-type": "multipart/form-data; boundary=b"}
RECEIVE = """\
millrace: 1
schedule: instant
flow:
  - {id: 1, module: "webhooks:receive", webhook: w}
"""


def part(disposition: str, content: bytes, *more: str) -> bytes:
    lines = [f"Content-Disposition: form-data; {disposition}", *more]
    return b"--b\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + content + b"\r\n"


@pytest.fixture
def received(gateway):
    """The bundle that a request becomes."""

    async def received(body, headers=None, *, query=b"", method="POST", **settings):
        token = await gateway.webhook(**settings)
        await gateway.scenario(RECEIVE)
        answered = await gateway.call(
            token, body, headers=headers or {}, query=query, method=method
        )
        assert answered.status == 200, answered.body
        return await gateway.bundle()

    return received


@pytest.mark.parametrize(
    ("body", "bundle"),
    [
        (b'{"a": 1, "b": [true, null]}', {"a": 1, "b": [True, None]}),
        (b"[1, 2]", {"array": [1, 2]}),
        (b"[]", {"array": []}),
        (b'"text"', {"value": "text"}),
        (b"null", {"value": None}),
        (b"{}", {}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "Ž"}'.encode("utf-16"), {"a": "Ž"}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": 12345678901234567890123}', {"a": 12345678901234567890123}),
        (b'  {"a": "\\u0000"}\n', {"a": "\0"}),
        (b'{"": 1, "__proto__": {"x": 1}, "__IMTLENGTH__": 5}',
         {"": 1, "__proto__": {"x": 1}, "__IMTLENGTH__": 5}),
    ],
)  # fmt: skip
async def test_json_becomes_data(received, body, bundle):
    found = await received(body, JSON)
    if "12345678901234567890123" in str(bundle):
        found["a"] = int(found["a"])
        bundle = {"a": pytest.approx(bundle["a"])}
    assert found == bundle


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": ',
        b"{'a': 1}",
        b"\xff\xfe\xfa",
        b'{"a": "\xff"}x',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 2_000_000 + b"]" * 2_000_000,
        b"[" * 4_000_000,
        b'{"a": NaN}',
        b'{"a": "\\ud800"}x',
        b"\0",
        b"<a/>",
    ],
    ids=lambda body: f"{body[:8]!r} {len(body)}",
)
async def test_t18_json_that_is_broken_or_too_deep_is_refused(gateway, body):
    token = await gateway.webhook()
    answered = await gateway.call(token, body, headers=JSON)
    assert answered.status == 400
    assert answered.body.startswith(b"The body cannot be read: ")
    assert len(answered.body) < 300
    assert (await gateway.post(token, {})).status == 200


async def test_json_as_deep_as_allowed_is_taken(received):
    found = await received(b"[" * 99 + b"]" * 99, JSON)
    depth = 0
    value = found["array"]
    while value:
        value, depth = value[0], depth + 1
    assert depth == 98


async def test_a_broken_letter_in_json_does_not_cost_the_event(received):
    assert await received(b'{"a": "caf\xe9", "b": 1}', JSON) == {"a": "caf\ufffd", "b": 1}


async def test_json_that_imitates_a_file_stays_data(received):
    imitation = (
        b'{"file": {"name": "x", "mime": "text/plain", "data": {"id": "00", "size_bytes": 1}}}'
    )
    found = await received(imitation, JSON)
    assert found == {
        "file": {"name": "x", "mime": "text/plain", "data": {"id": "00", "size_bytes": 1}}
    }


async def test_a_form_and_a_query_become_texts_and_repeated_names_lists(received):
    found = await received(
        "name=Ž&city=%C5%BDilina+x&a=1&a=2&a=3&empty=".encode(), FORM, query=b"source=web&a=0"
    )
    assert found == {
        "source": "web",
        "name": "Ž",
        "city": "Žilina x",
        "a": ["1", "2", "3"],
        "empty": "",
    }


async def test_a_form_with_too_many_fields_is_refused(gateway):
    token = await gateway.webhook()
    assert (await gateway.call(token, b"a=1&" * 100_000, headers=FORM)).status == 400
    assert (await gateway.call(token, query=b"a=1&" * 2_000, method="GET")).status == 400


async def test_a_get_request_becomes_its_query(received):
    assert await received(b"", query=b"a=1&b=%20", method="GET") == {"a": "1", "b": " "}


async def test_parts_become_texts_and_files(gateway, received):
    content = bytes(range(256)) * 100
    body = (
        part('name="note"', "Žluť".encode())
        + part('name="photo"; filename="..\\..\\a b.png"', content, "Content-Type: image/png; x=1")
        + part('name="photo"; filename=""', b"")
        + b"--b--\r\n"
    )
    found = await received(body, PARTS)
    first, second = found.pop("photo")
    assert found == {"note": "Žluť"}
    binary = first.pop("data")
    assert isinstance(binary, Binary)
    assert first == {"name": "a b.png", "mime": "image/png"}
    files = gateway.runtime.services.vault.files(gateway.owner.team_id)
    assert files.read(binary) == content
    assert (second["name"], second["mime"]) == ("file", "application/octet-stream")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (part('name="a"', b"1"), PARTS, 400),
        (part('name="a"; filename="f"', b"x" * 10_000)[:-500], PARTS, 400),
        (b"", PARTS, 200),
        (b"no parts at all", PARTS, 400),
        (b"--b\r\nbroken header\r\n\r\n1\r\n--b--\r\n", PARTS, 400),
        (part("filename=f", b"1") + b"--b--\r\n", PARTS, 400),
        (part('name="a"', b"1") + b"--b--\r\n", {"content-type": "multipart/form-data"}, 400),
        (part('name="a"', b"") * 1_000 + b"--b--\r\n", PARTS, 200),
        (part('name="a"', b"") * 1_001 + b"--b--\r\n", PARTS, 413),
        (b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n" * 80_000, PARTS, 413),
        (b"--b\r\n" + b"X: y\r\n" * 100_000 + b"\r\n\r\n--b--\r\n", PARTS, 400),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_broken_parts_are_refused_and_leave_no_file(gateway, tmp_path, body, headers, status):
    token = await gateway.webhook()
    assert (await gateway.call(token, body, headers=headers)).status == status
    assert [path for path in (tmp_path / "data/files").rglob("*") if path.is_file()] == []


async def test_other_bodies_become_texts_or_files(gateway):
    token = await gateway.webhook()
    await gateway.scenario(RECEIVE)
    await gateway.call(
        token, "Ž".encode("cp1250"), headers={"content-type": "text/plain; charset=windows-1250"}
    )
    await gateway.call(token, b"<a>1</a>", headers={"content-type": "application/xml"})
    await gateway.call(token, b'{"a": 1}')
    await gateway.call(token, b"%PDF", headers={"content-type": "application/pdf"})
    text, xml, untold, file = await gateway.bundles(4)
    assert (text, xml, untold) == ({"value": "Ž"}, {"value": "<a>1</a>"}, {"a": 1})
    assert (file["data"].media_type, file["data"].size_bytes) == ("application/pdf", 4)


async def test_pass_through_gives_the_body_as_one_text(received):
    assert await received(b'{"a": 1', JSON, pass_through=True) == {"value": '{"a": 1'}


async def test_headers_and_method_come_along_when_asked_for(received):
    found = await received(
        b'{"__IMTMETHOD__": "imitated"}', {**JSON, "X-Y": "1"}, get_headers=True, get_method=True
    )
    assert found["__IMTMETHOD__"] == "POST"
    assert {"name": "x-y", "value": "1"} in found["__IMTHEADERS__"]
