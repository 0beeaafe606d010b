"""From bytes to plain data, with limits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_exports import ALL

from millrace.errors import ScenarioInvalid
from millrace.scenario.formats import read_scenario
from millrace.scenario.formats.text import read_data


def problem_of(source: str | bytes) -> str:
    with pytest.raises(ScenarioInvalid) as caught:
        read_data(source)
    assert caught.value.problems
    return str(caught.value)


def test_a_plain_scalar_is_what_json_would_read_and_else_text():
    text = (
        "on: yes\nno: on\nat: 07:00\nday: 2026-01-31\nphone: +420123\nzip: 007\nhex: 0x1F\n"
        "under: 1_000\nnan: .nan\ntilde: ~\nempty:\nnull: null\n1: 1\n1.5: -1.5e3\n"
        "yes: true\nno2: False\nbig: 123456789012345678901234567890123\nquoted: '1'\n"
    )

    assert read_data(text) == {
        "on": "yes", "no": "on", "at": "07:00", "day": "2026-01-31", "phone": "+420123",
        "zip": "007", "hex": "0x1F", "under": "1_000", "nan": ".nan", "tilde": None, "empty": None,
        "null": None, "1": 1, "1.5": -1500.0, "yes": True, "no2": "False",
        "big": "123456789012345678901234567890123", "quoted": "1",
    }  # fmt: skip


def test_anchors_and_aliases_share_a_value():
    assert read_data("a: &x {b: [1, 2]}\nc: *x\nd: [*x]\ne: &t text\nf: *t") == {
        "a": {"b": [1, 2]},
        "c": {"b": [1, 2]},
        "d": [{"b": [1, 2]}],
        "e": "text",
        "f": "text",
    }


def test_an_alias_bomb_is_refused():
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"] + [
        f"{b}: &{b} [{','.join(['*' + a] * 10)}]"
        for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ]

    assert problem_of("\n".join(lines)) == "the file says more than 1,000,000 values"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [*x]", "a[0]: the alias *x stands inside what it names (line 1)"),
        ("a: *nowhere", "a: the alias *nowhere names nothing (line 1)"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "b.c: this key is written twice (again in line 4)"),
        ("[a, b]: 1", "a key must be a text, not a list or a map (line 1)"),
        ("a: !!python/object/apply:os.system [x]", "a: the tag tag:yaml.org,2002:python/"),
        ("a: !secret x", "a: the tag !secret means nothing here (line 1)"),
        ("a: 1\n---\nb: 2", "the file holds more than one YAML document; keep one"),
        ("a: [1", "not valid YAML at line 2, column 1"),
        ("a: b: c", "not valid YAML at line 1, column 5: mapping values are not allowed"),
        ("a: \x00", "not valid YAML"),
        ("a: 1e999", "a: this number is too large"),
        ('{"a": 1e999}', "a: this number is too large"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": {"b": 1, "b": 2}}', "a.b: this key is written twice"),
        ('{"a": [{"x y": 1, "x y": 2}]}', 'a[0]."x y": this key is written twice'),
        ('{"a": 1', "not valid JSON at line 1, column 8"),
        ('{"a": ' + "9" * 5000 + "}", "a number in the file has too many digits"),
        ("", "the file is empty"),
        (" \n ", "the file is empty"),
        (b"name: caf\xe9", "byte 10 is not UTF-8; save the file as UTF-8"),
        (b"\xff\xfea", "byte 3 is not UTF-16"),
        ("x" * (10 * 1024 * 1024 + 1), "the file is larger than 10 MB"),
        (b"x" * (10 * 1024 * 1024 + 1), "the file is larger than 10 MB"),
    ],
)
def test_a_text_that_cannot_be_read_says_where_and_why(text, message):
    assert problem_of(text).startswith(message)


@pytest.mark.parametrize("depth", [101, 900, 10_000, 500_000])
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"flow":'])
def test_deep_nesting_is_an_error_and_never_a_crash(opening, depth):
    closing = opening.replace('{"a":', "}").replace('{"flow":', "}")[::-1].replace("[", "]")

    assert "nested more than 100 levels deep" in problem_of(opening * depth + "1" + closing * depth)


@pytest.mark.parametrize(
    "text", ['{"a": 1' + ', "a": 1' * 400_000 + "}", "[" + "1," * 1_000_001 + "1]"]
)
def test_a_large_file_is_judged_in_seconds(text):
    assert problem_of(text) in (
        "a: this key is written twice",
        "the file says more than 1,000,000 values",
    )


@pytest.mark.parametrize("opening", ["- ", "a: {", "? "])
def test_deep_nesting_in_yaml_is_an_error_and_never_a_crash(opening):
    assert problem_of(opening * 20_000)
    assert problem_of("a:\n" + "".join(" " * n + "b:\n" for n in range(1, 1500)))


def test_json_with_a_comma_too_many_or_a_comment_is_read():
    assert read_data('{"a": [1, 2,],\n  # why\n  b: "c",}') == {"a": [1, 2], "b": "c"}


def test_half_of_a_surrogate_pair_becomes_the_replacement_character():
    assert read_data('{"a\\ud83d": ["\\uD83D", "\\ud83d\\ude00"]}') == {"a\ufffd": ["\ufffd", "😀"]}


@settings(deadline=None)
@given(st.text() | st.binary())
def test_random_text_is_read_or_refused(source):
    try:
        read_scenario(source)
    except ScenarioInvalid as refused:
        assert refused.problems


NATIVE = """\
millrace: 1
schedule: {weekly: [mon], at: "07:00", windows: [{days: [1], time: ["08:00", "09:00"]}]}
settings: {cycles: 2}
flow:
  - id: 1
    module: a:b@2
    filter: [[{a: "{{1.x}}", o: exist}]]
    parameters: &p {x: [1, {y: null}]}
    on_error: [{id: 2, module: flow:ignore}]
  - {id: if, module: flow:if, branches: [{flow: [], filter: "{{1.a}}"}], else: [], merge: {a: [1]}}
layout: {1: [0, 1.5]}
"""
SOURCES = [NATIVE, *(json.dumps(data) for data in ALL.values())]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(SOURCES),
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 12),
            st.sampled_from([*'{}[],:"&*!|>-#? \n', "null", "1", "[]", "{}", '"x"', "\t", "é"]),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_a_damaged_file_is_read_or_refused(source, damages):
    for place, length, put in damages:
        at = int(place * len(source))
        source = source[:at] + put + source[at + length :]
    try:
        read_scenario(source)
    except ScenarioInvalid as refused:
        assert refused.problems


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["flow", "id", "module", "millrace", "schedule", "settings", "layout", "filter",
                 "routes", "branches", "else", "merge", "on_error", "make", "inputs", "name",
                 "blueprint", "response", "subflows", "metadata", "daily", "at", "mapper"]
            ),
            inner,
            max_size=4,
        )
    ),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["millrace", "flow", "blueprint", "metadata"]), junk))
def test_a_file_of_the_wrong_shape_is_read_or_refused(data):
    text = json.dumps(data, allow_nan=True).replace("Infinity", "1")
    try:
        read_scenario(text)
    except ScenarioInvalid as refused:
        assert refused.problems
