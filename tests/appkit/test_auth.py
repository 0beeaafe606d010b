"""Connections: what they add to a request, and where their secrets may go."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from millrace.appkit.auth import (
    Tokens,
    filled_fields,
    matches_host,
    open_connection,
    secret_values,
)
from millrace.appkit.http import HttpClient
from millrace.appkit.manifest import ConnectionManifest, ConnectionTest, Parameter, Sign
from millrace.errors import (
    ConnectionFailure,
    InvalidAccessTokenError,
    InvalidConfigurationError,
)

URL = httpx2.URL("https://api.example.com/x")


class MovingClock:
    def __init__(self):
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self):
        return self.moment


def manifest(type_="custom", *, hosts=("api.example.com",), **rest):
    return ConnectionManifest(label="A", type=type_, hosts=tuple(hosts), **rest)


def opened(manifest, fields, client=None, **rest):
    return open_connection(
        manifest,
        fields,
        app="acme",
        connection_id=rest.get("connection_id", "c1"),
        client=client or HttpClient(),
        tokens=rest.get("tokens") or Tokens(),
    )


@pytest.mark.parametrize(
    ("pattern", "host", "port", "is_match"),
    [
        ("api.example.com", "api.example.com", 443, True),
        ("api.example.com", "xapi.example.com", 443, False),
        ("api.example.com", "api.example.com.evil.example", 443, False),
        ("api.example.com", "evil.example", 443, False),
        ("*.example.com", "api.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "notexample.com", 443, False),
        ("*.com", "example.com", 443, False),
        ("*", "example.com", 443, False),
        ("", "example.com", 443, False),
        ("localhost:8025", "localhost", 8025, True),
        ("localhost:8025", "localhost", 8026, False),
        ("[::1]:8025", "::1", 8025, True),
    ],
)
def test_T070_a_host_matches_on_the_boundary_of_its_labels(pattern, host, port, is_match):
    assert matches_host(pattern, host, port) is is_match


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("API.Example.com", "https://api.example.com/"),
        ("https://api.example.com/v1", "https://api.example.com/"),
        ("api.example.com.", "https://api.example.com/"),
        ("bücher.example", "https://xn--bcher-kva.example/"),
        (["a.example", "api.example.com"], "https://api.example.com/"),
        ("a.example, api.example.com", "https://api.example.com/"),
    ],
)
def test_hosts_are_understood_as_people_type_them(typed, url):
    connection = opened(manifest("bearer", hosts=["{{connection.hosts}}"]), {"hosts": typed})

    assert connection.may_sign(httpx2.URL(url))
    assert not connection.may_sign(httpx2.URL("https://evil.example/"))


def test_a_connection_without_hosts_goes_nowhere():
    connection = opened(manifest("bearer", hosts=["{{connection.hosts}}"]), {"token": "t"})

    assert not connection.may_sign(URL)


@pytest.mark.parametrize(
    ("type_", "fields", "headers", "query"),
    [
        ("basic", {"username": "eva", "password": "s3"}, [("Authorization", "Basic ZXZhOnMz")], []),
        ("basic", {"username": "ä"}, [("Authorization", "Basic w6Q6")], []),
        ("bearer", {"token": "t"}, [("Authorization", "Bearer t")], []),
        ("api_key", {"key": "k"}, [("X-API-Key", "k")], []),
        (
            "api_key",
            {"key": "k", "name": "Authorization", "prefix": "Token"},
            [("Authorization", "Token k")],
            [],
        ),
        ("api_key", {"key": "k", "name": "key", "placement": "query"}, [], [("key", "k")]),
    ],
)
async def test_a_request_is_signed_as_the_connection_says(type_, fields, headers, query):
    assert await opened(manifest(type_), fields).sign("GET", URL) == (headers, query)


async def test_a_connection_of_its_own_kind_signs_by_templates():
    sign = Sign(
        headers={"X-Auth": "{{connection.user}}:{{connection.key}}", "X-None": "{{connection.no}}"},
        query={"v": "2"},
    )

    signed = await opened(manifest(sign=sign), {"user": "eva", "key": "{{1.x}}"}).sign("GET", URL)

    assert signed == ([("X-Auth", "eva:{{1.x}}")], [("v", "2")])


@pytest.mark.parametrize(
    ("type_", "fields"), [("bearer", {}), ("api_key", {"key": ""}), ("bearer", {"token": "a\r\nb"})]
)
async def test_a_connection_that_cannot_sign_says_what_is_missing(type_, fields):
    with pytest.raises(InvalidConfigurationError, match="connection"):
        await opened(manifest(type_), fields).sign("GET", URL)


def test_nothing_shows_a_secret():
    fields = (Parameter(name="key", secret=True), Parameter(name="user"))
    shape = manifest("api_key", fields=fields, test=ConnectionTest())
    connection = opened(shape, {"key": "s3cret", "user": "eva"})

    assert "s3cret" not in repr(connection)
    assert secret_values(shape, {"key": "s3cret", "user": "eva"}) == ["s3cret"]


def test_defaults_stand_for_what_was_left_empty():
    shape = manifest(fields=(Parameter(name="region", default="eu"), Parameter(name="key")))

    assert filled_fields(shape, {"region": None, "key": "k"}) == {"region": "eu", "key": "k"}


class TestClientCredentials:
    @pytest.fixture
    def clock(self):
        return MovingClock()

    @pytest.fixture
    async def client(self, service, clock):
        from millrace.appkit.guard import Guard

        client = HttpClient(guard=Guard(allow=[("127.0.0.1/32", None)]), clock=clock)
        yield client
        await client.aclose()

    @pytest.fixture
    def fields(self, service):
        return {
            "token_url": f"{service.url}/token",
            "client_id": "a:b",
            "client_secret": "s3cret",
            "scope": "read",
        }

    @pytest.fixture
    def tokens(self, service, answers):
        """Each token asked for is another one."""
        given = []

        def give(request):
            given.append(request)
            body = f'{{"access_token": "t{len(given)}", "expires_in": 3600}}'.encode()
            return answers(200, body)

        service.answers = [give]
        return given

    async def test_a_token_is_fetched_once_and_kept_until_a_minute_before_its_end(
        self, client, fields, tokens, clock
    ):
        kept = Tokens()
        shape = manifest("oauth2_client_credentials")

        async def signed():
            headers, _ = await opened(shape, fields, client, tokens=kept).sign("GET", URL)
            return headers[0][1]

        assert [await signed(), await signed()] == ["Bearer t1", "Bearer t1"]
        clock.moment += timedelta(seconds=3541)
        assert await signed() == "Bearer t2"
        assert tokens[0].body == b"grant_type=client_credentials&scope=read"
        assert tokens[0].headers["authorization"] == "Basic YSUzQWI6czNjcmV0"

    async def test_T077_a_refusal_of_many_at_once_fetches_one_token(self, client, fields, tokens):
        kept = Tokens()
        shape = manifest("oauth2_client_credentials")
        runs = [opened(shape, fields, client, tokens=kept) for _ in range(20)]
        await asyncio.gather(*(run.sign("GET", URL) for run in runs))
        await asyncio.gather(*(run.renew() for run in runs))

        signed = await asyncio.gather(*(run.sign("GET", URL) for run in runs))

        assert {headers[0][1] for headers, _ in signed} == {"Bearer t2"}
        assert len(tokens) == 2

    async def test_a_forgotten_token_is_not_used_again(self, client, fields, tokens):
        kept = Tokens()
        connection = opened(manifest("oauth2_client_credentials"), fields, client, tokens=kept)
        await connection.sign("GET", URL)

        kept.forget("c1")

        assert (await connection.sign("GET", URL))[0] == [("Authorization", "Bearer t2")]

    @pytest.mark.parametrize(
        ("status", "body", "error"),
        [
            (401, b'{"error": "invalid_client"}', InvalidAccessTokenError),
            (200, b"<html>", InvalidAccessTokenError),
            (200, b"[]", InvalidAccessTokenError),
            (200, b'{"access_token": 7}', InvalidAccessTokenError),
            (302, b"", InvalidAccessTokenError),
            (503, b"", ConnectionFailure),
        ],
    )
    async def test_no_token_is_an_error_without_a_secret(
        self, status, body, error, client, fields, service, answers
    ):
        service.answers = [answers(status, body)]

        with pytest.raises(error) as refused:
            await opened(manifest("oauth2_client_credentials"), fields, client).sign("GET", URL)

        assert "s3cret" not in str(refused.value)
