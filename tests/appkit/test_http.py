"""The HTTP client against a service that behaves badly in every way it can."""

import asyncio
import gzip
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from millrace.appkit.guard import Guard
from millrace.appkit.http import CookieJar, HttpClient
from millrace.appkit.messages import retry_after
from millrace.errors import (
    BundleValidationError,
    ConnectionFailure,
    DataError,
    InvalidConfigurationError,
    MaxFileSizeExceededError,
    ModuleTimeoutError,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_request_carries_what_it_is_given(service, http, answers):
    service.answers = [answers(201, b'{"id": 7}', headers=[("Content-Type", "application/json")])]

    response = await http.request(
        "post",
        f"{service.url}/items?a=1",
        headers={"X-Shop": "42"},
        query={"tag": ["x y", "ä"], "none": None},
        json={"name": "Čaj", "price": 2.0},
    )

    (request,) = service.received
    assert (request.method, request.target) == ("POST", "/items?a=1&tag=x%20y&tag=%C3%A4")
    assert request.headers["x-shop"] == "42"
    assert request.headers["content-type"] == "application/json"
    assert request.body == '{"name":"Čaj","price":2}'.encode()
    assert (response.status, response.json(), response.media_type) == (
        201,
        {"id": 7},
        "application/json",
    )


@pytest.mark.parametrize("status", [204, 400, 404, 500, 503])
async def test_any_status_is_an_answer(status, service, http, answers):
    service.answers = [answers(status)]

    assert (await http.request("GET", service.url)).status == status


async def test_a_get_has_no_content_length_and_an_empty_post_has_zero(service, http, answers):
    service.answers = [answers()]

    await http.request("GET", service.url)
    await http.request("POST", service.url)

    assert "content-length" not in service.received[0].headers
    assert service.received[1].headers["content-length"] == "0"


async def test_a_form_is_encoded(service, http, answers):
    service.answers = [answers()]

    await http.request("POST", service.url, form=[("a", "1 2"), ("b", True), ("a", 3.0)])

    assert service.received[0].body == b"a=1+2&b=true&a=3"


async def test_a_multipart_body_holds_texts_and_files(service, http, files, answers):
    service.answers = [answers()]
    photo = files.keep(b"\x89PNG", name='a"b\r\n.png', media_type="image/png")

    await http.request("POST", service.url, multipart=[("title", "Hi"), ("photo", photo)])

    (request,) = service.received
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="title"\r\n\r\nHi\r\n' in request.body
    assert b'filename="a%22b%0D%0A.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG' in request.body


async def test_a_file_is_sent_as_it_is(service, http, files, answers):
    service.answers = [answers()]
    content = bytes(range(256)) * 1000
    file = files.keep(content, name="x.bin", media_type="application/x-thing")

    await http.request("PUT", service.url, content=file)

    assert service.received[0].body == content
    assert service.received[0].headers["content-type"] == "application/x-thing"


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "content-length", "Transfer-Encoding", "Connection", "X-Forwarded-For"),
        *("Proxy-Authorization", "Upgrade", "Expect"),
    ],
)
async def test_T074_headers_of_the_connection_itself_are_refused(name, http, service):
    with pytest.raises(BundleValidationError, match="may not be set"):
        await http.request("GET", service.url, headers={name: "1"})

    assert service.received == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "1\r\nX-B: 2"), ("X-A", "1\n2"), ("X-A", "a\x00b"), ("X\r\nY", "1"), ("X A", "1")],
)
async def test_T087_line_breaks_never_reach_a_header(name, value, http, service):
    with pytest.raises(BundleValidationError):
        await http.request("GET", service.url, headers={name: value})

    assert service.received == []


async def test_T087_a_line_break_in_the_address_is_refused(http, service):
    with pytest.raises(InvalidConfigurationError):
        await http.request("GET", f"{service.url}/a\r\nX-B: 2")


async def test_a_service_that_hangs_is_given_up(service, http):
    service.answers = [None]

    with pytest.raises(
        ModuleTimeoutError, match=r"127\.0\.0\.1 did not answer within 0\.2 seconds"
    ):
        await http.request("GET", service.url, timeout_seconds=0.2)


async def test_a_body_that_trickles_is_given_up_in_the_time_of_the_whole_request(
    service, http, answers
):
    service.answers = [answers(200, b"half", length=8)]

    with pytest.raises(ModuleTimeoutError):
        await http.request("GET", service.url, timeout_seconds=0.2)


async def test_a_line_that_is_cut_says_that_the_service_may_have_seen_the_request(service, http):
    service.answers = ["reset"]

    with pytest.raises(ConnectionFailure, match="without an answer") as failed:
        await http.request("POST", service.url)

    assert failed.value.detail == {"sent": True}


async def test_half_a_body_is_a_failure(service, http):
    service.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf"]

    with pytest.raises(ConnectionFailure, match="in the middle of its answer"):
        await http.request("GET", service.url)


async def test_no_http_at_all_is_a_failure(service, http):
    service.answers = [b"SSH-2.0-OpenSSH_9\r\n\r\nConnection: close"]

    with pytest.raises(ConnectionFailure):
        await http.request("GET", service.url)


