"""Tables into bundles, piece by piece."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import Any, TextIO

from millrace.appkit import Binary, Call
from millrace.errors import BundleValidationError, DataError

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
SAMPLE_BYTES = 64 * 1024
"""What the delimiter and the encoding are found out from."""

LARGEST_CELL = 10 * 1024 * 1024
"""Characters; a quote that is never closed would otherwise gather the whole file."""


def parse(call: Call) -> Iterator[dict[str, Any]]:
    """One bundle for each row."""
    given = call.parameters["csv"]
    if isinstance(given, Binary):
        return _rows_of_file(call, given)
    if isinstance(given, bytes):
        given = given.decode(_encoding(call, given), "replace")
    if not isinstance(given, str):
        raise BundleValidationError("csv: a text or a file is expected")
    return _bundles(call, io.StringIO(given.removeprefix("\ufeff"), newline=""))


def _rows_of_file(call: Call, file: Binary) -> Iterator[dict[str, Any]]:
    with call.files.open(file) as stream:
        encoding = _encoding(call, stream.read(SAMPLE_BYTES))
        stream.seek(0)
        with io.TextIOWrapper(stream, encoding=encoding, newline="") as text:
            yield from _bundles(call, text)


def _encoding(call: Call, sample: bytes) -> str:
    chosen = call.parameters.get("encoding") or "auto"
    if chosen != "auto":
        try:
            info = codecs.lookup(chosen)
        except LookupError:
            info = None
        if info is None or not info._is_text_encoding:
            raise BundleValidationError(
                "encoding: there is no such encoding; write it like utf-8 or windows-1250"
            )
        return "utf-8-sig" if info.name == "utf-8" else info.name
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        # The last character may be cut in two by the end of the sample.
        is_whole = len(sample) < SAMPLE_BYTES
        codecs.getincrementaldecoder("utf-8")().decode(sample, is_whole)
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8-sig"


def _bundles(call: Call, text: TextIO) -> Iterator[dict[str, Any]]:
    given = call.parameters
    quote = "" if given.get("preserve_quotes") else given.get("quote", '"')
    line = 0  # where the last good row ended
    try:
        sample = text.read(SAMPLE_BYTES)
        text.seek(0)
        announced = _announced(sample)
        if announced:
            text.readline()
        csv.field_size_limit(LARGEST_CELL)
        rows = csv.reader(
            text, strict=True, **_dialect(announced or _delimiter(call, sample, quote), quote)
        )
        for bundle in _named(rows, given.get("first_row") or "names", given.get("columns")):
            line = rows.line_num
            yield bundle
    except csv.Error as error:
        raise BundleValidationError(_problem(str(error), line + 1)) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"after line {line} the file is not {error.encoding}; choose its encoding"
        ) from error


def _announced(sample: str) -> str:
    """The delimiter that a first line such as ``sep=;`` announces, as spreadsheets write it."""
    return sample[4:5] if sample[:4].lower() == "sep=" and sample[5:6] in ("\r", "\n") else ""


def _dialect(delimiter: str, quote: str) -> dict[str, Any]:
    return {
        "delimiter": delimiter,
        "quotechar": quote or None,
        "quoting": csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    }


def _named(rows: Any, first_row: str, width: int | None) -> Iterator[dict[str, Any]]:
    names: list[str] = []
    if first_row != "data":
        first = next((row for row in rows if row), [])
        names = _names(first) if first_row == "names" else []
    if width:
        names = (names + _columns(len(names), width))[:width]
    for row in rows:
        if not row:
            continue
        missing = len(names) - len(row)
        if missing > 0:
            row += [None] * missing
        elif missing < 0 and not width:
            yield dict(zip(names + _columns(len(names), len(row)), row, strict=True))
            continue
        yield dict(zip(names, row, strict=False))


def _columns(start: int, end: int) -> list[str]:
    return [f"col{number}" for number in range(start + 1, end + 1)]


def _names(row: list[str]) -> list[str]:
    """Names of columns, each once: the second ``a`` is ``a_2``, one without a name ``col3``."""
    taken: set[str] = set()
    names = []
    for number, given in enumerate(row, 1):
        name = wanted = given.strip() or f"col{number}"
        count = 1
        while name in taken:
            count += 1
            name = f"{wanted}_{count}"
        taken.add(name)
        names.append(name)
    return names


def _delimiter(call: Call, sample: str, quote: str) -> str:
    chosen = call.parameters.get("delimiter") or "auto"
    if chosen == "other":
        other = call.parameters.get("other_delimiter") or ""
        if len(other) != 1 or other in "\r\n":
            raise BundleValidationError("other_delimiter: one sign is expected")
        return other
    if chosen != "auto":
        return DELIMITERS[chosen]
    return max(DELIMITERS.values(), key=lambda delimiter: _evenness(sample, delimiter, quote))


def _evenness(sample: str, delimiter: str, quote: str) -> tuple[int, int]:
    """How well a delimiter parts the first rows: how many are as wide as the first, how wide."""
    lines = sample.splitlines(keepends=True)[:50]
    if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")) and len(sample) >= SAMPLE_BYTES:
        lines.pop()
    rows = csv.reader(lines, **_dialect(delimiter, quote))
    try:
        widths = [len(row) for row in rows if row]
    except csv.Error:
        return (0, 0)
    if not widths or widths[0] == 1:
        return (0, 0)
    return (sum(width == widths[0] for width in widths), widths[0])


def _problem(reason: str, line: int) -> str:
    if "unexpected end of data" in reason:
        return f"line {line}: a quote was opened and never closed"
    if "expected after" in reason:
        return (
            f"line {line}: after a closing quote another sign follows; choose an empty quote sign "
            "if quotes mean nothing in this file"
        )
    if "field larger" in reason:
        return (
            f"line {line}: a value is longer than {LARGEST_CELL >> 20} MB; is a quote not closed?"
        )
    return f"line {line}: this is not CSV"
