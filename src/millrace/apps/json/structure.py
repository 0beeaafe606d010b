"""Fit bundles to a data structure: a list of fields with names, types and defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from millrace.appkit import coerce
from millrace.errors import BundleValidationError


class Structure:
    """Fields that a collection must or may have.

    A field is ``{name, type, required?, default?, fields?}``; ``spec``, as Make writes it, counts
    as ``fields``.
    """

    def __init__(
        self, fields: Sequence[Mapping[str, Any]], *, is_strict: bool, zone: tzinfo
    ) -> None:
        self._fields = fields
        self._is_strict = is_strict
        self._zone = zone

    @classmethod
    def of(cls, given: Any, zone: tzinfo) -> Structure | None:
        """The structure that a parameter holds: fields, or ``{fields, strict}``.

        None for everything else: an export of Make names a structure by a number that means nothing
        here, and without the structure anything is accepted.
        """
        is_strict = False
        if isinstance(given, Mapping):
            is_strict = given.get("strict") is True
            given = given.get("fields", given.get("spec"))
        if not isinstance(given, list) or not all(isinstance(field, Mapping) for field in given):
            return None
        return cls(given, is_strict=is_strict, zone=zone)

    def fit(self, bundle: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        """The bundle with its values converted and defaults filled in.

        Args:
            bundle: What was read.
            where: Put before the field's name in an error.

        Raises:
            BundleValidationError: a field is missing, has the wrong type, or is not declared.
        """
        return self._collection(self._fields, bundle, where)

    def _collection(
        self, fields: Sequence[Mapping[str, Any]], given: Mapping[str, Any], where: str
    ) -> dict[str, Any]:
        fitted = dict(given)
        names = set()
        for field in fields:
            name = str(field.get("name", ""))
            names.add(name)
            value = fitted.get(name)
            if value is None:
                value = field.get("default")
            if value is None or value == "":
                if field.get("required") is True:
                    raise BundleValidationError(f"{where}{name} is missing")
                if value is None:
                    continue
            fitted[name] = self._value(field, value, f"{where}{name}")
        if self._is_strict and (unknown := [name for name in fitted if name not in names]):
            raise BundleValidationError(f"{where}{unknown[0]} is not in the structure")
        return fitted

    def _value(self, field: Mapping[str, Any], value: Any, where: str) -> Any:
        type_ = str(field.get("type") or "any")
        inner = field.get("fields", field.get("spec"))
        try:
            value = coerce(value, type_, zone=self._zone)
        except BundleValidationError as error:
            raise BundleValidationError(f"{where}: {error.message}") from error
        if type_ == "collection" and isinstance(inner, list):
            return self._collection(inner, value, f"{where}.")
        if type_ == "array" and inner is not None:
            return [
                self._element(inner, element, f"{where}[{number}]")
                for number, element in enumerate(value, 1)
            ]
        return value

    def _element(self, inner: Any, element: Any, where: str) -> Any:
        """One element of an array: `inner` is its field, or the fields of its collections."""
        if isinstance(inner, Mapping):
            return element if element is None else self._value(inner, element, where)
        if not isinstance(element, Mapping):
            raise BundleValidationError(f"{where}: a collection is expected")
        return self._collection(inner, element, f"{where}.")