async def test_a_refused_connection_says_that_nothing_was_sent(http, service):
    await service.stop()

    with pytest.raises(ConnectionFailure, match="refuses connections") as failed:
        await http.request("GET", service.url)

    assert failed.value.detail == {"sent": False}


async def test_huge_headers_are_refused(service, http, answers):
    service.answers = [answers(headers=[(f"X-{n}", "v" * 1000) for n in range(80)])]

    with pytest.raises(ConnectionFailure, match="64 KB"):
        await http.request("GET", service.url)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda content: zlib.compress(content)[2:-4]),
        ("gzip, gzip", lambda content: gzip.compress(gzip.compress(content))),
        ("gzip", lambda content: gzip.compress(content[:5]) + gzip.compress(content[5:])),
        ("identity", bytes),
    ],
)
async def test_a_packed_body_is_unpacked(encoding, pack, service, http, answers):
    content = b"hello, hello, hello" * 50
    service.answers = [answers(200, pack(content), headers=[("Content-Encoding", encoding)])]

    assert (await http.request("GET", service.url)).content == content


async def test_a_bomb_is_refused_while_it_unpacks(service, http, answers):
    bomb = gzip.compress(b"\x00" * 40_000_000, 1)
    service.answers = [answers(200, bomb, headers=[("Content-Encoding", "gzip")])]

    with pytest.raises(MaxFileSizeExceededError, match="attack"):
        await http.request("GET", service.url)


async def test_a_packed_body_counts_as_what_it_unpacks_to(service, http, answers):
    packed = gzip.compress(b"abc" * 1000)
    service.answers = [answers(200, packed, headers=[("Content-Encoding", "gzip")])]

    with pytest.raises(MaxFileSizeExceededError, match=r"more than 1\.953 KB"):
        await http.request("GET", service.url, max_bytes=2000)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", gzip.compress(b"hello" * 99, mtime=0)[:-12]),
        ("gzip", b"plain text"),
        ("br", b"\x0b\x02"),
    ],
)
async def test_a_damaged_packing_is_a_failure(encoding, content, service, http, answers):
    service.answers = [answers(200, content, headers=[("Content-Encoding", encoding)])]

    with pytest.raises(ConnectionFailure):
        await http.request("GET", service.url)


async def test_a_large_body_is_refused(service, http, answers):
    service.answers = [answers(200, b"x" * 5000)]

    with pytest.raises(MaxFileSizeExceededError):
        await http.request("GET", service.url, max_bytes=4999)


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "GET", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
    ],
)
async def test_a_redirect_is_followed(status, method, then, service, http, answers):
    service.answers = [answers(status, headers=[("Location", "/there?x=1")]), answers(200, b"ok")]

    response = await http.request(method, f"{service.url}/here", json={"a": 1})

    assert (response.text, response.url) == ("ok", f"{service.url}/there?x=1")
    assert (service.received[1].method, service.received[1].target) == (then, "/there?x=1")
    assert service.received[1].body == (b'{"a":1}' if then == method != "GET" else b"") or (
        method == "GET"
    )


async def test_a_redirect_is_an_answer_when_it_is_not_to_be_followed(service, http, answers):
    service.answers = [answers(302, headers=[("Location", "/there")])]

    assert (await http.request("GET", service.url, follow_redirects=False)).status == 302
    assert (await http.request("POST", service.url, follow_all_redirects=False)).status == 302


async def test_the_sixth_redirect_is_one_too_many(service, http, answers):
    service.answers = [answers(302, headers=[("Location", "/again")])]

    with pytest.raises(DataError, match="more than 5 times"):
        await http.request("GET", service.url)

    assert len(service.received) == 6


