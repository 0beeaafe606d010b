"""The matrix of expected type and received kind, and the texts that are dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from millrace.errors import BundleValidationError
from millrace.expressions import ERASE, IGNORE, Binary, coerce

DATE = datetime(2016, 6, 20, 17, 26, 44, 356000, tzinfo=UTC)
FILE = Binary(id="0" * 64, name="a.txt", size_bytes=3, media_type="text/plain")
REFUSED = object()


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("array", [1], [1]),
        ("array", "x", ["x"]),
        ("array", {"a": 1}, [{"a": 1}]),
        ("boolean", True, True),
        ("boolean", 0, True),
        ("boolean", 1.5, True),
        ("boolean", "false", False),
        ("boolean", "", False),
        ("boolean", "no", True),
        ("boolean", [], True),
        ("boolean", DATE, True),
        ("buffer", b"x", b"x"),
        ("buffer", FILE, FILE),
        ("buffer", True, b"true"),
        ("buffer", 1.5, b"1.5"),
        ("buffer", DATE, b"2016-06-20T17:26:44.356Z"),
        ("buffer", "ü", "ü".encode()),
        ("buffer", [1], REFUSED),
        ("buffer", {}, REFUSED),
        ("collection", {"a": 1}, {"a": 1}),
        ("collection", "x", REFUSED),
        ("collection", [1], REFUSED),
        ("date", DATE, DATE),
        ("date", "2016-06-20T17:26:44.356Z", DATE),
        ("date", "soon", REFUSED),
        ("date", "2016-06", REFUSED),
        ("date", 1466443604, REFUSED),
        ("date", True, REFUSED),
        ("number", 5, 5),
        ("number", "5", 5),
        ("number", " 5.50 ", 5.5),
        ("number", "-1e3", -1000),
        ("number", "12345678901234567890", 12345678901234567890),
        ("number", "5 apples", REFUSED),
        ("number", "0x10", REFUSED),
        ("number", "1e999", REFUSED),
        ("number", "NaN", REFUSED),
        ("number", float("nan"), REFUSED),
        ("number", True, REFUSED),
        ("number", DATE, REFUSED),
        ("number", [1], REFUSED),
        ("integer", "7", 7),
        ("integer", 7.0, 7),
        ("integer", 7.5, REFUSED),
        ("uinteger", "-1", REFUSED),
        ("uinteger", 0, 0),
        ("port", "65535", 65535),
        ("port", 65536, REFUSED),
        ("text", "x", "x"),
        ("text", True, "true"),
        ("text", 5, "5"),
        ("text", 2.0, "2"),
        ("text", DATE, "2016-06-20T17:26:44.356Z"),
        ("text", b"abc", "abc"),
        ("text", b"\xff\xfe\x00", REFUSED),
        ("text", [1, "a"], "1, a"),
        ("text", [{"a": 1}], REFUSED),
        ("text", {"a": 1}, REFUSED),
        ("text", FILE, REFUSED),
        ("time", "9:05", "09:05:00"),
        ("time", "23:59:59", "23:59:59"),
        ("time", "10:11:12.5", "10:11:12.500"),
        ("time", "25:00", REFUSED),
        ("time", 5, REFUSED),
        ("timestamp", DATE, 1466443604.356),
        ("timestamp", "1466443604", 1466443604),
        ("email", "ada@example.com", "ada@example.com"),
        ("email", "ada", REFUSED),
        ("url", "https://example.com/a?b", "https://example.com/a?b"),
        ("url", "example.com", REFUSED),
        ("filename", "report.pdf", "report.pdf"),
        ("filename", "../report.pdf", REFUSED),
        ("path", "/a/b", "/a/b"),
        ("path", "a\x00b", REFUSED),
        ("uuid", "88aab3ed-e8d3-4df9-8d26-ab90d3bafd4a", "88aab3ed-e8d3-4df9-8d26-ab90d3bafd4a"),
        ("uuid", "88aab3ed", REFUSED),
        ("color", "#a0b1c2", "#a0b1c2"),
        ("color", "red", REFUSED),
        ("timezone", "Europe/Prague", "Europe/Prague"),
        ("timezone", "../../etc/passwd", REFUSED),
        ("json", '{"a": 1}', '{"a": 1}'),
        ("json", {"a": 1}, '{"a":1}'),
        ("json", "{", REFUSED),
        ("any", {"a": [1]}, {"a": [1]}),
        ("select", 5, 5),
        ("udt", {"a": 1}, {"a": 1}),
    ],
)
def test_a_value_becomes_what_the_parameter_expects(
    type_name: str, value: Any, expected: Any
) -> None:
    if expected is REFUSED:
        with pytest.raises(BundleValidationError):
            coerce(value, type_name)
        return
    result = coerce(value, type_name)
    assert (type(result), result) == (type(expected), expected)


@pytest.mark.parametrize("type_name", ["text", "number", "date", "array", "collection", "buffer"])
def test_nothing_stays_nothing_and_instructions_pass(type_name: str) -> None:
    assert coerce(None, type_name) is None
    assert coerce(IGNORE, type_name) is IGNORE
    assert coerce(ERASE, type_name) is ERASE


def test_a_refusal_names_both_kinds_and_never_the_value() -> None:
    with pytest.raises(BundleValidationError) as caught:
        coerce("secret-4711", "number")
    assert str(caught.value) == "a number is expected, not a text"


def test_a_file_is_read_where_a_text_is_expected() -> None:
    assert coerce(FILE, "text", read_bytes=lambda file: b"abc") == "abc"
    with pytest.raises(BundleValidationError):
        coerce(FILE, "text", read_bytes=lambda file: b"\xff\xff")


def test_a_text_becomes_bytes_in_the_encoding_asked_for() -> None:
    assert coerce("ü", "buffer", encoding="latin-1") == b"\xfc"
    for encoding in ("ascii", "klingon"):
        with pytest.raises(BundleValidationError):
            coerce("ü", "buffer", encoding=encoding)


PRAGUE = ZoneInfo("Europe/Prague")
EVENING = datetime(2016, 6, 20, 19, 26, 44, tzinfo=timezone(timedelta(hours=2)))
LATE = datetime(2016, 6, 20, 17, 26, tzinfo=PRAGUE)
MIDNIGHT = datetime(2016, 6, 20, tzinfo=PRAGUE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016-06-20T17:26:44.356Z", DATE),
        ("2016-06-20 19:26:44 GMT+02:00", EVENING),
        ("2016-06-20 19:26+0200", EVENING.replace(second=0)),
        ("2016-06-20 17:26:44", LATE.replace(second=44)),
        ("2016-06-20", MIDNIGHT),
        ("2016/06/20 17:26:44", LATE.replace(second=44)),
        ("2016/06/20 19:26:44+02:00", EVENING),
        ("2016/06/20 17:26", LATE),
        ("2016/06/20 5:26 PM", LATE),
        ("2016/06/20", MIDNIGHT),
        ("06/20/2016 17:26:44", LATE.replace(second=44)),
        ("06/20/2016 19:26:44+02:00", EVENING),
        ("06/20/2016 17:26", LATE),
        ("06/20/2016 5:26 PM", LATE),
        ("06/20/2016", MIDNIGHT),
        ("20.6.2016 17:26:44", LATE.replace(second=44)),
        ("20.6.2016 19:26:44+02:00", EVENING),
        ("20.6.2016 17:26", LATE),
        ("20.6.2016", MIDNIGHT),
        ("Mon, 20 Jun 2016 19:26:44 +0200", EVENING),
        ("June 20, 2016", MIDNIGHT),
        ("20160620T172644Z", None),
        ("13/20/2016", None),
        ("2016-06-31", None),
        ("2016-06-20 25:00", None),
        ("2016-06-20 13:00 PM", None),
        ("20 Juni", None),
        ("0000-00-00", None),
        ("2016", None),
        ("2016-06-20" + " " * 200 + "x", None),
    ],
)
def test_a_date_text_needs_day_month_and_year(text: str, expected: datetime | None) -> None:
    if expected is None:
        with pytest.raises(BundleValidationError):
            coerce(text, "date", zone=PRAGUE)
    else:
        assert coerce(text, "date", zone=PRAGUE) == expected
