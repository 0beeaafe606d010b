from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from millrace.errors import Conflict, NotFound, OutOfSpaceError, RequestInvalid


async def test_records_are_written_read_and_deleted(runtime: Any, owner: Any) -> None:
    store = await runtime.data_stores.create(by=owner, name="products")
    for key in ("b", "a", "c"):
        await runtime.data_stores.put_record(store.id, key, {"name": key * 2}, by=owner)
    records = await runtime.data_stores.records(store.id, by=owner, limit=2)
    assert [(record.key, record.data) for record in records] == [
        ("a", {"name": "aa"}),
        ("b", {"name": "bb"}),
    ]
    rest = await runtime.data_stores.records(store.id, by=owner, after="b")
    assert [record.key for record in rest] == ["c"]
    await runtime.data_stores.delete_record(store.id, "b", by=owner)
    assert (await runtime.data_stores.get(store.id, by=owner)).record_count == 2
    await runtime.data_stores.empty(store.id, by=owner)
    assert (await runtime.data_stores.get(store.id, by=owner)).used_bytes == 0


async def test_what_a_person_writes_a_scenario_reads(runtime: Any, owner: Any) -> None:
    store = await runtime.data_stores.create(by=owner, name="products")
    await runtime.data_stores.put_record(store.id, "lamp", {"stock": 3}, by=owner)
    text = (
        "millrace: 1\nflow:\n"
        "  - {id: 1, module: 'data-store:get', data_store: products, parameters: {key: lamp}}\n"
        "  - {id: 2, module: 'data-store:add', data_store: products,"
        " parameters: {key: chair, data: {stock: '{{1.stock}}'}}}\n"
    )
    saved = await runtime.scenarios.create(by=owner, text=text)
    assert saved.problems == []
    version = await runtime.scenarios.text(saved.scenario.id, by=owner)
    program = await runtime.programs.version(owner.team_id, version.id)
    _, done = await runtime.executions.start(program)
    assert (await done).finish.status == "success"
    records = await runtime.data_stores.records(store.id, by=owner)
    assert {record.key: record.data for record in records} == {
        "chair": {"stock": 3},
        "lamp": {"stock": 3},
    }


async def test_records_are_sealed_on_disk(runtime: Any, owner: Any, tmp_path: Path) -> None:
    store = await runtime.data_stores.create(by=owner, name="people")
    await runtime.data_stores.put_record(store.id, "1", {"name": "Marguerite"}, by=owner)
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("millrace.db*"))
    assert b"Marguerite" not in on_disk


async def test_a_strict_structure_refuses_other_fields(runtime: Any, owner: Any) -> None:
    store = await runtime.data_stores.create(
        by=owner, name="people", structure=[{"name": "name"}], is_strict=True
    )
    assert store.structure == [{"type": "text", "name": "name"}]
    with pytest.raises(RequestInvalid, match="no field 'age'"):
        await runtime.data_stores.put_record(store.id, "1", {"name": "a", "age": 1}, by=owner)


@pytest.mark.parametrize("structure", [[{}], [{"name": "a"}, {"name": "a"}], [{"name": 3}]])
async def test_a_structure_that_is_none_is_refused(
    runtime: Any, owner: Any, structure: Any
) -> None:
    with pytest.raises(RequestInvalid, match="structure"):
        await runtime.data_stores.create(by=owner, name="x", structure=structure)


async def test_a_full_data_store_says_so(runtime: Any, owner: Any) -> None:
    store = await runtime.data_stores.create(by=owner, name="small", max_bytes=40)
    with pytest.raises(OutOfSpaceError, match="full"):
        await runtime.data_stores.put_record(store.id, "1", {"name": "x" * 50}, by=owner)


async def test_names_are_unique_and_teams_are_apart(
    runtime: Any, owner: Any, stranger: Any
) -> None:
    store = await runtime.data_stores.create(by=owner, name="products")
    with pytest.raises(Conflict):
        await runtime.data_stores.create(by=owner, name="products")
    await runtime.data_stores.create(by=stranger, name="products")
    for deed in (
        runtime.data_stores.get(store.id, by=stranger),
        runtime.data_stores.records(store.id, by=stranger),
        runtime.data_stores.put_record(store.id, "1", {}, by=stranger),
        runtime.data_stores.delete_record(store.id, "1", by=stranger),
        runtime.data_stores.empty(store.id, by=stranger),
        runtime.data_stores.delete(store.id, by=stranger),
    ):
        with pytest.raises(NotFound):
            await deed
