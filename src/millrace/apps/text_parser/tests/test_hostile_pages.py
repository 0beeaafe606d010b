"""Pages and patterns that are built to hang or fill whoever reads them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from millrace.appkit import Call
from millrace.apps.text_parser.elements import from_text
from millrace.apps.text_parser.html_to_text import html_to_text
from millrace.apps.text_parser.matching import match, replace
from millrace.errors import DataError


def call(**parameters):
    return Call(parameters=parameters, context=None, now=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "html",
    ["<div>" * 500_000, "".join(f"<font id={i}>" for i in range(1500)) + "<p>x" * 100_000],
    ids=["deep", "styles"],
)
def test_a_hostile_page_is_refused_at_once(html):
    started = time.perf_counter()

    with pytest.raises(DataError):
        html_to_text(call(html=html))
    assert time.perf_counter() - started < 5


def test_a_long_ordinary_page_is_read():
    html = "<ul>" + "<li><p>one <b>two</b>" * 20_000

    assert html_to_text(call(html=html))["text"].count("one two") == 20_000


@pytest.mark.parametrize("pattern", ["(a|aa)+$", "(a|a?)+$", "(.*)*b", "([a-zA-Z]+)*$"])
def test_T056_patterns_take_linear_time(pattern):
    started = time.perf_counter()

    found = match(call(pattern=pattern, text="a" * 20_000 + "!", **{"global": True}))
    assert isinstance(found, Iterator)
    assert all("i" in bundle for bundle in found)
    assert time.perf_counter() - started < 5


def test_a_replacement_that_grows_without_end_is_refused():
    with pytest.raises(DataError, match="larger than"):
        replace(call(pattern="", value="x" * 10_000, text="a" * 10_000))


def test_an_address_with_a_long_tail_takes_linear_time():
    started = time.perf_counter()

    assert list(from_text(call(element="url", text="https://a" + "." * 200_000)))
    assert time.perf_counter() - started < 5
