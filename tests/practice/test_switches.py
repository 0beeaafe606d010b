"""The service misbehaves as asked."""

import asyncio

import httpx2
import pytest


@pytest.fixture
async def client(practice):
    async with httpx2.AsyncClient(base_url=practice.url, timeout=5, trust_env=False) as client:
        yield client


async def test_a_status_comes_as_often_as_asked_with_retry_after(client):
    await client.post(
        "/switches", json={"path": "/shop", "status": 429, "retry_after": 7, "times": 2}
    )
    answers = [await client.get("/shop/products/lamp") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert "retry-after" not in answers[2].headers


async def test_other_paths_and_methods_are_left_alone(client):
    await client.post("/switches", json={"path": "/shop/orders", "method": "POST", "status": 500})
    assert (await client.get("/shop/products")).status_code == 200
    assert (await client.get("/shop/orders")).status_code == 200
    assert (await client.post("/shop/orders", json={})).status_code == 500


async def test_a_switch_that_makes_no_sense_is_refused(client):
    assert (await client.post("/switches", json={"statsu": 500})).status_code == 422
    assert (await client.get("/shop/products")).status_code == 200


async def test_half_a_body_ends_in_the_middle(client):
    await client.post("/switches", json={"path": "/shop", "half_body": True, "times": 1})
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/shop/products")
    assert (await client.get("/shop/products")).status_code == 200


async def test_a_reset_connection_gives_no_answer(client):
    await client.post("/switches", json={"path": "/shop", "reset": True, "times": 1})
    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        await client.get("/shop/products")


async def test_hanging_lasts_until_the_client_leaves(client):
    await client.post("/switches", json={"path": "/shop", "hang": True, "times": 1})
    with pytest.raises(httpx2.ReadTimeout):
        await client.get("/shop/products", timeout=0.1)
    assert (await client.get("/shop/products")).status_code == 200


async def test_a_lost_answer_leaves_its_effect(client):
    await client.post(
        "/switches", json={"path": "/shop", "when": "after", "reset": True, "times": 1}
    )
    key = {"Idempotency-Key": "k1"}
    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        await client.post("/shop/items/lamp/reserve", json={"qty": 1}, headers=key)
    again = await client.post("/shop/items/lamp/reserve", json={"qty": 1}, headers=key)
    assert again.json()["stock"] == 24
    assert (await client.get("/effects")).json()["effects"] == {"k1": 1}


async def test_a_delay_delays_and_changes_nothing_else(client):
    await client.post("/switches", json={"path": "/shop", "delay_seconds": 0.05, "times": 1})
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert (await client.get("/shop/products/lamp")).json()["stock"] == 25
    assert loop.time() - begun >= 0.05


async def test_deleting_the_switches_ends_them(client):
    await client.post("/switches", json={"status": 500})
    assert (await client.get("/shop/products")).status_code == 500
    assert (await client.delete("/switches")).json() == {"on": []}
    assert (await client.get("/shop/products")).status_code == 200


async def test_stopping_does_not_wait_for_a_hanging_client(practice):
    async with httpx2.AsyncClient(base_url=practice.url, trust_env=False) as client:
        await client.post("/switches", json={"path": "/shop", "hang": True, "times": 1})
        waiting = asyncio.create_task(client.get("/shop/products", timeout=30))
        await asyncio.wait([waiting], timeout=0.1)
        async with asyncio.timeout(3):
            await practice.stop()
        with pytest.raises(httpx2.TransportError):
            await waiting
