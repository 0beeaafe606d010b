from __future__ import annotations

import asyncio
import json
from typing import Any

GOOD = """\
millrace: 1
name: Greetings
inputs: [{name: who, type: text, required: true}]
flow:
  - {id: 1, module: "json:parse", parameters: {json: '[{"n": 1}, {"n": 2}]'}}
  - {id: 2, module: "tools:compose", parameters: {value: "{{var.input.who}} {{1.n}}"}}
"""


async def executed(owner: Any, scenario_id: str) -> dict[str, Any]:
    """Run once and read the finished execution."""
    started = await owner.post(
        f"/api/v1/scenarios/{scenario_id}/run", {"inputs": {"who": "<b>Ada</b>"}}
    )
    assert started.status_code == 202
    path = f"/api/v1/executions/{started.json()['execution_id']}"
    async with asyncio.timeout(5):
        while True:
            answer = await owner.get(path)
            if answer.status_code == 200 and answer.json()["execution"]["finished_at"]:
                return answer.json()
            await asyncio.sleep(0.01)


async def test_a_scenario_from_draft_to_history(owner: Any) -> None:
    made = await owner.post("/api/v1/scenarios", {"text": GOOD})
    assert made.status_code == 201
    scenario = made.json()["scenario"]
    assert scenario["name"] == "Greetings"
    path = f"/api/v1/scenarios/{scenario['id']}"
    details = await executed(owner, scenario["id"])
    assert details["execution"]["operations"] == 3
    assert details["operations"][2]["output"] == [{"value": "<b>Ada</b> 2"}]
    active = (await owner.post(f"{path}/activate")).json()
    assert active["is_active"]
    assert not (await owner.post(f"{path}/deactivate")).json()["is_active"]
    versions = (await owner.get(f"{path}/versions")).json()["items"]
    assert [version["number"] for version in versions] == [2, 1]
    text = (await owner.get(f"{path}/versions/1")).json()["text"]
    assert text == GOOD
    assert "json:parse@1" in (await owner.get(f"{path}/export")).text
    assert (await owner.get(f"{path}/compare?old=1&new=2")).text.startswith("--- version 1")
    assert (await owner.ask("DELETE", path)).status_code == 204
    assert (await owner.get(path)).status_code == 404


async def test_a_draft_with_problems_is_kept_and_answered_with_them(owner: Any) -> None:
    made = (await owner.post("/api/v1/scenarios", {})).json()["scenario"]
    path = f"/api/v1/scenarios/{made['id']}"
    saved = await owner.ask("PUT", f"{path}/draft", json={"text": "millrace: 1\nflwo: []\n"})
    assert saved.status_code == 200
    problem, *_ = saved.json()["problems"]
    assert "did you mean flow?" in problem["message"]
    refused = await owner.post(f"{path}/publish")
    assert refused.status_code == 422
    assert refused.json()["code"] == "scenario_invalid"
    assert refused.json()["problems"]
    stale = {"text": GOOD, "revision": 1}
    assert (await owner.ask("PUT", f"{path}/draft", json=stale)).status_code == 409


async def test_an_export_of_make_is_imported_with_its_report(owner: Any) -> None:
    blueprint = {
        "name": "From Make",
        "flow": [{"id": 1, "module": "json:ParseJSON", "version": 1, "mapper": {"json": "{}"}}],
        "metadata": {"version": 1},
    }
    answer = await owner.post("/api/v1/scenarios/import", blueprint)
    assert answer.status_code == 201
    assert answer.json()["report"]["modules_share"] == 1.0
    broken = await owner.ask(
        "POST",
        "/api/v1/scenarios/import",
        content=b"{",
        headers={"Content-Type": "application/json"},
    )
    assert broken.status_code == 422


async def test_the_list_comes_in_pages(owner: Any) -> None:
    for number in range(5):
        await owner.post("/api/v1/scenarios", {"name": f"S{number}"})
    first = (await owner.get("/api/v1/scenarios?limit=3")).json()
    rest = (await owner.get(f"/api/v1/scenarios?limit=3&before={first['next']}")).json()
    names = [item["name"] for item in first["items"] + rest["items"]]
    assert names == ["S4", "S3", "S2", "S1", "S0"]
    assert rest["next"] is None


async def test_a_connection_never_shows_its_secret(owner: Any) -> None:
    body = {
        "app": "http",
        "type": "basic",
        "name": "shop",
        "fields": {"username": "ada", "password": "hunter2", "hosts": "x.example"},
    }
    made = await owner.post("/api/v1/connections", body)
    assert made.status_code == 201
    id = made.json()["id"]
    for answer in (made, await owner.get("/api/v1/connections")):
        assert "hunter2" not in answer.text
    assert (await owner.post("/api/v1/connections", body)).status_code == 409
    renamed = await owner.ask("PATCH", f"/api/v1/connections/{id}", json={"name": "market"})
    assert renamed.json()["name"] == "market"
    assert (await owner.ask("DELETE", f"/api/v1/connections/{id}")).json() == []


