"""Records of a data store, read and changed inside the execution's transaction."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any

from millrace.appkit import Answer, Call, compile_conditions, field_of, to_text
from millrace.appkit.call import Records
from millrace.apps.data_store.structure import complete, fit, merge
from millrace.errors import (
    BundleValidationError,
    DataError,
    DuplicateDataError,
    InvalidConfigurationError,
)


def add(call: Call) -> Answer:
    """Put a new record, or replace one when `overwrite` says so."""
    records = _records(call)
    key = _key(call, is_needed=False)
    exists = records.get(key) is not None
    if exists and not call.parameters.get("overwrite"):
        raise DuplicateDataError(
            "Data store: a record with this key exists already."
            ' Turn on "Overwrite an existing record", or choose another key.'
        )
    data = fit(
        call.parameters.get("data") or {},
        records.structure,
        is_strict=records.is_strict,
        zone=call.zone,
    )
    data = complete(data, records.structure)
    records.put(key, data)
    return {"key": key, "created": not exists, "data": data}


def update(call: Call) -> Answer:
    """Change the given fields; with `upsert` a missing record is added."""
    records = _records(call)
    key = _key(call)
    old = records.get(key)
    if old is None and not call.parameters.get("upsert"):
        raise DataError(
            "Data store: there is no record with this key."
            ' Turn on "Add the record when it is missing", or check the key.'
        )
    change = fit(
        call.parameters.get("data") or {},
        records.structure,
        is_strict=records.is_strict,
        zone=call.zone,
    )
    overwrite = bool(call.parameters.get("overwrite_arrays"))
    data = merge(old or {}, change, overwrite_arrays=overwrite)
    data = complete(data, records.structure)
    records.put(key, data)
    return {"key": key, "created": old is None, "data": data}


def get(call: Call) -> Answer:
    """The record, by its fields or wrapped; an empty bundle when there is none."""
    key = _key(call)
    data = _records(call).get(key)
    if data is None:
        if call.parameters.get("when_missing") == "error":
            raise DataError("Data store: there is no record with this key.")
        return {}
    return {"key": key, "data": data} if call.parameters.get("wrapped") else dict(data)


def exists(call: Call) -> Answer:
    """Whether there is a record with the key."""
    return {"exist": _records(call).get(_key(call)) is not None}


def delete(call: Call) -> Answer:
    """Remove one record."""
    key = _key(call)
    return {"key": key, "deleted": _records(call).remove(key)}


def delete_all(call: Call) -> Answer:
    """Remove every record."""
    return {"deleted": _records(call).clear()}


def count(call: Call) -> Answer:
    """How many records there are."""
    return {"count": _records(call).count()}


def search(call: Call) -> Answer:
    """The records that meet the conditions, as a list.

    Not a stream: the scenario may change the store while it works on what was found.
    """
    is_wanted = compile_conditions(call.parameters.get("filter"))
    sort = call.parameters.get("sort") or ()
    limit = call.parameters.get("limit")
    # A condition or a sort may name the key like a field, unless a field has that name.
    found = (
        {"key": key, "data": data}
        for key, data in _records(call).scan()
        if is_wanted({"key": key, **data})
    )
    if sort:
        ordered = list(found)
        # Stable sorts from the last criterion to the first give the order of all together.
        for criterion in reversed(sort):
            name = criterion["key"]
            is_descending = str(criterion.get("order")) in ("desc", "-1")
            ordered.sort(
                key=lambda found, name=name: _rank(
                    field_of({"key": found["key"], **found["data"]}, name)
                ),
                reverse=is_descending,
            )
        found = iter(ordered)
    bundles = list(found if limit is None else islice(found, int(limit)))
    if not bundles and call.parameters.get("continue_when_no_result"):
        return {}
    return bundles


def _records(call: Call) -> Records:
    if call.records is None:
        raise InvalidConfigurationError("Data store: the module names no data store.")
    return call.records


def _key(call: Call, *, is_needed: bool = True) -> str:
    given = call.parameters.get("key")
    key = "" if given is None else to_text(given)
    if key:
        return key
    if is_needed:
        raise BundleValidationError("Data store: the key is empty.")
    # Made from the call's own key, so that the same operation repeated makes the same record.
    return sha256(call.key.encode()).hexdigest()[:32]


def _rank(value: Any) -> tuple[int, Any]:
    """What values of any types can be sorted by: missing, numbers, dates, texts, others."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool | int | float):
        return (1, value)
    if isinstance(value, datetime):
        return (2, value.timestamp())
    if isinstance(value, str):
        return (3, value)
    return (4, 0)
