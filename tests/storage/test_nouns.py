from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from millrace.errors import Conflict, NotFound, StorageError
from millrace.ids import new_id
from millrace.storage.audit import Audit, AuditRow, NotificationRow, Notifications
from millrace.storage.connections import ConnectionRow, Connections, KeyRow, Keys
from millrace.storage.datastores import DataStores, StructureRow
from millrace.storage.executions import Executions, Usage
from millrace.storage.incomplete import Incomplete
from millrace.storage.meta import Meta
from millrace.storage.scenarios import ScenarioRow, Scenarios
from millrace.storage.sqlite import SqliteStore
from millrace.storage.states import ModuleStates
from millrace.storage.store import Append, FileUse, Finish
from millrace.storage.users import (
    ApiTokenRow,
    MembershipRow,
    SessionRow,
    SignInLinkRow,
    TeamRow,
    UserRow,
    Users,
)
from millrace.storage.webhooks import WebhookLogRow, WebhookRow, Webhooks

from . import rows

OTHER = "33333333333333333333333333333333"
USER = "55555555555555555555555555555555"
STAMPS: dict[str, Any] = {"created_at_ms": rows.NOW, "updated_at_ms": rows.NOW}


@pytest.fixture
async def users(store: SqliteStore) -> Users:
    """Two teams and a person."""
    users = Users(store)
    for id in (rows.TEAM, OTHER):
        team = TeamRow(id=id, name="Team", created_at_ms=rows.NOW)
        await users.add_team(team, wrapped_key=b"wrapped")
    await users.add(UserRow(id=USER, email="ada@example.org", name="Ada", created_at_ms=rows.NOW))
    return users


@pytest.fixture
def scenarios(store: SqliteStore, users: Users) -> Scenarios:
    return Scenarios(store)


def scenario(**known: Any) -> ScenarioRow:
    values: dict[str, Any] = {"team_id": rows.TEAM, "id": new_id(), "name": "Scenario", **STAMPS}
    return ScenarioRow(**values | known)


def connection(**known: Any) -> ConnectionRow:
    values: dict[str, Any] = {
        "team_id": rows.TEAM,
        "id": new_id(),
        "name": "Mine",
        "app": "slack",
        "type": "bot",
        "body": b"sealed",
        "hosts": ["slack.com"],
        **STAMPS,
    }
    return ConnectionRow(**values | known)


async def test_a_row_comes_back_as_it_was(store: SqliteStore, users: Users) -> None:
    connections = Connections(store)
    row = connection(scopes=["read", "write"], expires_at_ms=rows.NOW + 1)
    await connections.add(row)
    assert await connections.get(rows.TEAM, row.id) == row
    with pytest.raises(Conflict):
        await connections.add(row)


