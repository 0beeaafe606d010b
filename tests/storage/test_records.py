from __future__ import annotations

from typing import Any

import pytest

from millrace.errors import Conflict, LeaseLost, NotFound
from millrace.storage.datastores import DataStoreRow, DataStores, StoredRecord
from millrace.storage.incomplete import Incomplete
from millrace.storage.scenarios import ScenarioRow, Scenarios
from millrace.storage.sqlite import SqliteStore
from millrace.storage.store import (
    Append,
    EventRow,
    Finish,
    IncompleteChange,
    RecordWrite,
    ScenarioChange,
    StateWrite,
)
from millrace.storage.users import TeamRow, Users

from . import rows

STORE = "44444444444444444444444444444444"


@pytest.fixture
async def held(store: SqliteStore) -> EventRow:
    """An event that is being worked on, in a team with a scenario and a data store."""
    await Users(store).add_team(
        TeamRow(id=rows.TEAM, name="Team", created_at_ms=rows.NOW), wrapped_key=b"wrapped"
    )
    await Scenarios(store).add(
        ScenarioRow(
            team_id=rows.TEAM,
            id=rows.SCENARIO,
            name="Scenario",
            is_active=True,
            created_at_ms=rows.NOW,
            updated_at_ms=rows.NOW,
        )
    )
    await DataStores(store).add(
        DataStoreRow(team_id=rows.TEAM, id=STORE, name="Store", created_at_ms=rows.NOW)
    )
    await store.accept(rows.event())
    [event] = await store.claim(limit=1, now_ms=rows.NOW)
    return event


def write(key: str, body: bytes | None, size: int = 10) -> RecordWrite:
    return RecordWrite(team_id=rows.TEAM, data_store_id=STORE, key=key, body=body, size=size)


async def append(store: SqliteStore, held: EventRow, *writes: RecordWrite) -> None:
    await store.append(Append(event_id=held.id, epoch=held.epoch, writes=list(writes)))


async def test_records_are_written_with_the_journal_and_counted(
    store: SqliteStore, held: EventRow
) -> None:
    await append(store, held, write("b", b"1", 10), write("a", b"2", 20), write("c", b"3", 30))
    await append(store, held, write("a", b"22", 25), write("c", None), write("nothing", None))
    assert store.records.get(rows.TEAM, STORE, "a") == b"22"
    assert store.records.get(rows.TEAM, STORE, "c") is None
    assert store.records.scan(rows.TEAM, STORE) == [("a", b"22"), ("b", b"1")]
    assert store.records.scan(rows.TEAM, STORE, after="a", limit=1) == [("b", b"1")]
    assert store.records.count(rows.TEAM, STORE) == 2
    assert store.records.size(rows.TEAM, STORE) == 35


async def test_within_one_write_the_last_word_counts(store: SqliteStore, held: EventRow) -> None:
    await append(store, held, write("k", b"1"), write("k", None), write("k", b"2", 7))
    assert store.records.get(rows.TEAM, STORE, "k") == b"2"
    assert (store.records.count(rows.TEAM, STORE), store.records.size(rows.TEAM, STORE)) == (1, 7)


async def test_a_lost_lease_changes_no_record(store: SqliteStore, held: EventRow) -> None:
    late = Finish(event_id=held.id, epoch=held.epoch - 1, writes=[write("k", b"1")])
    with pytest.raises(LeaseLost):
        await store.finish(late)
    assert store.records.count(rows.TEAM, STORE) == 0


async def test_a_record_of_another_teams_store_is_neither_read_nor_written(
    store: SqliteStore, held: EventRow
) -> None:
    await append(store, held, write("k", b"1"))
    assert store.records.get("another team", STORE, "k") is None
    assert store.records.scan("another team", STORE) == []
    foreign = RecordWrite(team_id="another team", data_store_id=STORE, key="k", body=b"2")
    with pytest.raises(Conflict):
        await append(store, held, foreign)
    assert store.records.get(rows.TEAM, STORE, "k") == b"1"


