"""What a compiled template tells about itself, and how it uses its scope."""

from __future__ import annotations

import copy
import json
import pickle
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from millrace.errors import ExpressionError
from millrace.expressions import (
    ERASE,
    FUNCTIONS,
    IGNORE,
    Binary,
    Scope,
    compile_expression,
    compile_template,
    parse_template,
    references,
)


def evaluate(source: str, scope: Scope | None = None) -> Any:
    return compile_template(source).evaluate(scope or Scope())


def test_a_template_knows_what_it_mentions() -> None:
    source = "{{upper(1.name)}} {{items[2.index].sku}} {{if(var.x; yes; length(`3`.y))}}"
    template = compile_template(source)
    assert template.source == source
    assert template.references == {"1", "2", "3", "items", "var"}
    assert template.functions == {"upper", "if", "length"}
    assert template.words == {"yes"}
    assert not template.is_constant
    assert references(parse_template(source)) == template.references


def test_a_key_of_a_collection_is_no_reference() -> None:
    assert compile_template("{{map(1.people; home.city)}}").references == {"1"}


def test_a_text_without_holes_is_constant() -> None:
    template = compile_template("no holes }} here")
    assert template.is_constant
    assert template.evaluate(Scope()) == "no holes }} here"


def test_the_same_source_is_compiled_once() -> None:
    assert compile_template("{{1.a}} once") is compile_template("{{1.a}} once")


def test_a_large_text_with_small_holes_is_fine() -> None:
    source = "x" * 1_000_000 + "{{1.a}}" + "y" * 1_000_000
    result = evaluate(source, Scope(bundles={"1": {"a": "-"}}))
    assert result == source.replace("{{1.a}}", "-")


def test_connector_files_separate_arguments_with_commas() -> None:
    source = "{{if(parameters.x == 'a', body.items[-1], \"b\")}}"
    scope = Scope(names={"parameters": {"x": "a"}, "body": {"items": [1, 2]}})
    assert compile_template(source, comma=True).evaluate(scope) == 2
    with pytest.raises(ExpressionError):
        compile_template(source)


def test_bundles_are_read_before_names() -> None:
    scope = Scope(bundles={"var": {"a": 1}}, names={"var": {"a": 2}, "other": {"a": 3}})
    assert evaluate("{{var.a}}", scope) == 1
    assert evaluate("{{other.a}}", scope) == 3


def test_a_missing_value_is_a_warning_told_once() -> None:
    scope = Scope(bundles={"1": {"a": None, "b": {}}}, warnings=[])
    evaluate("{{1.a}}{{1.x}}{{1.x}}{{1.b.c}}{{9.y}}{{1.b.c.d[2]}}{{length(z.z)}}", scope)
    assert scope.warnings == ["1.x", "1.b.c", "9.y", "1.b.c.d[2]", "z.z"]


def test_a_missing_value_with_a_default_gives_no_warning() -> None:
    scope = Scope(bundles={"1": {}}, warnings=[])
    evaluate("{{ifempty(1.x; 2)}}{{isBlank(1.y)}}", scope)
    assert scope.warnings == []


def test_without_a_list_warnings_are_dropped() -> None:
    assert evaluate("{{1.x}}", Scope()) is None


def test_the_same_seed_gives_the_same_random_values() -> None:
    source = '{{random}} {{uuid}} {{uuid}} {{join(shuffle([1; 2; 3; 4; 5]); "")}}'
    now = datetime(2026, 11, 21, tzinfo=UTC)
    scope = Scope(entropy="a")
    first = evaluate(source, scope)
    scope.begin(now=now, entropy="a")
    assert evaluate(source, scope) == first
    scope.begin(now=now, entropy="b")
    assert evaluate(source, scope) != first


def test_random_is_below_one_and_uuid_is_version_four() -> None:
    scope = Scope(entropy="x")
    numbers = [evaluate("{{random}}", scope) for _ in range(200)]
    assert all(0 <= number < 1 for number in numbers)
    assert len(set(numbers)) == 200
    uuid = evaluate("{{uuid}}", scope)
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uuid
    )


