"""The vectors of the specification; every function's own examples are in ``tests/expressions``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from millrace.expressions import Scope, compile_expression

VECTORS: list[tuple[str, Any]] = [
    ('if(1 = 1; "A"; "B")', "A"),
    ('if(1 = 2 and 1 = 2; "A"; "B")', "B"),
    ('ifempty(""; "B")', "B"),
    ('ifempty("A"; "B")', "A"),
    ("ifempty(0; 1)", 0),
    ('switch("B"; "A"; 1; "B"; 2; "C"; 3)', 2),
    ('switch("X"; "A"; 1; "B"; 2; "C"; 3; 4)', 4),
    ('switch("X"; "A"; 1)', None),
    ("get(d.list; 1 + 1)", "second"),
    ('get(d; "results.1.city")', "Brno"),
    ("round(1.5)", 2),
    ("ceil(1.2)", 2),
    ("floor(1.9)", 1),
    ("trunc(3.789)", 3),
    ("trunc(3.789; 2)", 3.78),
    ("trunc(123.456; -2)", 100),
    ("median(2; 3; 5; 8)", 4),
    ("stdevP(1; 2; 3; 4; 5)", 1.4142135623730951),
    ("stdevS(1; 2; 3; 4; 5)", 1.5811388300841898),
    ('parseNumber("1 756,456"; ",")', 1756.456),
    ('parseNumber("1.756,456"; ",")', 1756.456),
    ('formatNumber(123456789; 3; ","; ".")', "123.456.789,000"),
    ('length("hello")', 5),
    ('startcase("hello WORLD")', "Hello World"),
    ('capitalize("make")', "Make"),
    ('substring("Hello"; 0; 3)', "Hel"),
    ('substring("Hello"; 1; 3)', "el"),
    ('indexOf("Workfront"; "o")', 1),
    ('indexOf("Workfront"; "o"; 3)', 6),
    ('indexOf("We love Make"; "e"; 7)', 11),
    ('contains("Hello World"; "Bye")', False),
    ('replace("Phone number is 777111222"; "/\\d+/"; "+420$&")', "Phone number is +420777111222"),
    ('replace("numbers 187 23"; "/\\d+/g"; "X")', "numbers X X"),
    ('split("John, George, Paul"; ",")', ["John", " George", " Paul"]),
    ('ascii("ěščřž"; true)', "escrz"),
    ('ascii("Wěošrčkřfžrýoáníté")', "Workfront"),
    ('base64("Make")', "TWFrZQ=="),
    ('toString(toBinary("TWFrZQ=="; "base64"))', "Make"),
    ('md5("Make")', "529a05ca6c1263aab080ec4f20754411"),
    ('sha1("workfront")', "b2b30b8ae1f9e5b40fbb0696eaabdbfd8d0c087f"),
    (
        'sha256("workfront")',
        "ed3d7397eec7b94453035b67ba4468c883ee3bedeb57137f7371f2e0cf5e2bbc",
    ),
    ('substring(sha512("workfront"); 0; 16)', "789ae41b9456357e"),
    ('decodeURL("Automate%20your%20workflow")', "Automate your workflow"),
    ('formatDate("2018-10-01T07:32Z"; "DD.MM.YYYY HH:mm"; "UTC")', "01.10.2018 07:32"),
    ('formatDate("2018-10-01T07:32Z"; "DD.MM.YYYY HH:mm")', "01.10.2018 09:32"),
    ('"" + parseDate(1482940986; "X")', "2016-12-28T16:03:06.000Z"),
    ('"" + parseDate("2016-12-28"; "YYYY-MM-DD")', "2016-12-27T23:00:00.000Z"),
    ('"" + addDays("2016-12-08T15:55:57.536Z"; 2)', "2016-12-10T15:55:57.536Z"),
    ('"" + addMonths("2016-08-08T15:55:57.536Z"; 2)', "2016-10-08T15:55:57.536Z"),
    ('"" + setMinute("2015-10-07T11:36:39.138Z"; 61)', "2015-10-07T12:01:39.138Z"),
    ('"" + setDay("2018-06-27T11:36:39.138Z"; "Monday")', "2018-06-25T11:36:39.138Z"),
    ('"" + setDay("2018-06-27T11:36:39.138Z"; 1)', "2018-06-24T11:36:39.138Z"),
    ('"" + setDay("2018-06-27T11:36:39.138Z"; 7)', "2018-06-30T11:36:39.138Z"),
    ('"" + setDate("2015-08-07T11:36:39.138Z"; 32)', "2015-09-01T11:36:39.138Z"),
    ('"" + setMonth("2015-08-07T11:36:39.138Z"; "january")', "2015-01-07T12:36:39.138Z"),
    ('"" + setMonth("2015-08-07T11:36:39.138Z"; 17)', "2016-05-07T11:36:39.138Z"),
    ('dateDifference("2020-01-01T00:10:00Z"; "2020-01-01T00:00:00Z")', 600_000),
    ('toCollection(d.people; "name"; "age")', {"Bob": 22, "Tim": 23}),
    ('get(map(d.headers; "value"; "name"; "x-a"); 1)', "yes"),
    ('arrayDifference(d.low; d.high; "classic")', [1, 2]),
    ('arrayDifference(d.low; d.high; "symmetric")', [1, 2, 6, 7]),
    ('in("2"; 1; 2; 3)', False),
    ("log(2; 8)", 3),
    ("sub(10; 3; 2)", 5),
    ("div(100; 5; 4)", 5),
]

DATA = {
    "list": ["first", "second"],
    "results": [{"city": "Brno"}],
    "people": [{"name": "Bob", "age": 22}, {"name": "Tim", "age": 23}],
    "headers": [{"name": "x-a", "value": "yes"}],
    "low": [1, 2, 3, 4, 5],
    "high": [3, 4, 5, 6, 7],
}


@pytest.mark.parametrize(("expression", "result"), VECTORS, ids=[vector for vector, _ in VECTORS])
def test_T20_function_vectors(expression: str, result: Any) -> None:
    scope = Scope(
        bundles={"d": DATA}, now=datetime(2026, 1, 1, tzinfo=UTC), zone=ZoneInfo("Europe/Prague")
    )
    assert compile_expression(expression).evaluate(scope) == result