async def test_another_team_sees_nothing_and_changes_nothing(
    store: SqliteStore, users: Users
) -> None:
    connections = Connections(store)
    row = connection()
    await connections.add(row)
    assert await connections.find(OTHER, row.id) is None
    assert await connections.page(OTHER) == []
    for attempt in (
        connections.get(OTHER, row.id),
        connections.change(OTHER, row.id, name="Theirs"),
        connections.remove(OTHER, row.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await connections.get(rows.TEAM, row.id) == row


@pytest.mark.parametrize("team", ["", None])
@pytest.mark.parametrize(
    "ask",
    [
        lambda store, team: Scenarios(store).get(team, "1"),
        lambda store, team: Scenarios(store).page(team),
        lambda store, team: Scenarios(store).change(team, "1", name="x"),
        lambda store, team: Scenarios(store).remove(team, "1"),
        lambda store, team: Scenarios(store).add(scenario(team_id=team)),
        lambda store, team: Scenarios(store).publish(team, "1", "2", at_ms=1),
        lambda store, team: Executions(store).usage(team, since_id=""),
        lambda store, team: Executions(store).forget(team, before_id="f"),
        lambda store, team: Incomplete(store).totals(team, "1"),
        lambda store, team: DataStores(store).browse(team, "1"),
        lambda store, team: DataStores(store).empty(team, "1"),
        lambda store, team: Audit(store).page(team),
        lambda store, team: ModuleStates(store).set(team, "1", "1", None),
        lambda store, team: Users(store).wrapped_key(team),
        lambda store, team: Users(store).shred(team),
    ],
)
async def test_nothing_is_asked_without_a_team(
    store: SqliteStore, ask: Callable[[SqliteStore, Any], Awaitable[object]], team: str | None
) -> None:
    with pytest.raises(StorageError, match="without a team"):
        await ask(store, team)


async def test_pages_go_from_the_newest_to_the_oldest(scenarios: Scenarios) -> None:
    ids = [f"{number:032x}" for number in range(7)]
    for id in ids:
        await scenarios.add(scenario(id=id, folder="even" if int(id, 16) % 2 == 0 else "odd"))
    first = await scenarios.page(rows.TEAM, limit=3)
    second = await scenarios.page(rows.TEAM, limit=3, before=first[-1].id)
    third = await scenarios.page(rows.TEAM, limit=3, before=second[-1].id)
    assert [row.id for row in first + second + third] == ids[::-1]
    assert len(await scenarios.page(rows.TEAM, folder="even")) == 4
    assert len(await scenarios.page(rows.TEAM, published_version_id=None)) == 7


async def test_versions_are_numbered_and_one_is_published(scenarios: Scenarios) -> None:
    await scenarios.add(scenario(id=rows.SCENARIO))
    numbers = [
        await scenarios.save(
            rows.TEAM, rows.SCENARIO, version_id=f"v{n}", body=f"name: {n}", at_ms=n, by=USER
        )
        for n in range(3)
    ]
    assert numbers == [1, 2, 3]
    await scenarios.publish(rows.TEAM, rows.SCENARIO, "v1", at_ms=9)
    found = await scenarios.get(rows.TEAM, rows.SCENARIO)
    assert (found.draft_version_id, found.published_version_id) == ("v2", "v1")
    version = await scenarios.versions.get(rows.TEAM, "v1")
    assert (version.number, version.body, version.is_published) == (2, "name: 1", True)
    with pytest.raises(NotFound):
        await scenarios.publish(rows.TEAM, rows.SCENARIO, "v9", at_ms=9)


async def test_of_two_who_save_at_once_the_second_is_told(scenarios: Scenarios) -> None:
    await scenarios.add(scenario(id=rows.SCENARIO))

    async def save(version: str) -> int:
        return await scenarios.save(
            rows.TEAM, rows.SCENARIO, version_id=version, body="", at_ms=1, by=USER, revision=1
        )

    results = await asyncio.gather(save("a"), save("b"), return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], Conflict)
    assert len(await scenarios.versions.page(rows.TEAM)) == 1


async def test_a_scenario_cannot_be_saved_into_another_team(scenarios: Scenarios) -> None:
    await scenarios.add(scenario(id=rows.SCENARIO))
    with pytest.raises(NotFound):
        await scenarios.save(OTHER, rows.SCENARIO, version_id="v", body="", at_ms=1, by=None)


async def test_only_active_scenarios_are_due(scenarios: Scenarios) -> None:
    for name, due, is_active, deleted in (
        ("later", 20, True, None),
        ("now", 10, True, None),
        ("off", 1, False, None),
        ("in the trash", 1, True, 5),
        ("by hand", None, True, None),
    ):
        row = scenario(name=name, next_due_at_ms=due, is_active=is_active, deleted_at_ms=deleted)
        await scenarios.add(row)
    assert await scenarios.next_due() == 10
    assert [row.name for row in await scenarios.due(now_ms=10)] == ["now"]
    assert [row.name for row in await scenarios.due(now_ms=20)] == ["now", "later"]


async def test_a_scenario_takes_what_belongs_to_it_along(
    store: SqliteStore, scenarios: Scenarios
) -> None:
    await scenarios.add(scenario(id=rows.SCENARIO))
    await scenarios.save(rows.TEAM, rows.SCENARIO, version_id="v", body="", at_ms=1, by=None)
    await ModuleStates(store).set(rows.TEAM, rows.SCENARIO, "1", b"cursor")
    await ModuleStates(store).set(rows.TEAM, rows.SCENARIO, "1", b"newer")
    assert await store.state(rows.TEAM, rows.SCENARIO) == {"1": b"newer"}
    await scenarios.remove(rows.TEAM, rows.SCENARIO)
    assert await scenarios.versions.page(rows.TEAM) == []
    assert await store.state(rows.TEAM, rows.SCENARIO) == {}


async def run(store: SqliteStore, id: str, **known: Any) -> None:
    event = rows.event(state="running", epoch=store.epoch, execution_id=id)
    store.accept(event)
    use = FileUse(
        team_id=rows.TEAM,
        file_id="f" * 64,
        execution_id=id,
        size_bytes=9,
        created_at_ms=rows.NOW,
    )
    store.append(Append(event_id=event.id, epoch=store.epoch, files=[use, use]))
    finished = rows.execution(id, finished_at_ms=rows.NOW, summary=b"summary", **known)
    await store.finish(
        Finish(
            event_id=event.id, epoch=store.epoch, execution=finished, segments=[rows.segment(id)]
        )
    )


async def test_executions_are_listed_and_summed(store: SqliteStore) -> None:
    executions = Executions(store)
    await run(store, "01", operations=5, transfer_bytes=150, status="success")
    await run(store, "02", operations=2, transfer_bytes=10, status="error")
    await run(store, "03", operations=1, scenario_id="another", status="success")
    listed = await executions.page(rows.TEAM, scenario_id=rows.SCENARIO)
    assert [row.id for row in listed] == ["02", "01"]
    assert [row.id for row in await executions.page(rows.TEAM, status="success")] == ["03", "01"]
    assert await executions.usage(rows.TEAM, since_id="") == Usage(
        executions=3, operations=8, transfer_bytes=160
    )
    since = await executions.usage(rows.TEAM, since_id="02", scenario_id=rows.SCENARIO)
    assert since == Usage(executions=1, operations=2, transfer_bytes=10)
    assert await executions.usage(OTHER, since_id="") == Usage()


async def test_details_are_forgotten_before_the_executions_themselves(store: SqliteStore) -> None:
    executions = Executions(store)
    for id in ("01", "02", "03"):
        await run(store, id)
    running = rows.event(state="running", epoch=store.epoch)
    store.accept(running)
    await store.append(
        Append(event_id=running.id, epoch=store.epoch, execution=rows.execution("00"))
    )
    assert await executions.forget_details(rows.TEAM, before_id="03", limit=1) == 1
    assert await executions.forget_details(rows.TEAM, before_id="03") == 1
    assert await executions.forget_details(rows.TEAM, before_id="03") == 0
    assert (await executions.get(rows.TEAM, "02")).summary is None
    assert await store.segments(rows.TEAM, "02") == []
    assert len(await store.segments(rows.TEAM, "03")) == 1
    assert await executions.files_without_use(rows.TEAM, ["f" * 64, "e" * 64]) == ["e" * 64]

    assert await executions.forget(rows.TEAM, before_id="ff") == 3
    assert [row.id for row in await executions.page(rows.TEAM)] == ["00"]
    assert await executions.files_without_use(rows.TEAM, ["f" * 64]) == ["f" * 64]


async def test_incomplete_executions_expire_unless_they_are_being_resumed(
    store: SqliteStore, scenarios: Scenarios
) -> None:
    await scenarios.add(scenario(id=rows.SCENARIO))
    incomplete = Incomplete(store)
    expired, resuming, fresh = (
        rows.incomplete("e", expires_at_ms=rows.NOW + age) for age in (0, 0, 1)
    )
    for row in (expired, resuming, fresh):
        await incomplete.add(row)
    await incomplete.begin_resuming(rows.TEAM, resuming.id)
    assert await incomplete.forget_expired(now_ms=rows.NOW) == 1
    assert {row.id for row in await incomplete.page(rows.TEAM)} == {resuming.id, fresh.id}
    with pytest.raises(NotFound):
        await incomplete.begin_resuming(rows.TEAM, expired.id)


async def test_a_webhook_is_found_by_its_token(store: SqliteStore, users: Users) -> None:
    webhooks = Webhooks(store)
    row = WebhookRow(
        team_id=rows.TEAM,
        id="w",
        name="Orders",
        token_hash=b"hash",
        prefix="abcd",
        settings={"method": "POST"},
        created_at_ms=rows.NOW,
    )
    await webhooks.add(row)
    assert await webhooks.by_token(b"hash") == row
    assert await webhooks.by_token(b"another") is None
    assert await webhooks.everywhere() == [row]
    for number in range(3):
        await webhooks.log.add(
            WebhookLogRow(
                team_id=rows.TEAM,
                id=f"{number}",
                webhook_id="w",
                received_at_ms=rows.NOW,
                status=200,
                method="POST",
                address="198.51.100.7",
            )
        )
    assert await webhooks.forget_log(before_id="2") == 2
    assert [row.id for row in await webhooks.log.page(rows.TEAM, webhook_id="w")] == ["2"]


async def test_a_token_belongs_to_a_team_and_a_person(store: SqliteStore, users: Users) -> None:
    token = ApiTokenRow(
        team_id=rows.TEAM,
        id="t",
        user_id=USER,
        name="CI",
        token_hash=b"hash",
        prefix="mr_1234",
        scopes=["scenarios:read"],
        created_at_ms=rows.NOW,
    )
    await users.tokens.add(token)
    assert await users.tokens.by_token(b"hash") == token
    await users.tokens.change(rows.TEAM, "t", used_at_ms=rows.NOW)
    await users.tokens.remove(rows.TEAM, "t")
    assert await users.tokens.by_token(b"hash") is None


async def test_people_join_and_leave_teams(users: Users) -> None:
    for role in ("viewer", "owner"):
        await users.join(
            MembershipRow(team_id=rows.TEAM, user_id=USER, role=role, created_at_ms=rows.NOW)
        )
    assert [m.role for m in await users.memberships(USER)] == ["owner"]
    assert [m.user_id for m in await users.members(rows.TEAM)] == [USER]
    await users.leave(rows.TEAM, USER)
    assert await users.members(rows.TEAM) == []
    assert await users.by_email("ADA@example.org") == await users.get(USER)
    assert await users.by_email("bob@example.org") is None
    with pytest.raises(Conflict):
        await users.add(UserRow(id="2", email="ada@example.org", name="", created_at_ms=1))
    with pytest.raises(NotFound):
        await users.change("nobody", name="x")
    await users.change_team(rows.TEAM, settings={"retention_days": 7})
    assert (await users.team(rows.TEAM)).settings == {"retention_days": 7}
    assert len(await users.teams()) == 2
    assert len(await users.everyone()) == 1


async def test_sessions_end_one_by_one_and_all_together(users: Users) -> None:
    for token in (b"1", b"2", b"3"):
        await users.begin_session(
            SessionRow(
                token_hash=token,
                user_id=USER,
                created_at_ms=1,
                used_at_ms=1,
                expires_at_ms=int(token) * 10,
                csrf_secret="s",
            )
        )
    await users.touch_session(b"3", at_ms=5)
    found = await users.session(b"3")
    assert found is not None
    assert found.used_at_ms == 5
    await users.end_session(b"3")
    assert await users.session(b"3") is None
    with pytest.raises(NotFound):
        await users.touch_session(b"3", at_ms=6)
    await users.forget_expired(now_ms=10)
    assert await users.session(b"1") is None
    await users.end_sessions(USER)
    assert await users.session(b"2") is None


async def test_a_sign_in_link_works_once(users: Users) -> None:
    for token, expires in ((b"good", 20), (b"late", 10)):
        await users.add_link(
            SignInLinkRow(
                token_hash=token,
                user_id=USER,
                purpose="sign-in",
                created_at_ms=1,
                expires_at_ms=expires,
            )
        )
    both = await asyncio.gather(*(users.use_link(b"good", now_ms=10) for _ in range(2)))
    assert sorted(link is not None for link in both) == [False, True]
    assert await users.use_link(b"late", now_ms=10) is None


async def test_a_shredded_team_has_no_key(users: Users) -> None:
    assert await users.wrapped_key(rows.TEAM) == b"wrapped"
    await users.shred(rows.TEAM)
    with pytest.raises(NotFound, match="cannot be read any more"):
        await users.wrapped_key(rows.TEAM)
    assert await users.wrapped_key(OTHER) == b"wrapped"


async def test_deeds_are_numbered_and_forgotten_by_age(store: SqliteStore) -> None:
    audit = Audit(store)
    for at in (1, 2, 3):
        await audit.add(
            AuditRow(
                team_id=rows.TEAM,
                at_ms=at,
                actor=f"user:{USER}",
                action="scenario.activate",
                object_kind="scenario",
                object_id=f"s{at}",
            )
        )
    newest, *_ = await audit.page(rows.TEAM, limit=1)
    assert (newest.at_ms, newest.seq) == (3, 3)
    assert [deed.at_ms for deed in await audit.page(rows.TEAM, before_seq=3)] == [2, 1]
    assert [deed.at_ms for deed in await audit.page(rows.TEAM, object_id="s2")] == [2]
    assert await audit.page(OTHER) == []
    assert await audit.forget(before_ms=3) == 2
    assert len(await audit.page(rows.TEAM)) == 1


async def test_small_nouns_keep_their_rows(store: SqliteStore, users: Users) -> None:
    key = KeyRow(
        team_id=rows.TEAM, id="k", name="Key", type="pgp", body=b"s", created_at_ms=rows.NOW
    )
    await Keys(store).add(key)
    assert await Keys(store).page(rows.TEAM) == [key]
    shape = StructureRow(team_id=rows.TEAM, id="s", name="Order", body=[{"name": "id"}], **STAMPS)
    await DataStores(store).structures.add(shape)
    assert await DataStores(store).structures.get(rows.TEAM, "s") == shape
    notice = NotificationRow(
        team_id=rows.TEAM, id="n", kind="paused", message="Paused.", created_at_ms=rows.NOW
    )
    await Notifications(store).add(notice)
    assert await Notifications(store).forget(before_ms=rows.NOW + 1) == 1
    meta = Meta(store)
    assert await meta.get("name") is None
    await meta.put("name", "a")
    await meta.put("name", "b")
    assert await meta.get("name") == "b"
