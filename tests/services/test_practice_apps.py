"""HTTP and RSS modules against the practice service, over a guarded client and real sockets."""

import io
import zipfile
from datetime import timedelta

import httpx2
import pytest

from millrace.appkit.auth import Tokens, filled_fields, open_connection
from millrace.appkit.guard import Guard
from millrace.appkit.http import HttpClient
from millrace.errors import (
    ConnectionFailure,
    DataError,
    InvalidAccessTokenError,
    InvalidConfigurationError,
    ModuleTimeoutError,
    RateLimitError,
)


@pytest.fixture
async def client(practice):
    client = HttpClient(guard=Guard(allow=[("127.0.0.1/32", practice.port)]))
    yield client
    await client.aclose()


@pytest.fixture
async def switch(practice):
    """Turns a switch of the practice service."""
    async with httpx2.AsyncClient(base_url=practice.url, trust_env=False) as control:

        async def turn(**given):
            (await control.post("/switches", json={"times": 1, **given})).raise_for_status()

        yield turn


@pytest.fixture
def ask(practice, client, run):
    """``await ask(path, …)`` runs ``http:request`` there; ``sign=(type, fields)`` signs it."""

    async def ask(path, *, module="http:request", sign=None, **given):
        signer = None
        if sign is not None:
            type_, fields = sign
            manifest = run.catalog.connection(type_, app="http")
            fields = filled_fields(manifest, {"hosts": [f"127.0.0.1:{practice.port}"], **fields})
            signer = open_connection(
                manifest, fields, app="http", connection_id="c", client=client, tokens=Tokens()
            )
        http = client.bind(files=run.files, signer=signer)
        answer = await run(module, http=http, url=practice.url + path, **given)
        return [page async for page in answer] if hasattr(answer, "__aiter__") else answer

    return ask


async def test_a_request_with_a_key_has_one_effect_however_often_it_is_repeated(ask, practice):
    for _ in range(2):
        got = await ask(
            "/shop/items/lamp/reserve", method="POST", json={"qty": 2}, idempotency_key=True
        )
        assert got["data"] == {"sku": "lamp", "reserved": 2, "stock": 23}
    assert list(practice.shop.effects.values()) == [1]


async def test_a_refusal_says_what_the_service_said(ask):
    with pytest.raises(DataError, match="only 0 in stock"):
        await ask("/shop/items/clock/reserve", method="POST", json={"qty": 1})
    got = await ask("/shop/products/nothing", stop_on_error=False)
    assert (got["statusCode"], got["data"]) == (404, {"message": "there is no such product"})


@pytest.mark.parametrize(
    ("path", "type_", "right", "wrong"),
    [
        (
            "/basic",
            "basic",
            {"username": "practice", "password": "practice"},
            {"username": "practice", "password": "wrong"},
        ),
        ("/key", "api_key", {"key": "practice"}, {"key": "wrong"}),
        (
            "/key",
            "api_key",
            {"key": "practice", "placement": "query", "name": "api_key"},
            {"key": "wrong", "placement": "query", "name": "api_key"},
        ),
        (
            "/oauth",
            "oauth2_client_credentials",
            {"client_id": "practice", "client_secret": "practice"},
            {"client_id": "practice", "client_secret": "wrong"},
        ),
    ],
)
async def test_connections_sign_in(ask, practice, path, type_, right, wrong):
    token = {"token_url": practice.url + "/oauth/token"} if type_.startswith("oauth") else {}
    got = await ask(f"{path}/shop/products/lamp", sign=(type_, {**right, **token}))
    assert got["data"]["name"] == "Desk lamp"
    with pytest.raises(InvalidAccessTokenError):
        await ask(f"{path}/shop/products/lamp", sign=(type_, {**wrong, **token}))


