"""Bundles into a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from millrace.appkit import Answer, Binary, Call, to_text
from millrace.errors import BundleValidationError

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
PIECE_CHARACTERS = 256 * 1024

# What spreadsheets take for the start of a formula, with their full-width forms included.
# Source: https://owasp.org/www-community/attacks/CSV_Injection, read 2026-11-21.
_FORMULA = re.compile("[=+\\-@\t\r\0\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")


def create(call: Call) -> Answer:
    """One row for each gathered bundle."""
    given = call.parameters
    rows: list[Any] = [bundle.get("fields") for bundle in call.bundles]
    if not all(isinstance(row, dict) for row in rows):
        raise BundleValidationError("fields: a collection of columns is expected")
    pieces = _pieces(call, rows)
    if given.get("result") != "file":
        return {"text": "".join(pieces)}
    with call.files.write(
        name=given.get("file_name") or "table.csv", media_type="text/csv; charset=utf-8"
    ) as file:
        for piece in pieces:
            file.write(piece.encode("utf-8", "replace"))
    return {"data": file.binary}


def _pieces(call: Call, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    given = call.parameters
    heads = _heads(given.get("structure"), rows)
    buffer = io.StringIO()
    writer = csv.writer(
        buffer,
        delimiter=_delimiter(call),
        quoting=csv.QUOTE_MINIMAL if given.get("quotes") == "needed" else csv.QUOTE_ALL,
        lineterminator="\n" if given.get("newline") == "lf" else "\r\n",
    )
    cell = _safe_cell if given.get("neutralise_formulas", True) else _cell
    if heads and given.get("headers", True):
        writer.writerow([cell(head) for head in heads.values()])
    for row in rows:
        writer.writerow([cell(row.get(name)) for name in heads])
        if buffer.tell() > PIECE_CHARACTERS:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _heads(structure: Any, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Name of a column → what stands above it, in order."""
    if isinstance(structure, list) and structure:
        heads = {}
        for field in structure:
            if isinstance(field, dict) and field.get("name"):
                heads[str(field["name"])] = str(field.get("label") or field["name"])
            elif isinstance(field, str):
                heads[field] = field
            else:
                raise BundleValidationError("structure: names or fields with a name are expected")
        return heads
    return {name: name for row in rows for name in row}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value.name if isinstance(value, Binary) else to_text(value)


def _safe_cell(value: Any) -> str:
    text = _cell(value)
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def _delimiter(call: Call) -> str:
    chosen = call.parameters.get("delimiter") or "comma"
    if chosen != "other":
        return DELIMITERS[chosen]
    other = call.parameters.get("other_delimiter") or ""
    if len(other) != 1 or other in '\r\n"':
        raise BundleValidationError("other_delimiter: one sign is expected")
    return other
