from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.datastructures import Headers

from millrace.api.app import App
from millrace.api.policy import check_same_site
from millrace.errors import NotAllowed
from millrace.settings import read_settings


async def link_of(runtime: Any) -> str:
    return await runtime.users.create_sign_in_link(by=await runtime.users.owner())


async def test_the_cookie_is_for_this_site_and_not_for_scripts(runtime: Any, anyone: Any) -> None:
    answer = await anyone.post("/api/v1/session", {"token": await link_of(runtime)})
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("millrace_session=")
    for part in ("httponly", "samesite=lax", "path=/", "max-age=1200"):
        assert part in cookie
    assert "domain" not in cookie


async def test_behind_tls_the_cookie_is_bound_to_the_host(runtime: Any, tmp_path: Path) -> None:
    address = "https://flows.example.com"
    settings = read_settings({"MILLRACE_PUBLIC_URL": address})
    transport = httpx2.ASGITransport(app=App(runtime, settings))
    async with httpx2.AsyncClient(transport=transport, base_url=address) as http:
        answer = await http.post(
            "/api/v1/session",
            json={"token": await link_of(runtime)},
            headers={"Origin": address},
        )
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-millrace_session=")
        assert "Secure" in cookie
        assert "max-age" in answer.headers["strict-transport-security"]
        assert (await http.get("/api/v1/session")).status_code == 200


async def test_looking_at_the_sign_in_page_uses_nothing_up(runtime: Any, anyone: Any) -> None:
    link = await link_of(runtime)
    page = await anyone.get(f"/sign-in?token={link}")
    assert link in page.text
    assert "set-cookie" not in page.headers
    answer = await anyone.ask("POST", "/sign-in", data={"token": link})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    again = await anyone.ask("POST", "/sign-in", data={"token": link})
    assert again.status_code == 401
    assert "used already" in again.text


async def test_signing_in_from_another_site_is_refused(runtime: Any, anyone: Any) -> None:
    link = await link_of(runtime)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await anyone.post("/api/v1/session", {"token": link}, headers=headers)
        assert answer.status_code == 403


async def test_who_one_is(owner: Any) -> None:
    account = (await owner.get("/api/v1/session")).json()
    assert (account["role"], account["via"]) == ("owner", "session")
    assert account["csrf"] == owner.csrf


async def test_signing_out_ends_the_session(owner: Any) -> None:
    answer = await owner.ask("DELETE", "/api/v1/session")
    assert answer.status_code == 204
    assert "cookies" in answer.headers["clear-site-data"]
    assert (await owner.get("/api/v1/session")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "of-another-session"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_an_unsafe_request_must_come_from_our_own_pages(
    owner: Any, headers: dict[str, str]
) -> None:
    answer = await owner.post("/api/v1/scenarios", {"name": "x"}, headers=headers)
    assert answer.status_code == 403
    assert (await owner.get("/api/v1/scenarios")).json()["items"] == []


async def test_an_unsafe_request_without_any_origin_is_refused(owner: Any) -> None:
    answer = await owner.http.post(
        "/api/v1/scenarios", json={}, headers={"X-CSRF-Token": owner.csrf}
    )
    assert answer.status_code == 403


async def test_a_form_of_a_page_needs_the_token_too(owner: Any) -> None:
    refused = await owner.ask("POST", "/sign-out", data={"csrf": "x"}, headers={"X-CSRF-Token": ""})
    assert refused.status_code == 403
    headers = {"Origin": "http://127.0.0.1:8080"}
    answer = await owner.http.post("/sign-out", data={"csrf": owner.csrf}, headers=headers)
    assert answer.status_code == 303


async def test_a_token_is_shown_once(owner: Any) -> None:
    made = (await owner.post("/api/v1/tokens", {"name": "ci"})).json()
    assert made["secret"].startswith("mlr_")
    listed = await owner.get("/api/v1/tokens")
    assert made["secret"] not in listed.text
    assert listed.json()[0]["name"] == "ci"
    gone = await owner.ask("DELETE", f"/api/v1/tokens/{made['token']['id']}")
    assert gone.status_code == 204


def test_a_form_of_our_own_pages_comes_with_origin_null_and_is_taken() -> None:
    # What Chromium sends for a form on a page with `Referrer-Policy: no-referrer`.
    headers = Headers({"sec-fetch-site": "same-origin", "origin": "null", "host": "127.0.0.1:8080"})
    check_same_site(headers, "http://127.0.0.1:8080")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_form_of_another_site_is_refused_whatever_its_origin_says(site: str) -> None:
    headers = Headers({"sec-fetch-site": site, "origin": "http://127.0.0.1:8080"})
    with pytest.raises(NotAllowed):
        check_same_site(headers, "http://127.0.0.1:8080")