@pytest.mark.parametrize(
    "paging",
    [
        {"type": "offset", "size": 10, "size_parameter": "limit"},
        {"type": "page", "size": 10, "size_parameter": "per_page"},
        {"type": "url"},
        {"type": "url", "next": "next"},
        {"type": "token", "parameter": "cursor", "next": "next_cursor"},
    ],
)
async def test_every_way_of_paging_visits_every_product_once(ask, paging):
    pages = await ask("/shop/products", paging=paging)
    seen = [product["sku"] for page in pages for product in page["data"]["items"]]
    assert len(seen) == len(set(seen)) == 25


async def test_a_download_becomes_a_file(ask, run):
    got = await ask("/files/products.zip", module="http:get-file")
    assert got["fileName"] == "products.zip"
    archive = zipfile.ZipFile(io.BytesIO(run.files.read(got["data"])))
    assert archive.namelist() == ["products.csv", "image.png"]


async def test_redirects_are_followed_to_their_end(ask):
    got = await ask("/redirect?to=/redirect?to=/echo", module="http:resolve-url")
    assert got["url"].endswith("/echo")


async def test_a_service_that_asks_for_a_pause_is_obeyed(ask, switch):
    await switch(path="/shop", status=429, retry_after=7)
    with pytest.raises(RateLimitError) as caught:
        await ask("/shop/products")
    assert caught.value.retry_after == timedelta(seconds=7)
    await switch(path="/shop", status=503, retry_after=0)
    assert (await ask("/shop/products", retries=1))["statusCode"] == 200


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ({"status": 503}, ConnectionFailure),
        ({"half_body": True}, ConnectionFailure),
        ({"reset": True}, ConnectionFailure),
        ({"hang": True}, ModuleTimeoutError),
    ],
)
async def test_each_way_to_fail_has_its_error(ask, switch, trouble, error):
    await switch(path="/shop", **trouble)
    with pytest.raises(error):
        await ask("/shop/products", timeout=0.2)
    assert (await ask("/shop/products"))["statusCode"] == 200


async def test_T075_only_the_ports_that_are_allowed_can_be_reached(ask, practice):
    with pytest.raises(InvalidConfigurationError, match="may not be called"):
        await ask(f"/redirect?to=http://127.0.0.1:{practice.smtp_port}/")


async def test_a_feed_is_read_and_watched(practice, client, run):
    http = client.bind(files=run.files)
    feed = {"http": http, "url": practice.url + "/feed.xml"}
    items = await run("rss:read", **feed, limit=3)
    assert [item["title"] for item in items] == ["Desk lamp", "Oak chair", "Oak table"]
    assert items[0]["url"] == f"{practice.url}/shop/products/lamp"

    state = {}
    assert await run("rss:watch", **feed, state=state) == []
    for name in ("Stool", "Shelf"):
        practice.shop.add_product({"sku": name.lower(), "name": name, "price": 9})
    given = {**feed, "state": state, "limit": 1}
    got = [(await run("rss:watch", **given)) for _ in range(3)]
    assert [[item["title"] for item in items] for items in got] == [["Shelf"], ["Stool"], []]


async def test_a_watch_can_start_at_a_date_or_at_the_beginning(practice, client, run):
    feed = {"http": client.bind(), "url": practice.url + "/feed.xml"}
    everything = await run("rss:watch", **feed, state={}, start="all", limit=100)
    dates = [item["dateCreated"] for item in everything]
    assert dates == sorted(dates) and len(dates) == 25
    since = dates[20]
    for start in ({"start": "since", "since": since}, {"state": {"lastDate": since.isoformat()}}):
        got = await run("rss:watch", **{**feed, "state": {}, "limit": 100, **start})
        assert [item["dateCreated"] for item in got] == dates[20:]


async def test_what_a_server_sends_is_never_taken_for_a_file_name(practice, client, run, tmp_path):
    local = tmp_path / "feed.xml"
    local.write_text(
        "<rss version='2.0'><channel><item><title>local</title></item></channel></rss>"
    )
    http = client.bind()
    async with httpx2.AsyncClient(base_url=practice.url, trust_env=False) as control:
        await control.post("/switches", json={"path": "/feed", "status": 200, "body": str(local)})
    with pytest.raises(DataError, match="is not a feed"):
        await run("rss:read", http=http, url=practice.url + "/feed.xml")
