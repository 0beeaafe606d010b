"""Documents that are built to read files, fill the memory or hang whoever reads them."""

import time
from datetime import UTC, datetime

import pytest

from millrace.appkit import Call
from millrace.apps.xml.functions import create, parse
from millrace.errors import DataError, ModuleError

LAUGHS = '<!ENTITY l0 "lol">' + "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
LONG, MANY = "x" * 100_000, "&x;" * 10_000
HOSTILE = {
    "a file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "an address": '<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:1/">]><a>&x;</a>',
    "a parameter entity": '<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><a/>',
    "a billion laughs": f"<!DOCTYPE a [{LAUGHS}]><a>&l9;</a>",
    "laughs in an attribute": f'<!DOCTYPE a [{LAUGHS}]><a b="&l9;"/>',
    "a long entity many times": f'<!DOCTYPE a [<!ENTITY x "{LONG}">]><a>{MANY}</a>',
    "depth": "<a>" * 101 + "</a>" * 101,
    "great depth": "<a>" * 100_000,
}


def call(**parameters):
    return Call(parameters=parameters, context=None, now=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("encoding", ["text", "utf-8", "utf-16"])
def test_T048_a_hostile_document_is_an_error_at_once(name, encoding):
    document = HOSTILE[name] if encoding == "text" else HOSTILE[name].encode(encoding)
    started = time.perf_counter()

    with pytest.raises(ModuleError) as caught:
        parse(call(xml=document))
    assert time.perf_counter() - started < 1
    assert "root:" not in caught.value.message


def test_100_levels_are_read():
    assert parse(call(xml="<a>" * 100 + "</a>" * 100))


def test_content_that_is_too_deep_is_refused():
    content = {"a": 1}
    for _ in range(200):
        content = {"a": content}

    with pytest.raises(DataError, match="levels"):
        create(call(content=content, root="r"))


def test_what_was_written_is_read_again():
    content = {"a": {"_attributes": {"x": "<\"&'>"}, "b": ["1 & 2", " ", "\u010d"], "c": [2]}}

    written = create(call(content=content, root=""))["xml"]
    assert parse(call(xml=written)) == {
        "a": {"_attributes": {"x": "<\"&'>"}, "b": ["1 & 2", "", "\u010d"], "c": [2]}
    }