async def test_a_webhook_receives_and_its_queue_is_shown(owner: Any) -> None:
    made = (await owner.post("/api/v1/webhooks", {"name": "orders"})).json()
    url, id = made["url"], made["webhook"]["id"]
    received = await owner.http.post(url, json={"name": "Ada"})
    assert (received.status_code, received.text) == (200, "Accepted")
    (event,) = (await owner.get(f"/api/v1/webhooks/{id}/queue")).json()
    assert event["state"] == "held"
    gone = await owner.ask("DELETE", f"/api/v1/webhooks/{id}/queue/{event['id']}")
    assert gone.status_code == 204
    off = await owner.ask("PATCH", f"/api/v1/webhooks/{id}", json={"is_enabled": False})
    assert not off.json()["is_enabled"]
    assert (await owner.http.post(url, json={})).status_code in (404, 410)
    assert url not in (await owner.get("/api/v1/webhooks")).text


async def test_records_of_a_data_store(owner: Any) -> None:
    made = (await owner.post("/api/v1/data-stores", {"name": "products"})).json()
    path = f"/api/v1/data-stores/{made['id']}"
    written = await owner.ask("PUT", f"{path}/records/lamp", json={"data": {"stock": 3}})
    assert written.status_code == 204
    listed = (await owner.get(f"{path}/records")).json()
    assert listed["items"][0]["data"] == {"stock": 3}
    assert (await owner.get(path)).json()["record_count"] == 1
    assert (await owner.ask("DELETE", f"{path}/records/lamp")).status_code == 204
    assert (await owner.get(f"{path}/records")).json()["items"] == []


async def test_the_catalogue_says_what_a_module_takes(owner: Any) -> None:
    names = [app["name"] for app in (await owner.get("/api/v1/apps")).json()]
    assert {"http", "json", "tools"} <= set(names)
    json_app = (await owner.get("/api/v1/apps/json")).json()
    parse = next(m for m in json_app["module_details"] if m["name"] == "json:parse")
    assert "json" in [parameter["name"] for parameter in parse["parameters"]]
    functions = (await owner.get("/api/v1/functions")).json()
    assert "formatDate" in [function["name"] for function in functions]
    assert (await owner.get("/api/v1/apps/nowhere")).status_code == 404


async def test_usage_and_activity(owner: Any) -> None:
    scenario = (await owner.post("/api/v1/scenarios", {"text": GOOD})).json()["scenario"]
    await executed(owner, scenario["id"])
    usage = (await owner.get("/api/v1/usage?days=2")).json()
    assert usage["total"]["operations"] == 3
    assert usage["apps"] == {"tools": 2, "json": 1}
    deeds = (await owner.get(f"/api/v1/activity?object_id={scenario['id']}")).json()
    assert [deed["action"] for deed in deeds] == ["scenarios.run", "scenarios.create"]


async def test_the_events_of_a_finished_execution_say_that_it_is(owner: Any) -> None:
    scenario = (await owner.post("/api/v1/scenarios", {"text": GOOD})).json()["scenario"]
    id = (await executed(owner, scenario["id"]))["execution"]["id"]
    answer = await owner.get(f"/api/v1/executions/{id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    data = answer.text.partition("data: ")[2]
    assert json.loads(data)["status"] == "success"


async def test_another_team_gets_the_same_answer_as_for_what_never_was(
    runtime: Any, owner: Any, anyone: Any
) -> None:
    from dataclasses import replace

    from millrace.storage import users as stored

    scenario = (await owner.post("/api/v1/scenarios", {"text": GOOD})).json()["scenario"]
    by = await runtime.users.owner()
    rows = stored.Users(runtime.store)
    team = stored.TeamRow(id="f" * 32, name="Others", created_at_ms=1)
    await rows.add_team(team, wrapped_key=runtime.keys.new(team.id))
    member = stored.MembershipRow(
        team_id=team.id, user_id=by.user_id, role="owner", created_at_ms=2
    )
    await rows.join(member)
    secret, _ = await runtime.users.create_token(by=replace(by, team_id=team.id), name="other")
    headers = {"Authorization": f"Bearer {secret}"}
    for id in (scenario["id"], "0" * 32):
        answer = await anyone.get(f"/api/v1/scenarios/{id}", headers=headers)
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"There is no scenario {id} in this team."
    assert (await anyone.get("/api/v1/scenarios", headers=headers)).json()["items"] == []
