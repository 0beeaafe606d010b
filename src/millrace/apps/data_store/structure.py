"""Make the data of a record fit what its store declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from millrace.appkit import ERASE, Binary, coerce
from millrace.errors import BundleValidationError, DataError

Fields = Sequence[Mapping[str, Any]]


def fit(
    data: Mapping[str, Any], fields: Fields | None, *, is_strict: bool, zone: tzinfo
) -> dict[str, Any]:
    """Convert the declared fields of `data` and look at the others.

    ``erase`` passes: `merge` needs it.

    Raises:
        DataError: a value has the wrong type, the store is strict and does not know a field, or a
            value is a file.
    """
    return _fit(data, fields or (), is_strict=is_strict and fields is not None, zone=zone, path="")


def complete(data: dict[str, Any], fields: Fields | None) -> dict[str, Any]:
    """The record with the defaults of missing fields, and without what was erased.

    Raises:
        DataError: a required field is missing.
    """
    whole = {name: value for name, value in data.items() if value is not ERASE}
    for field in fields or ():
        name = field["name"]
        if whole.get(name) is None and field.get("default") is not None:
            whole[name] = field["default"]
        if whole.get(name) is None and field.get("required"):
            raise DataError(f"Data store: the field {name} is required by the structure.")
    return whole


def merge(
    old: Mapping[str, Any], new: Mapping[str, Any], *, overwrite_arrays: bool
) -> dict[str, Any]:
    """Change the fields that `new` gives: empty leaves, ``erase`` removes, collections merge."""
    merged = dict(old)
    for name, value in new.items():
        known = merged.get(name)
        if value is ERASE:
            merged.pop(name, None)
        elif value is None:
            continue
        elif isinstance(value, Mapping):
            inner = known if isinstance(known, Mapping) else {}
            merged[name] = merge(inner, value, overwrite_arrays=overwrite_arrays)
        elif isinstance(value, list) and isinstance(known, list) and not overwrite_arrays:
            merged[name] = [*known, *value]
        else:
            merged[name] = value
    return merged


def _fit(
    data: Mapping[str, Any], fields: Fields, *, is_strict: bool, zone: tzinfo, path: str
) -> dict[str, Any]:
    declared = {field["name"]: field for field in fields}
    fitted: dict[str, Any] = {}
    for name, value in data.items():
        place = f"{path}{name}"
        field = declared.get(name)
        if field is None:
            if is_strict:
                raise DataError(f"Data store: the structure is strict and has no field {place}.")
            _refuse_files(value, place)
            fitted[name] = value
        elif value is None or value is ERASE:
            fitted[name] = value
        else:
            fitted[name] = _convert(value, field, is_strict=is_strict, zone=zone, place=place)
    return fitted


def _convert(
    value: Any, field: Mapping[str, Any], *, is_strict: bool, zone: tzinfo, place: str
) -> Any:
    type_ = field.get("type") or "any"
    inner = field.get("fields") or field.get("spec") or ()
    try:
        value = coerce(value, type_, zone=zone)
    except BundleValidationError as error:
        raise DataError(f"Data store: the field {place}: {error.message}") from error
    _refuse_files(value, place)
    if type_ == "collection" and inner:
        return _fit(value, inner, is_strict=is_strict, zone=zone, path=f"{place}.")
    if type_ == "array" and inner:
        # A structure writes the elements as a list of fields, or as one field that describes each.
        element = inner if isinstance(inner, Mapping) else {"type": "collection", "fields": inner}
        return [
            _convert(each, element, is_strict=is_strict, zone=zone, place=f"{place}[{number}]")
            for number, each in enumerate(value, 1)
        ]
    return value


def _refuse_files(value: Any, place: str) -> None:
    if isinstance(value, Binary):
        raise DataError(
            f"Data store: the field {place} is a file, and a record keeps no files."
            " Keep its address or its text instead."
        )
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _refuse_files(inner, f"{place}.{name}")
    elif isinstance(value, list):
        for inner in value:
            _refuse_files(inner, place)
