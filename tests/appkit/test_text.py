"""Bytes from outside as texts, JSON and XML, within limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.appkit import (
    compile_conditions,
    decode_text,
    field_of,
    json_loads,
    to_text,
    xml_loads,
)
from millrace.errors import BundleValidationError, DataError, ExpressionError


@pytest.mark.parametrize(
    ("content", "declared", "text"),
    [
        (b"caf\xc3\xa9", None, "café"),
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"\x80 5", "latin1", "€ 5"),
        (b"caf\xc3\xa9", "iso-8859-1", "café"),
        (b"\xef\xbb\xbfa", "latin1", "a"),
        (b"\xff\xfea\x00", None, "a"),
        (b"\xfe\xff\x00a", "utf-8", "a"),
        (b"\xea\xf9", "windows-1251", "кщ"),
        (b"a\xff", None, "a\ufffd"),
        (b"a", "no-such-charset", "a"),
        (b"a", "rot13", "a"),
        (b"a", "hex", "a"),
        (b"a", "ut\x00f", "a"),
    ],
)
def test_bytes_are_read_by_their_mark_then_as_declared(content, declared, text):
    assert decode_text(content, declared) == text


@given(st.binary(max_size=200), st.text(max_size=20) | st.sampled_from(["utf-16", "cp1250"]))
def test_any_bytes_become_a_text(content, declared):
    assert isinstance(decode_text(content, declared), str)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("\ufeff[1]", [1]),
        (b"\xef\xbb\xbf[1]", [1]),
        ("[1]".encode("utf-16"), [1]),
        ("12345678901234567890123", 12345678901234567890123),
        ("[" * 100 + "]" * 100, None),
    ],
)
def test_json_is_read(text, value):
    read = json_loads(text)

    assert value is None or read == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":\n 1,,}', "line 2, column 4"),
        ("", "the text is empty"),
        (" \n", "the text is empty"),
        ("[1, 2", "ends too early at line 1, column 6"),
        ('{"secret": tru}', "line 1, column 1"),
        ("NaN", "invalid character"),
        ("[" * 101 + "]" * 101, "more than 100 levels"),
        ("[" * 100_000, "100 levels"),
        ('{"a":' * 500 + "1" + "}" * 500, "100 levels"),
        ('"\\ud800"', "not JSON"),
        ('"\ud800"', "lone surrogate"),
    ],
)
def test_json_that_is_wrong_says_where_and_never_what(text, message):
    with pytest.raises(BundleValidationError) as wrong:
        json_loads(text)

    assert message in wrong.value.message
    assert "secret" not in wrong.value.message


def test_json_over_the_limit_is_not_read():
    with pytest.raises(BundleValidationError, match="larger than"):
        json_loads(b" " * 11, largest_bytes=10)


@given(st.text() | st.binary())
def test_any_text_is_json_or_an_error(text):
    try:
        json_loads(text)
    except BundleValidationError as error:
        assert error.message


def test_xml_is_read_as_expressions_expect_it():
    text = '<?xml version="1.0"?><o id="7"><l>tea</l><l n="2">3.5</l><e/>free</o>'

    assert xml_loads(text) == {
        "o": {
            "_attributes": {"id": "7"},
            "l": ["tea", {"_attributes": {"n": "2"}, "_value": 3.5}],
            "e": [""],
            "_value": "free",
        }
    }
    assert xml_loads("<n>007</n>") == {"n": "007"}
    assert xml_loads("<n>7</n>", keeps_texts=True) == {"n": "7"}


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
        '<!DOCTYPE html SYSTEM "http://127.0.0.1/x.dtd"><html/>',
        "<a>" * 200 + "</a>" * 200,
    ],
)
def test_T048_document_types_and_depth_are_refused(text):
    with pytest.raises(DataError):
        xml_loads(text)


def test_xml_that_is_wrong_says_where():
    with pytest.raises(BundleValidationError, match="line 2, column"):
        xml_loads("<a>\n<b></a>")


@pytest.mark.parametrize(
    ("conditions", "is_held"),
    [
        ([], True),
        (None, True),
        ([[]], True),
        ([[{"a": "stock", "o": "number:greater", "b": "2"}]], True),
        ([[{"a": "stock", "o": "number:greater", "b": "3"}]], False),
        ([[{"a": "no.such", "o": "exist"}], [{"a": "name", "o": "text:equal", "b": "tea"}]], True),
        ([[{"a": "size.w", "o": "number:equal", "b": 4}, {"a": "name", "o": "notexist"}]], False),
        ([[{"a": "a.b", "o": "text:equal", "b": "dotted"}]], True),
        ([[{"a": "name", "o": "text:equal", "b": "{{1.x}}"}]], False),
    ],
)
def test_conditions_hold_over_a_record(conditions, is_held):
    record = {"name": "tea", "stock": 3, "size": {"w": 4}, "a.b": "dotted"}

    assert compile_conditions(conditions)(record) is is_held


def test_an_unknown_operator_is_refused():
    with pytest.raises(ExpressionError, match="text:resembles"):
        compile_conditions([[{"a": "x", "o": "text:resembles", "b": 1}]])


def test_values_as_texts_and_fields_by_path():
    assert [to_text(v) for v in (None, True, 2.0, [1, "a"])] == ["", "true", "2", "1, a"]
    assert field_of({"a": {"b": [1]}}, "a.b") == [1]
    assert field_of({"a": 1}, "a.b.c") is None
