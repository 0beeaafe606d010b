"""Data stores, their records, and data structures."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field

from millrace.api.policy import By, Routes, allows
from millrace.api.routes.connections import ScenarioName
from millrace.api.shapes import In, Instant, Limit, Out, Page, The, at, plain
from millrace.runtime.datastores import DEFAULT_BYTES

routes = Routes(tags=["data stores"])

Id = Annotated[str, Path(max_length=64)]
Key = Annotated[str, Path(max_length=255)]


class DataStore(Out):
    """A data store."""

    id: str
    name: str
    structure: list[dict[str, Any]]
    is_strict: bool
    max_bytes: int
    record_count: int
    used_bytes: int
    created_at: Instant = at("created_at")


class NewDataStore(In):
    """A data store to be made."""

    name: str = Field(max_length=200)
    structure: list[dict[str, Any]] = []
    is_strict: bool = False
    max_bytes: int = Field(default=DEFAULT_BYTES, ge=0, description="0: no limit.")


class DataStoreChange(In):
    """What is to be changed; what is left out stays."""

    name: str | None = Field(default=None, max_length=200)
    structure: list[dict[str, Any]] | None = None
    is_strict: bool | None = None
    max_bytes: int | None = Field(default=None, ge=0)


class Record(Out):
    """One record."""

    key: str
    data: Any
    size: int
    written_at: Instant = at("written_at")


class NewRecord(In):
    """A record to be written."""

    data: dict[str, Any]


class Structure(Out):
    """A data structure."""

    id: str
    name: str
    body: list[dict[str, Any]] = Field(serialization_alias="fields")
    is_strict: bool
    created_at: Instant = at("created_at")


class NewStructure(In):
    """A data structure to be made."""

    name: str = Field(max_length=200)
    fields: list[dict[str, Any]]
    is_strict: bool = False


@routes.get("/data-stores", response_model=list[DataStore])
@allows("data_stores.read")
async def list_data_stores(runtime: The, by: By) -> Any:
    """Every data store of the team."""
    return await runtime.data_stores.all(by=by)


@routes.post("/data-stores", response_model=DataStore, status_code=201)
@allows("data_stores.change")
async def create_data_store(runtime: The, by: By, body: NewDataStore) -> Any:
    """Make an empty data store."""
    return await runtime.data_stores.create(by=by, **body.model_dump())


@routes.get("/data-stores/{id}", response_model=DataStore)
@allows("data_stores.read")
async def get_data_store(runtime: The, by: By, id: Id) -> Any:
    """One data store."""
    return await runtime.data_stores.get(id, by=by)


@routes.patch("/data-stores/{id}", response_model=DataStore)
@allows("data_stores.change")
async def change_data_store(runtime: The, by: By, id: Id, body: DataStoreChange) -> Any:
    """Change what is given; records stay as they are."""
    return await runtime.data_stores.change(id, by=by, **body.model_dump())


@routes.delete("/data-stores/{id}", response_model=list[ScenarioName])
@allows("data_stores.change")
async def delete_data_store(runtime: The, by: By, id: Id, force: bool = False) -> Any:
    """Remove a data store with its records; answers the scenarios that used it."""
    return await runtime.data_stores.delete(id, by=by, force=force)


@routes.get("/data-stores/{id}/records", response_model=Page[Record])
@allows("data_stores.read")
async def list_records(
    runtime: The,
    by: By,
    id: Id,
    after: Annotated[str, Query(max_length=255, description="The last key before.")] = "",
    limit: Limit = 50,
) -> Any:
    """A page of records in order of key."""
    records = await runtime.data_stores.records(id, by=by, after=after, limit=limit)
    for record in records:
        record.data = plain(record.data)
    return {"items": records, "next": records[-1].key if len(records) == limit else None}


@routes.delete("/data-stores/{id}/records", status_code=204)
@allows("data_stores.write_records")
async def empty_data_store(runtime: The, by: By, id: Id) -> None:
    """Delete all records."""
    await runtime.data_stores.empty(id, by=by)


@routes.put("/data-stores/{id}/records/{key}", status_code=204)
@allows("data_stores.write_records")
async def put_record(runtime: The, by: By, id: Id, key: Key, body: NewRecord) -> None:
    """Write one record."""
    await runtime.data_stores.put_record(id, key, body.data, by=by)


@routes.delete("/data-stores/{id}/records/{key}", status_code=204)
@allows("data_stores.write_records")
async def delete_record(runtime: The, by: By, id: Id, key: Key) -> None:
    """Delete one record."""
    await runtime.data_stores.delete_record(id, key, by=by)


@routes.get("/structures", response_model=list[Structure])
@allows("data_stores.read")
async def list_structures(runtime: The, by: By) -> Any:
    """Every data structure of the team."""
    return await runtime.data_stores.structures(by=by)


@routes.post("/structures", response_model=Structure, status_code=201)
@allows("data_stores.change")
async def create_structure(runtime: The, by: By, body: NewStructure) -> Any:
    """Keep a data structure."""
    return await runtime.data_stores.create_structure(by=by, **body.model_dump())


@routes.delete("/structures/{id}", status_code=204)
@allows("data_stores.change")
async def delete_structure(runtime: The, by: By, id: Id) -> None:
    """Remove a data structure."""
    await runtime.data_stores.delete_structure(id, by=by)
