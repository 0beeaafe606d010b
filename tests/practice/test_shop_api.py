"""The shop, asked by a real HTTP client over loopback."""

import base64
import io
import zipfile

import httpx2
import pytest

from millrace import practice as service


@pytest.fixture
async def client(practice):
    async with httpx2.AsyncClient(base_url=practice.url, trust_env=False) as client:
        yield client


async def test_products_can_be_added_changed_and_deleted(client):
    desk = {"sku": "desk", "name": "Desk", "price": 200, "stock": 1}
    assert (await client.post("/shop/products", json=desk)).status_code == 201
    assert (await client.post("/shop/products", json=desk)).status_code == 409
    changed = await client.patch("/shop/products/desk", json={"stock": 5})
    assert changed.json() == {**desk, "stock": 5}
    assert (await client.delete("/shop/products/desk")).status_code == 204
    assert (await client.get("/shop/products/desk")).status_code == 404


@pytest.mark.parametrize(
    "body", ["nonsense", "[]", '{"sku": 7, "name": "x"}', '{"sku": "a", "name": "x", "price": -1}']
)
async def test_a_product_that_makes_no_sense_is_refused(client, body):
    answer = await client.post("/shop/products", content=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["message"]


async def test_a_reservation_takes_from_the_stock_until_there_is_none(client):
    first = await client.post("/shop/items/table/reserve", json={"qty": 2})
    assert first.json() == {"sku": "table", "reserved": 2, "stock": 0}
    second = await client.post("/shop/items/table/reserve", json={"qty": 1})
    assert (second.status_code, second.json()) == (409, {"message": "only 0 in stock"})


async def test_a_repeated_idempotency_key_changes_nothing_and_is_counted(client):
    key = {"Idempotency-Key": "order-7"}
    answers = [
        await client.post("/shop/items/lamp/reserve", json={"qty": 3}, headers=key)
        for _ in range(3)
    ]
    assert [answer.json()["stock"] for answer in answers] == [22, 22, 22]
    assert answers[2].headers["idempotent-replayed"] == "true"
    told = (await client.get("/effects")).json()
    assert told == {"effects": {"order-7": 1}, "requests": {"order-7": 3}, "total": 1}


async def test_an_idempotency_key_for_another_request_is_refused(client):
    key = {"Idempotency-Key": "order-7"}
    await client.post("/shop/items/lamp/reserve", json={"qty": 1}, headers=key)
    other = await client.post("/shop/items/lamp/reserve", json={"qty": 2}, headers=key)
    assert other.status_code == 422


async def test_effects_without_a_key_are_counted_by_reference(client):
    order = {"reference": "r1", "lines": [{"sku": "mug", "qty": 2}]}
    for _ in range(2):
        assert (await client.post("/shop/orders", json=order)).json()["total"] == 15
    assert (await client.get("/effects")).json()["effects"] == {"r1": 2}


@pytest.mark.parametrize("start", ["offset=0&limit=7", "page=1&per_page=7", "cursor=&limit=7"])
async def test_following_next_visits_every_product_once(client, start):
    url, seen, page = f"/shop/products?{start}", [], {}
    while url:
        answer = await client.get(url)
        page = answer.json()
        seen += [product["sku"] for product in page["items"]]
        url = page["next"]
        assert ("link" in answer.headers) == bool(url)
    assert len(seen) == len(set(seen)) == page["total"] == 25


async def test_each_way_to_sign_in_lets_the_right_one_pass_and_no_other(client):
    basic = "Basic " + base64.b64encode(b"practice:practice").decode()
    wrong = "Basic " + base64.b64encode(b"practice:wrong").decode()
    token = await client.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": basic}
    )
    bearer = "Bearer " + token.json()["access_token"]
    for path, good, bad in [
        ("/basic", {"Authorization": basic}, {"Authorization": wrong}),
        ("/key", {"X-Api-Key": "practice"}, {"X-Api-Key": "ключ".encode()}),
        ("/oauth", {"Authorization": bearer}, {"Authorization": "Bearer wrong"}),
    ]:
        url = f"{path}/shop/products/lamp"
        assert (await client.get(url, headers=good)).json()["name"] == "Desk lamp"
        assert (await client.get(url, headers=bad)).status_code == 401
        assert (await client.get(url)).status_code == 401


async def test_a_token_is_refused_to_a_client_with_the_wrong_secret(client):
    form = {"grant_type": "client_credentials", "client_id": "practice", "client_secret": "x"}
    answer = await client.post("/oauth/token", data=form)
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


async def test_files_are_what_they_say(client):
    from PIL import Image

    picture = Image.open(io.BytesIO((await client.get("/files/image.png")).content))
    assert (picture.format, picture.size) == ("PNG", (64, 48))
    archive = zipfile.ZipFile(io.BytesIO((await client.get("/files/products.zip")).content))
    assert archive.namelist() == ["products.csv", "image.png"]
    table = (await client.get("/files/products.csv")).text.splitlines()
    assert table[:2] == ["sku,name,price,stock", "lamp,Desk lamp,39.9,25"]
    assert (await client.get("/files/secret")).status_code == 404


async def test_the_feed_has_an_item_for_each_product(client):
    import feedparser

    feed = feedparser.parse((await client.get("/feed.xml")).content)
    assert not feed.bozo
    assert [len(feed.entries), feed.entries[0].title] == [25, "Desk lamp"]
    assert feed.entries[0].published_parsed > feed.entries[1].published_parsed


async def test_the_echo_shows_the_request(client):
    told = (await client.post("/echo?a=1&a=2", content="hi", headers={"X-Mark": "m"})).json()
    assert told["query"] == [["a", "1"], ["a", "2"]]
    assert (told["method"], told["body"], told["headers"]["x-mark"]) == ("POST", "hi", "m")


async def test_reset_brings_everything_back(client, practice):
    await client.post("/shop/items/lamp/reserve", json={"qty": 1})
    await client.post("/switches", json={"status": 500})
    await client.post("/reset")
    assert (await client.get("/shop/products/lamp")).json()["stock"] == 25
    assert (await client.get("/effects")).json()["total"] == 0


async def test_the_web_part_can_be_mounted_elsewhere():
    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = Starlette(routes=[Mount("/practice", app=service.create_app())])
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://host") as client:
        await client.post("/practice/switches", json={"path": "/shop", "status": 503, "times": 1})
        statuses = [(await client.get("/practice/shop/products")).status_code for _ in range(2)]
    assert statuses == [503, 200]