async def test_records_changed_by_hand_are_counted_alike(
    store: SqliteStore, held: EventRow
) -> None:
    stores = DataStores(store)
    await append(store, held, write("a", b"1", 10))
    by_hand: dict[str, Any] = {"body": b"2", "written_at_ms": rows.NOW}
    await stores.put(rows.TEAM, STORE, StoredRecord(key="b", size=5, **by_hand))
    await stores.put(rows.TEAM, STORE, StoredRecord(key="a", size=6, **by_hand))
    await stores.take_out(rows.TEAM, STORE, "missing")
    found = await stores.get(rows.TEAM, STORE)
    assert (found.record_count, found.used_bytes) == (2, 11)
    assert [r.key for r in await stores.browse(rows.TEAM, STORE)] == ["a", "b"]
    await stores.take_out(rows.TEAM, STORE, "a")
    assert store.records.size(rows.TEAM, STORE) == 5
    await stores.empty(rows.TEAM, STORE)
    assert store.records.count(rows.TEAM, STORE) == 0
    with pytest.raises(NotFound):
        await stores.put("another team", STORE, StoredRecord(key="b", size=5, **by_hand))


async def test_what_modules_remember_is_written_with_the_journal(
    store: SqliteStore, held: EventRow
) -> None:
    def state(module: str, body: bytes | None) -> StateWrite:
        return StateWrite(team_id=rows.TEAM, scenario_id=rows.SCENARIO, module=module, body=body)

    at = {"event_id": held.id, "epoch": held.epoch}
    await store.append(Append(states=[state("1", b"a"), state("2", b"b")], **at))
    await store.append(Append(states=[state("1", b"c"), state("2", None)], **at))
    assert await store.state(rows.TEAM, rows.SCENARIO) == {"1": b"c"}
    assert await store.state("another team", rows.SCENARIO) == {}


async def test_an_incomplete_execution_is_kept_retried_and_resolved_with_the_journal(
    store: SqliteStore, held: EventRow
) -> None:
    incomplete = Incomplete(store)
    kept = rows.incomplete(held.execution_id, retry_at_ms=rows.NOW + 60_000, max_attempts=3)
    retry = rows.event(kind="retry", origin_id=kept.id)
    await store.finish(
        Finish(event_id=held.id, epoch=held.epoch, incomplete=[kept], events=[retry])
    )
    assert await incomplete.totals(rows.TEAM, rows.SCENARIO) == (1, 23)
    assert await incomplete.next_due() == rows.NOW + 60_000
    assert await incomplete.due(now_ms=rows.NOW) == []
    assert [i.id for i in await incomplete.due(now_ms=rows.NOW + 60_000)] == [kept.id]

    await incomplete.begin_resuming(rows.TEAM, kept.id)
    with pytest.raises(Conflict, match="resuming"):
        await incomplete.begin_resuming(rows.TEAM, kept.id)
    assert await incomplete.due(now_ms=rows.NOW + 60_000) == []

    [again] = await store.claim(limit=1, now_ms=rows.NOW)
    failed = IncompleteChange(
        team_id=rows.TEAM,
        id=kept.id,
        state="waiting",
        retry_at_ms=rows.NOW + 120_000,
        error_message="Slower.",
    )
    at = {"event_id": again.id, "epoch": again.epoch}
    await store.append(Append(changes=[failed], **at))
    found = await incomplete.get(rows.TEAM, kept.id)
    assert (found.state, found.attempts, found.error_message) == ("waiting", 1, "Slower.")
    assert (found.error_type, found.body) == ("RateLimitError", kept.body)

    resolved = IncompleteChange(team_id=rows.TEAM, id=kept.id, state="resolved")
    await store.finish(Finish(changes=[resolved], **at))
    assert await incomplete.totals(rows.TEAM, rows.SCENARIO) == (0, 0)
    assert await incomplete.next_due() is None


async def test_the_scenario_is_paused_in_the_same_write(store: SqliteStore, held: EventRow) -> None:
    pause = ScenarioChange(
        team_id=rows.TEAM,
        id=rows.SCENARIO,
        consecutive_errors=3,
        is_active=False,
        paused_reason="Three executions in a row have failed.",
    )
    await store.finish(Finish(event_id=held.id, epoch=held.epoch, scenario=pause))
    scenario = await Scenarios(store).get(rows.TEAM, rows.SCENARIO)
    assert (scenario.consecutive_errors, scenario.is_active) == (3, False)
    assert scenario.paused_reason == "Three executions in a row have failed."
