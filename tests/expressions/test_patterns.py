"""Regular expressions as ECMAScript writes them, run by an engine that cannot hang."""

from __future__ import annotations

import pytest

from millrace.errors import ExpressionError
from millrace.expressions import Scope
from millrace.expressions.patterns import (
    compile_pattern,
    find,
    is_found,
    may_rescan,
    replace_matches,
    split_literal,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a+/", ("a+", "")),
        ("/a/gi", ("a", "gi")),
        ("/a/b/g", ("a/b", "g")),
        ("/a\nb/m", ("a\nb", "m")),
        ("a+", None),
        ("//", None),
        ("/", None),
        ("/a/x", None),
        ("/a/gg", None),
        ("/a", None),
    ],
)
def test_a_pattern_stands_between_slashes(text: str, expected: object) -> None:
    assert split_literal(text) == expected


@pytest.mark.parametrize(
    ("pattern", "flags", "text", "found"),
    [
        (r"^b", "", "a\nb", False),
        (r"^b", "m", "a\nb", True),
        (r"a.b", "", "a\nb", False),
        (r"a.b", "s", "a\nb", True),
        (r"AB", "i", "xaby", True),
        (r"a\sb", "", "a\u00a0b", True),
        (r"a[\s]b", "", "a\u2003b", True),
        (r"a\Sb", "", "a\u00a0b", False),
        (r"\u0041\u{42}\x43", "", "ABC", True),
        (r"\cJ", "", "\n", True),
        (r"[^]", "", "\n", True),
        (r"a[]", "", "a", False),
        (r"[\w-.]+@[\w-]+\.[a-z]{2,}", "", "a-b.c@ex-ample.org", True),
        (r"^[.-\w]$", "", "-", True),
        (r"[[a]", "", "[", True),
        (r"[a\]]x", "", "]x", True),
        (r"\/\-\:\_", "", "/-:_", True),
        (r"{x}", "", "{x}", True),
        (r"\p{L}+", "u", "žluť", True),
        (r"^\p{Script=Greek}$", "u", "λ", True),
        (r"\p{Uppercase_Letter}", "u", "ž", False),
        (r"(?<year>\d{4})-\k", "", "", None),
        (r"(?<year>\d{4})", "", "in 2026", True),
        (r"(?:a|b)c", "", "bc", True),
        (r"\bcat\b", "", "a cat.", True),
        (r"^.$", "", "🙂", True),
    ],
)
def test_ecmascript_syntax_is_understood(
    pattern: str, flags: str, text: str, found: bool | None
) -> None:
    if found is None:
        with pytest.raises(ExpressionError):
            compile_pattern(pattern, flags)
    else:
        assert is_found(compile_pattern(pattern, flags), text) is found


def test_positions_are_characters_not_bytes() -> None:
    matches = list(find(compile_pattern("b"), "žšb🙂b", Scope()))
    assert [match.span() for match in matches] == [(2, 3), (4, 5)]


@pytest.mark.parametrize(
    ("pattern", "text", "new", "every", "expected"),
    [
        (r"x*", "abc", "-", True, "-a-b-c-"),
        (r"(a)(b)?", "ac", "[$1|$2|$&|$$|$9]", True, "[a||a|$|$9]c"),
        (r"(1)(2)(3)(4)(5)(6)(7)(8)(9)(0)(a)", "1234567890a", "$11$10$12", True, "a012"),
        (r"o", "foo", "0", False, "f0o"),
        (r"z", "foo", "0", True, "foo"),
    ],
)
def test_a_replacement_knows_the_match_and_its_groups(
    pattern: str, text: str, new: str, every: bool, expected: str
) -> None:
    result = replace_matches(compile_pattern(pattern), text, new, every=every, scope=Scope())
    assert result == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\d+", False),
        (r"\s*,\s*", False),
        (r"[|+*]x", False),
        (r"a|b", False),
        (r"\r\n|\n", False),
        (r"a.*b|a", True),
        (r"a(.*b)?", True),
        (r"(a+)+", True),
    ],
)
def test_only_a_choice_with_an_open_repetition_may_read_far_ahead(
    pattern: str, expected: bool
) -> None:
    assert may_rescan(pattern) is expected


def test_many_lines_of_a_large_text_can_be_replaced() -> None:
    text = "line\n" * 20_000
    scope = Scope()
    result = replace_matches(compile_pattern(r"\n+"), text, "|", every=True, scope=scope)
    assert result == "line|" * 20_000