async def test_T071_another_origin_gets_no_credentials(service, other_service, http, answers):
    service.answers = [answers(307, headers=[("Location", f"{other_service.url}/x")])]
    other_service.answers = [answers()]

    await http.request(
        "GET",
        service.url,
        headers={"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "X-Shop": "42"},
    )

    (request,) = other_service.received
    assert "s3cret" not in str(request.header_list)
    assert request.headers["x-shop"] == "42"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://a:b@127.0.0.1/", "gopher://x/"])
async def test_a_redirect_out_of_the_web_is_refused(location, service, http, answers):
    service.answers = [answers(302, headers=[("Location", location)])]

    with pytest.raises(InvalidConfigurationError):
        await http.request("GET", service.url)


async def test_429_is_asked_again_after_what_it_says(service, http, answers, waited):
    service.answers = [answers(429, headers=[("Retry-After", "7")]), answers(503), answers(200)]

    response = await http.request("GET", service.url, retries=3)

    assert response.status == 200
    assert waited == [7.0, 2.0]


async def test_a_wait_longer_than_the_time_left_gives_the_answer_as_it_is(
    service, http, answers, waited
):
    service.answers = [answers(429, headers=[("Retry-After", "60")])]

    assert (await http.request("GET", service.url, retries=3, timeout_seconds=40)).status == 429
    assert waited == []


async def test_an_unreachable_service_is_asked_again_and_then_said_to_be(service, http, waited):
    await service.stop()

    with pytest.raises(ConnectionFailure, match="refuses connections"):
        await http.request("POST", service.url, retries=2)

    assert waited == [1.0, 2.0]


async def test_a_connection_that_was_closed_meanwhile_is_opened_again(service, http, answers):
    service.answers = [answers(200, b"1"), "reset", answers(200, b"2")]

    first = await http.request("GET", service.url)
    second = await http.request("GET", service.url)

    assert (first.text, second.text, len(service.received)) == ("1", "2", 3)


async def test_what_may_have_arrived_is_not_sent_again_by_itself(service, http, answers):
    service.answers = [answers(200, b"1"), "reset", answers(200, b"2")]
    await http.request("GET", service.url)

    with pytest.raises(ConnectionFailure) as failed:
        await http.request("POST", service.url)

    assert failed.value.detail == {"sent": True}
    assert len(service.received) == 2


async def test_an_address_with_ipv6_is_called_with_its_brackets(answers):
    heads = []

    async def serve(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers(200, b"six"))
        await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(serve, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = server.sockets[0].getsockname()[1]
    client = HttpClient(guard=Guard(allow=[("::1/128", port)]))

    response = await client.bind().request("GET", f"http://[::1]:{port}/")
    await client.aclose()
    server.close()
    await server.wait_closed()

    assert response.text == "six"
    assert f"Host: [::1]:{port}".encode() in heads[0]


async def test_retries_end(service, http, answers, waited):
    service.answers = [answers(503)]

    assert (await http.request("GET", service.url, retries=2)).status == 503
    assert waited == [1.0, 2.0]


async def test_an_error_of_the_service_itself_is_not_asked_again(service, http, answers, waited):
    service.answers = [answers(500)]

    assert (await http.request("GET", service.url, retries=2)).status == 500
    assert waited == []


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", timedelta()),
        ("120", timedelta(seconds=120)),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), timedelta(minutes=5)),
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), timedelta()),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, wait):
    assert retry_after(value, NOW) == wait


async def test_connections_are_used_again(service, http, answers):
    ports = set()
    service.answers = [answers(200, b"x")]
    for _ in range(3):
        await http.request("GET", service.url)
    ports = {writer.get_extra_info("peername")[1] for writer in service._writers}

    assert len(ports) == 1


async def test_cookies_are_kept_for_those_who_share_them(service, client, answers):
    jar = CookieJar()
    service.answers = [answers(200, headers=[("Set-Cookie", "sid=1; Path=/")]), answers(200)]

    await client.bind(cookies=jar).request("GET", service.url, share_cookies=True)
    await client.bind(cookies=jar).request("GET", service.url, share_cookies=True)
    await client.bind(cookies=jar).request("GET", service.url)

    assert [request.headers.get("cookie") for request in service.received] == [None, "sid=1", None]


async def test_a_download_goes_into_the_files(service, http, files, answers):
    headers = [
        ("Content-Type", "image/png"),
        ("Content-Disposition", "attachment; filename*=UTF-8''..%2F..%2F%C4%8Daj.png"),
    ]
    service.answers = [answers(200, b"\x89PNG", headers=headers)]

    response, file = await http.download("GET", f"{service.url}/a/b.png?token=x")

    assert (file.name, file.media_type, files.read(file)) == ("čaj.png", "image/png", b"\x89PNG")
    assert response.content == b""


async def test_a_download_that_is_refused_keeps_no_file(service, http, answers):
    service.answers = [answers(404, b"gone")]

    response, file = await http.download("GET", service.url)

    assert (file, response.text) == (None, "gone")


@pytest.mark.parametrize(
    ("media_type", "content", "is_file"),
    [
        ("application/json", b"{}", False),
        ("application/vnd.api+json; charset=utf-8", b"{}", False),
        ("image/png", b"text", True),
        ("", b"plain", False),
        ("", b"\x00\x01", True),
        ("application/octet-stream", b"text", True),
        ("text/plain", "é".encode("latin-1"), False),
        ("text/csv", b"x" * (5 * 1024 * 1024 + 1), True),
    ],
)
async def test_what_is_not_text_or_too_large_becomes_a_file(
    media_type, content, is_file, service, http, answers
):
    headers = [("Content-Type", media_type)] if media_type else []
    service.answers = [answers(200, content, headers=headers)]

    response = await http.request("GET", service.url, as_file="auto")

    assert (response.file is not None) is is_file
    assert response.content == (b"" if is_file else content)
    if is_file:
        assert response.file.size_bytes == len(content)


async def test_messages_never_hold_the_query(service, http):
    service.answers = ["reset"]

    with pytest.raises(ConnectionFailure) as failed:
        await http.request("GET", f"{service.url}/p?api_key=s3cret")

    assert "s3cret" not in str(failed.value)


async def test_a_method_that_is_none_is_refused(http, service):
    with pytest.raises(BundleValidationError, match="not an HTTP method"):
        await http.request("GET /x HTTP/1.1\r\nX: ", service.url)
