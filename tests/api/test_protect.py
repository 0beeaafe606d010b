from __future__ import annotations

from typing import Any

import httpx2
import pytest

from millrace.api.app import App


@pytest.mark.parametrize("path", ["/", "/sign-in", "/api/v1/scenarios", "/health", "/nowhere"])
async def test_every_answer_carries_the_headers(anyone: Any, path: str) -> None:
    headers = (await anyone.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


async def test_the_style_sheet_may_be_kept_for_ever(owner: Any) -> None:
    page = (await owner.get("/")).text
    path = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = await owner.get(path)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "type_", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_a_type_that_any_site_can_send_is_refused(owner: Any, type_: str) -> None:
    answer = await owner.ask(
        "POST", "/api/v1/scenarios", content=b'{"name": "x"}', headers={"Content-Type": type_}
    )
    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"


async def test_a_body_that_is_too_large_is_refused_by_its_length(owner: Any) -> None:
    answer = await owner.ask(
        "POST",
        "/api/v1/scenarios",
        content=b"x",
        headers={"Content-Type": "application/json", "Content-Length": str(10**9)},
    )
    assert answer.status_code == 413


async def test_a_body_that_is_too_large_is_refused_as_it_comes(owner: Any) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 500_000

    answer = await owner.ask(
        "POST",
        "/api/v1/scenarios",
        content=endless(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413


async def test_a_get_changes_nothing(owner: Any) -> None:
    answer = await owner.get("/api/v1/scenarios/x/activate")
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"


async def test_an_unknown_path_is_a_problem_for_programs_and_a_page_for_people(
    anyone: Any,
) -> None:
    problem = await anyone.get("/api/v1/nowhere")
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == 404
    page = await anyone.get("/nowhere")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")


async def test_what_is_wrong_with_a_body_is_said_without_repeating_it(owner: Any) -> None:
    answer = await owner.post("/api/v1/scenarios", {"name": {"secret": "hunter2"}, "more": 1})
    assert answer.status_code == 422
    body = answer.json()
    assert {problem["path"] for problem in body["problems"]} == {"name", "more"}
    assert "hunter2" not in answer.text


async def test_health_and_readiness_are_open(anyone: Any) -> None:
    assert (await anyone.get("/health")).json() == {"status": "ok"}
    assert (await anyone.get("/ready")).json() == {"status": "ok"}


async def test_health_says_the_same_before_and_after_the_framework_is_there(
    runtime: Any, settings: Any
) -> None:
    app = App(runtime, settings)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as http:
        before = await http.get("/health")
        await app.warm_up()
        after = await http.get("/health")
    assert (before.status_code, before.json()) == (after.status_code, after.json())
    assert before.headers["content-type"] == after.headers["content-type"]
