"""Data stores, their records as people see them, and data structures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from millrace.clock import Clock
from millrace.errors import Conflict, OutOfSpaceError, RequestInvalid
from millrace.ids import new_id
from millrace.runtime.activity import Activity
from millrace.runtime.actor import Actor
from millrace.runtime.journal import decode, encode, milliseconds
from millrace.runtime.named import Named
from millrace.runtime.resources import TeamResources
from millrace.runtime.services import TeamVault
from millrace.runtime.transaction import record_context
from millrace.runtime.uses import Uses
from millrace.storage.datastores import DataStoreRow, StoredRecord, StructureRow

DEFAULT_BYTES = 10 * 1024 * 1024
"""Source: Make's default size of a data store (execution.md 8.6), read 2026-11-21."""

KEY_CHARACTERS = 255


class RecordView(msgspec.Struct, kw_only=True):
    """One record, opened."""

    key: str
    data: Any
    size: int
    written_at_ms: int


class DataStores:
    """The data stores of each team."""

    def __init__(
        self,
        named: Named,
        *,
        resources: TeamResources,
        clock: Clock,
        vault: TeamVault,
        activity: Activity,
        uses: Uses,
    ) -> None:
        self._named = named
        self._resources = resources
        self._rows = named.data_stores
        self._clock = clock
        self._vault = vault
        self._activity = activity
        self._uses = uses

    async def create(
        self,
        *,
        by: Actor,
        name: str,
        structure: Iterable[Mapping[str, Any]] = (),
        is_strict: bool = False,
        max_bytes: int = DEFAULT_BYTES,
    ) -> DataStoreRow:
        """Make an empty data store.

        Args:
            by: Who asks.
            name: Unique in the team: what scenarios call it.
            structure: Its fields as ``{name, type, label, required, fields}``; none: any field.
            is_strict: Fields outside the structure are refused.
            max_bytes: What its records may hold; 0: no limit.

        Raises:
            RequestInvalid: a field of the structure has no name, or two have the same.
            Conflict: a data store of this name exists.
        """
        by.authorize("data_stores.change")
        await self._check_name(by.team_id, name)
        row = DataStoreRow(
            team_id=by.team_id,
            id=new_id(),
            name=name,
            structure=checked_structure(structure),
            is_strict=is_strict,
            max_bytes=max_bytes,
            created_at_ms=milliseconds(self._clock.now()),
            created_by=by.user_id,
        )
        await self._rows.add(row)
        self._resources.forget(by.team_id)
        await self._activity.note(by, "data_stores.create", "data store", row.id, name=name)
        return row

    async def all(self, *, by: Actor) -> list[DataStoreRow]:
        """Every data store of the team."""
        by.authorize("data_stores.read")
        return await self._rows.page(by.team_id, limit=1000)

    async def get(self, id: str, *, by: Actor) -> DataStoreRow:
        """One data store.

        Raises:
            NotFound: the team has no such data store.
        """
        by.authorize("data_stores.read")
        return await self._rows.get(by.team_id, id)

    async def change(
        self,
        id: str,
        *,
        by: Actor,
        name: str | None = None,
        structure: Iterable[Mapping[str, Any]] | None = None,
        is_strict: bool | None = None,
        max_bytes: int | None = None,
    ) -> DataStoreRow:
        """Change what is given; records that are there stay as they are.

        Raises:
            NotFound: the team has no such data store.
            RequestInvalid: the structure is wrong.
            Conflict: a data store of this name exists.
        """
        by.authorize("data_stores.change")
        row = await self._rows.get(by.team_id, id)
        values: dict[str, Any] = {"is_strict": is_strict, "max_bytes": max_bytes}
        if name is not None and name != row.name:
            await self._check_name(by.team_id, name)
            values["name"] = name
        if structure is not None:
            values["structure"] = checked_structure(structure)
        values = {key: value for key, value in values.items() if value is not None}
        if values:
            await self._rows.change(by.team_id, id, **values)
            self._resources.forget(by.team_id)
            await self._activity.note(
                by, "data_stores.change", "data store", id, fields=sorted(values)
            )
        return await self._rows.get(by.team_id, id)

    async def delete(self, id: str, *, by: Actor, force: bool = False) -> list[dict[str, str]]:
        """Remove a data store with all its records.

        Returns:
            The scenarios that used it.

        Raises:
            NotFound: the team has no such data store.
            Conflict: scenarios use it, and `force` was not given.
        """
        by.authorize("data_stores.change")
        row = await self._rows.get(by.team_id, id)
        used = await self._uses.of(by.team_id, "data_store", id, row.name)
        if used and not force:
            names = ", ".join(scenario["name"] for scenario in used)
            raise Conflict(f"These scenarios use the data store: {names}.")
        await self._rows.remove(by.team_id, id)
        self._resources.forget(by.team_id)
        await self._activity.note(by, "data_stores.delete", "data store", id, name=row.name)
        return used

    async def records(
        self, id: str, *, by: Actor, after: str = "", limit: int = 50
    ) -> list[RecordView]:
        """A page of records in order of key, beginning behind `after`.

        Raises:
            NotFound: the team has no such data store.
        """
        by.authorize("data_stores.read")
        row = await self._named.get(by.team_id, "data_store", id)
        found = await self._rows.browse(by.team_id, row.id, after=after, limit=limit)
        sealer = self._vault.sealer(by.team_id)
        return [
            RecordView(
                key=record.key,
                data=decode(sealer.open(record.body, record_context(row.id, record.key))),
                size=record.size,
                written_at_ms=record.written_at_ms,
            )
            for record in found
        ]

    async def put_record(self, id: str, key: str, data: Mapping[str, Any], *, by: Actor) -> None:
        """Write a record by hand.

        Raises:
            NotFound: the team has no such data store.
            RequestInvalid: the key is empty or too long, or a field is outside a strict structure.
            OutOfSpaceError: the data store is full.
        """
        by.authorize("data_stores.write_records")
        row = await self._named.get(by.team_id, "data_store", id)
        if not 0 < len(key) <= KEY_CHARACTERS:
            raise RequestInvalid(f"A key has 1 to {KEY_CHARACTERS} characters.")
        unknown = set(data) - {field["name"] for field in row.structure}
        if row.is_strict and row.structure and unknown:
            raise RequestInvalid(
                f"The structure of {row.name!r} has no field {min(unknown)!r}, and it is strict."
            )
        plain = encode(dict(data))
        if row.max_bytes and row.used_bytes + len(plain) > row.max_bytes:
            raise OutOfSpaceError(
                f"The data store is full ({row.max_bytes} bytes). Delete records or enlarge it."
            )
        record = StoredRecord(
            key=key,
            body=self._vault.sealer(by.team_id).seal(plain, record_context(row.id, key)),
            size=len(plain),
            written_at_ms=milliseconds(self._clock.now()),
        )
        await self._rows.put(by.team_id, row.id, record)

    async def delete_record(self, id: str, key: str, *, by: Actor) -> None:
        """Delete one record; nothing happens if it is not there.

        Raises:
            NotFound: the team has no such data store.
        """
        by.authorize("data_stores.write_records")
        row = await self._named.get(by.team_id, "data_store", id)
        await self._rows.take_out(by.team_id, row.id, key)

    async def empty(self, id: str, *, by: Actor) -> None:
        """Delete all records.

        Raises:
            NotFound: the team has no such data store.
        """
        by.authorize("data_stores.write_records")
        row = await self._rows.get(by.team_id, id)
        await self._rows.empty(by.team_id, row.id)
        await self._activity.note(by, "data_stores.empty", "data store", id)

    async def create_structure(
        self,
        *,
        by: Actor,
        name: str,
        fields: Iterable[Mapping[str, Any]],
        is_strict: bool = False,
    ) -> StructureRow:
        """Keep a data structure: a shape that modules and webhooks can name.

        Raises:
            RequestInvalid: a field has no name, or two have the same.
            Conflict: a structure of this name exists.
        """
        by.authorize("data_stores.change")
        if await self._rows.structures.page(by.team_id, name=name, limit=1):
            raise Conflict(f"There is a data structure called {name!r} already.")
        now = milliseconds(self._clock.now())
        row = StructureRow(
            team_id=by.team_id,
            id=new_id(),
            name=name,
            body=checked_structure(fields),
            is_strict=is_strict,
            created_at_ms=now,
            updated_at_ms=now,
        )
        await self._rows.structures.add(row)
        return row

    async def structures(self, *, by: Actor) -> list[StructureRow]:
        """Every data structure of the team."""
        by.authorize("data_stores.read")
        return await self._rows.structures.page(by.team_id, limit=1000)

    async def delete_structure(self, id: str, *, by: Actor) -> None:
        """Remove a data structure.

        Raises:
            NotFound: the team has no such structure.
        """
        by.authorize("data_stores.change")
        await self._rows.structures.remove(by.team_id, id)

    async def _check_name(self, team_id: str, name: str) -> None:
        if not name.strip():
            raise RequestInvalid("A data store needs a name.")
        if await self._rows.page(team_id, name=name, limit=1):
            raise Conflict(f"There is a data store called {name!r} already.")


def checked_structure(fields: Iterable[Mapping[str, Any]], *, at: str = "") -> list[dict[str, Any]]:
    """The fields of a structure, if they are one.

    Raises:
        RequestInvalid: a field has no name, or two of one level have the same.
    """
    checked: list[dict[str, Any]] = []
    seen: set[str] = set()
    for field in fields:
        name = field.get("name")
        if not isinstance(name, str) or not name:
            raise RequestInvalid(f"A field of the structure{at} has no name.")
        if name in seen:
            raise RequestInvalid(f"Two fields of the structure{at} are called {name!r}.")
        seen.add(name)
        inner = field.get("fields")
        plain = {"type": "text", **field}
        if inner:
            plain["fields"] = checked_structure(inner, at=f" inside {name!r}")
        checked.append(plain)
    return checked