def test_beginning_an_operation_changes_its_time_and_its_warnings() -> None:
    scope = Scope(warnings=["old"])
    now = datetime(2026, 11, 21, tzinfo=UTC)
    fresh: list[str] = []
    scope.begin(now=now, entropy="1", warnings=fresh)
    assert evaluate("{{now}}", scope) == now
    evaluate("{{1.a}}", scope)
    assert fresh == ["1.a"]


def test_ignore_and_erase_keep_their_identity() -> None:
    assert evaluate("{{if(1.x; 1; ignore)}}") is IGNORE
    assert evaluate("{{erase}}") is ERASE
    for marker in (IGNORE, ERASE):
        assert copy.deepcopy(marker) is marker
        assert pickle.loads(pickle.dumps(marker)) is marker
    assert repr(IGNORE) == "ignore"


def test_each_empty_array_is_a_new_one() -> None:
    template = compile_template("{{emptyarray}}")
    assert template.evaluate(Scope()) is not template.evaluate(Scope())


def test_functions_leave_their_arrays_alone() -> None:
    given = [3, 1, 2]
    scope = Scope(bundles={"1": {"a": given}})
    for name in ("sort", "reverse", "shuffle", "deduplicate", "flatten"):
        evaluate(f"{{{{{name}(1.a)}}}}", scope)
    evaluate("{{add(1.a; 9)}}{{remove(1.a; 1)}}{{merge(1.a; 1.a)}}", scope)
    assert given == [3, 1, 2]


FILE = Binary(id="0" * 64, name="a.txt", size_bytes=5, media_type="text/plain")


def test_functions_open_a_file_through_the_scope() -> None:
    scope = Scope(bundles={"1": {"file": FILE}}, read_bytes=lambda file: b"hello")
    assert evaluate("{{length(1.file)}}", scope) == 5
    assert evaluate("{{base64(1.file)}}", scope) == "aGVsbG8="
    assert evaluate("{{upper(toString(1.file))}}", scope) == "HELLO"
    assert evaluate("{{md5(1.file)}}", scope) == "5d41402abc4b2a76b9719d911017c592"
    assert evaluate("{{1.file}}", scope) is FILE
    assert evaluate("{{toBinary(1.file)}}", scope) is FILE


def test_a_file_cannot_be_opened_where_the_scope_forbids_it() -> None:
    with pytest.raises(ExpressionError, match="cannot be read here"):
        evaluate("{{md5(1.file)}}", Scope(bundles={"1": {"file": FILE}}))


def test_an_error_names_function_and_position() -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate("total: {{1 + sqrt(0 - 1)}}")
    assert (caught.value.function, caught.value.position) == ("sqrt", 13)


def test_a_constant_call_that_fails_fails_when_it_is_reached() -> None:
    template = compile_template("{{if(1.x; sqrt(-1); 2)}}")
    assert template.evaluate(Scope()) == 2
    with pytest.raises(ExpressionError):
        template.evaluate(Scope(bundles={"1": {"x": 1}}))


def test_a_description_of_every_function_can_be_written() -> None:
    groups = {spec.group for spec in FUNCTIONS.values()}
    assert groups == {"general", "math", "text", "date", "array"}
    for name, spec in FUNCTIONS.items():
        assert spec.signature.startswith(f"{name}(")
        assert spec.extra in ("M", "I", "F", "+")


CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "make"
BROKEN = ("not found!", "without a backslash", "of one word", "expected 1 argument")
"""Why a real expression may be refused: it calls what never existed, or its quotes are broken."""


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no real exports beside the repository")
def test_real_exports_compile_or_fail_for_a_good_reason() -> None:
    refused: list[str] = []
    seen = 0
    for path in sorted(CORPUS.glob("*.json")):
        for source in texts(json.loads(path.read_text("utf-8"))):
            seen += 1
            try:
                compile_template(source).evaluate(Scope())
            except ExpressionError as error:
                if not any(reason in str(error) for reason in BROKEN):
                    refused.append(str(error))
    assert seen > 500
    assert refused == []


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [found for item in value.values() for found in texts(item)]
    if isinstance(value, list):
        return [found for item in value for found in texts(item)]
    return [value] if isinstance(value, str) and "{{" in value else []


def test_compile_expression_takes_the_inside_of_a_hole() -> None:
    assert compile_expression("1 + 1").evaluate(Scope()) == 2
