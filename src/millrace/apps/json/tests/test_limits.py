"""What YAML cases cannot say: sizes and depths."""

import time
from datetime import UTC, datetime

import pytest

from millrace.appkit import Call
from millrace.apps.json.reading import read_json
from millrace.errors import BundleValidationError

CALL = Call(parameters={}, context=None, now=datetime(2026, 1, 1, tzinfo=UTC))


def test_100_levels_are_read_and_101_are_not():
    assert read_json(CALL, "[" * 100 + "]" * 100)
    with pytest.raises(BundleValidationError, match="100 levels"):
        read_json(CALL, "[" * 101 + "]" * 101)


def test_brackets_inside_texts_are_no_levels():
    text = "[" * 500 + '\\"' + "{" * 500

    assert read_json(CALL, f'{{"a": "{text}"}}') == {"a": "[" * 500 + '"' + "{" * 500}


def test_a_hundred_thousand_levels_are_an_error_and_no_crash():
    with pytest.raises(BundleValidationError, match="levels"):
        read_json(CALL, "[" * 100_000 + "]" * 100_000)


def test_ten_megabytes_are_read_within_seconds():
    element = '{"id": 1, "name": "Eva [Novak]", "tags": ["a", "b"]}'
    started = time.perf_counter()

    assert len(read_json(CALL, f"[{','.join([element] * 200_000)}]")) == 200_000
    assert time.perf_counter() - started < 5


def test_the_message_never_holds_the_text():
    with pytest.raises(BundleValidationError) as caught:
        read_json(CALL, '{"password": "tajne heslo" oops}')
    assert "heslo" not in caught.value.message
    assert caught.value.message.endswith("line 1, column 28")
