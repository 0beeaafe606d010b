"""Texts: changing, searching, escaping, hashing, and texts as bytes."""

# ruff: noqa: D103  (the text of each function stands in its decorator)

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from millrace.errors import ExpressionError
from millrace.expressions.convert import (
    integer_of,
    is_empty,
    is_true,
    text_of,
)
from millrace.expressions.functions.spec import FunctionTable
from millrace.expressions.patterns import (
    compile_pattern,
    replace_matches,
    split_literal,
)
from millrace.expressions.scope import Scope, check_size

text_ = FunctionTable("text")


def text_argument(value: Any, scope: Scope) -> str:
    """The text of an argument; a kilobyte of it costs a step."""
    text = value if type(value) is str else text_of(value, scope)
    if len(text) > 1024:
        scope.spend(len(text) >> 10)
    return text


@text_.add("lower(text)", "Small letters.", ("lower(Hello)", "hello"))
def lower(scope: Scope, text: Any) -> str:
    return text_argument(text, scope).lower()


@text_.add("upper(text)", "Capital letters.", ("upper(Hello)", "HELLO"))
def upper(scope: Scope, text: Any) -> str:
    return text_argument(text, scope).upper()


@text_.add(
    "capitalize(text)",
    "A capital first letter; the rest stays as it is.",
    ("capitalize(make)", "Make"),
    ("capitalize(mAKE)", "MAKE"),
)
def capitalize(scope: Scope, text: Any) -> str:
    found = text_argument(text, scope)
    return found[:1].upper() + found[1:]


@text_.add(
    "startcase(text)",
    "A capital first letter for every word, small letters for the rest.",
    ('startcase("hello WORLD")', "Hello World"),
)
def startcase(scope: Scope, text: Any) -> str:
    return re.sub(
        r"\S+", lambda word: word[0][:1].upper() + word[0][1:].lower(), text_argument(text, scope)
    )


@text_.add(
    "pascal(text)",
    "The words joined, each with a capital first letter.",
    ('pascal("hello big world")', "HelloBigWorld"),
    extra="F",
)
def pascal(scope: Scope, text: Any) -> str:
    words = re.findall(r"[^\W_]+", text_argument(text, scope))
    return "".join(word[:1].upper() + word[1:].lower() for word in words)


@text_.add("trim(text)", "Without white space at both ends.", ('trim("  a b ")', "a b"))
def trim(scope: Scope, text: Any) -> str:
    return text_argument(text, scope).strip(_WHITE)


_WHITE: Final = (
    " \t\n\r\v\f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What ECMAScript's trim takes off."""


@text_.add(
    "substring(text; start; [end])",
    "The characters from start up to, but not with, end. Positions count from 0.",
    ("substring(Hello; 0; 3)", "Hel"),
    ("substring(Hello; 1; 3)", "el"),
    ("substring(Hello; 3; 1)", "el"),
)
def substring(scope: Scope, text: Any, start: Any, end: Any = None) -> str:
    found = text_argument(text, scope)
    one = max(0, integer_of(start))
    other = len(found) if is_empty(end) else max(0, integer_of(end))
    return found[min(one, other) : max(one, other)]


@text_.add(
    "indexOf(text; sought; [start])",
    "The position of the first occurrence, counted from 0; -1 when there is none.",
    ("indexOf(Workfront; o)", 1),
    ("indexOf(Workfront; o; 3)", 6),
    ('indexOf("We love Make"; e; 7)', 11),
    ("indexOf(Workfront; x)", -1),
)
def index_of(scope: Scope, text: Any, sought: Any, start: Any = None) -> int:
    return text_argument(text, scope).find(text_argument(sought, scope), max(0, integer_of(start)))


@text_.add("left(text; count)", "The first characters.", ("left(Hello; 2)", "He"), extra="F")
def left(scope: Scope, text: Any, count: Any) -> str:
    return text_argument(text, scope)[: max(0, integer_of(count))]


@text_.add("right(text; count)", "The last characters.", ("right(Hello; 2)", "lo"), extra="F")
def right(scope: Scope, text: Any, count: Any) -> str:
    wanted = integer_of(count)
    return text_argument(text, scope)[-wanted:] if wanted > 0 else ""


@text_.add(
    "startsWith(text; sought)",
    "Whether the text begins so. Case sensitive.",
    ("startsWith(Hello; He)", True),
    extra="+",
)
def starts_with(scope: Scope, text: Any, sought: Any) -> bool:
    return text_argument(text, scope).startswith(text_argument(sought, scope))


@text_.add(
    "endsWith(text; sought)",
    "Whether the text ends so. Case sensitive.",
    ("endsWith(Hello; He)", False),
    extra="+",
)
def ends_with(scope: Scope, text: Any, sought: Any) -> bool:
    return text_argument(text, scope).endswith(text_argument(sought, scope))


@text_.add(
    "repeat(text; count)",
    "The text several times.",
    ("repeat(ab; 3)", "ababab"),
    extra="+",
)
def repeat(scope: Scope, text: Any, count: Any) -> str:
    found, times = text_argument(text, scope), max(0, integer_of(count))
    check_size(len(found) * times)
    return found * times


@text_.add(
    "padStart(text; length; [with])",
    "Filled up at the start until it has that length; with spaces unless another text is named.",
    ('padStart(7; 3; "0")', "007"),
    extra="+",
)
def pad_start(scope: Scope, text: Any, length: Any, fill: Any = None) -> str:
    found = text_argument(text, scope)
    return _padding(found, length, fill, scope) + found


@text_.add(
    "padEnd(text; length; [with])",
    "Filled up at the end until it has that length; with spaces unless another text is named.",
    ("padEnd(ab; 4; .)", "ab.."),
    extra="+",
)
def pad_end(scope: Scope, text: Any, length: Any, fill: Any = None) -> str:
    found = text_argument(text, scope)
    return found + _padding(found, length, fill, scope)


def _padding(found: str, length: Any, fill: Any, scope: Scope) -> str:
    wanted = integer_of(length)
    check_size(wanted)
    missing = wanted - len(found)
    piece = " " if is_empty(fill) else text_argument(fill, scope)
    return (piece * (missing // len(piece) + 1))[:missing] if missing > 0 else ""


@text_.add(
    "concat(separator; value; ...)",
    "The values as one text, with the separator between them.",
    ("concat(-; a; b; c)", "a-b-c"),
    extra="F",
)
def concat(scope: Scope, separator: Any, *values: Any) -> str:
    between = text_argument(separator, scope)
    texts: list[str] = []
    for value in values:
        items = value if isinstance(value, list) else [value]
        scope.spend(len(items))
        texts.extend(text_of(item, scope) for item in items)
    check_size(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


@text_.add(
    "replace(text; search; replacement)",
    "Replaces every occurrence of a text. A search between slashes, with flags behind, is a "
    "regular "
    "expression (`g` every match, `i`, `m`, `s`); then the replacement may hold `$&`, the match, "
    "and `$1` "
    "to `$99`, its groups.",
    ("replace(Hello World; Hello; Hi)", "Hi World"),
    (
        r"replace(Phone number is 777111222; /\d+/; +420$&)",
        "Phone number is +420777111222",
    ),
    (r"replace(numbers 187 23; /\d+/g; X)", "numbers X X"),
    ('replace("10:20:30"; ":"; )', "102030"),
)
def replace(scope: Scope, text: Any, search: Any, replacement: Any) -> str:
    found, sought, new = (
        text_argument(text, scope),
        text_argument(search, scope),
        text_argument(replacement, scope),
    )
    literal = split_literal(sought)
    if literal is not None:
        pattern, flags = literal
        return _replace_pattern(found, pattern, flags, new, scope)
    if not sought:
        return found
    times = found.count(sought)
    if len(new) > len(sought):
        check_size(len(found) + times * (len(new) - len(sought)))
    return found.replace(sought, new)


@text_.add(
    "replacePattern(text; pattern; replacement)",
    "Replaces every match of a regular expression, which may stand between slashes or not.",
    (r'replacePattern("a1b22"; "\d+"; "#")', "a#b#"),
    extra="F",
)
def replace_pattern(scope: Scope, text: Any, search: Any, replacement: Any) -> str:
    sought = text_argument(search, scope)
    pattern, flags = split_literal(sought) or (sought, "")
    return _replace_pattern(
        text_argument(text, scope), pattern, flags + "g", text_argument(replacement, scope), scope
    )


def _replace_pattern(text: str, pattern: str, flags: str, new: str, scope: Scope) -> str:
    compiled = compile_pattern(pattern, "".join(sorted(set(flags) & set("ims"))))
    if compiled.groupindex:
        raise ExpressionError("named groups cannot be used here; number them, as in $1")
    return replace_matches(compiled, text, new, every="g" in flags, scope=scope)


@text_.add(
    "split(text; separator)",
    "The parts between the separators, spaces and all. An empty separator gives the characters.",
    ('split("John, George, Paul"; ",")', ["John", " George", " Paul"]),
    ('split(abc; "")', ["a", "b", "c"]),
)
def split(scope: Scope, text: Any, separator: Any) -> list[str]:
    if text is None:
        return []
    found, between = text_argument(text, scope), text_argument(separator, scope)
    scope.spend(found.count(between) if between else len(found))
    return found.split(between) if between else list(found)


@text_.add(
    "ascii(text; [removeDiacritics])",
    "Drops every character that is not ASCII; with true, accents are taken off first.",
    ("ascii(ěščřž; true)", "escrz"),
    ("ascii(Wěošrčkřfžrýoáníté)", "Workfront"),
)
def ascii_(scope: Scope, text: Any, remove_diacritics: Any = None) -> str:
    found = text_argument(text, scope)
    if is_true(remove_diacritics) and remove_diacritics != "false":
        found = _without_accents(found)
    return found.encode("ascii", "ignore").decode("ascii")


@text_.add(
    "removeAccents(text)",
    "Takes the accents off letters.",
    ("removeAccents(ěščřž)", "escrz"),
    extra="F",
)
def remove_accents(scope: Scope, text: Any) -> str:
    return unicodedata.normalize("NFC", _without_accents(text_argument(text, scope)))


def _without_accents(text: str) -> str:
    return "".join(
        char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char)
    )


def _sorted_texts(values: tuple[Any, ...], scope: Scope, *, reverse: bool) -> list[str]:
    items: list[Any] = []
    for value in values:
        items.extend(value if isinstance(value, list) else [value])
    scope.spend(len(items))
    return sorted((text_of(item, scope) for item in items), reverse=reverse)


@text_.add(
    "sortAscString(value; ...)",
    "The texts of an array, or the texts given, from A to Z.",
    ("sortAscString(b; a)", ["a", "b"]),
    extra="F",
)
def sort_asc_string(scope: Scope, *values: Any) -> list[str]:
    return _sorted_texts(values, scope, reverse=False)


@text_.add(
    "sortDescString(value; ...)",
    "The texts of an array, or the texts given, from Z to A.",
    ("sortDescString(a; b)", ["b", "a"]),
    extra="F",
)
def sort_desc_string(scope: Scope, *values: Any) -> list[str]:
    return _sorted_texts(values, scope, reverse=True)


_EMOJI: Final = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}"
    "|[#*0-9]\ufe0f?\u20e3"
    "|(?:[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u24c2\u25aa-\u25fe\u2934\u2935\u2b05-\u2b55"
    "\u3030\u303d\u3297\u3299]\ufe0f|[\u231a\u231b\u2328\u23cf-\u23f3\u23f8-\u23fa\u2600-\u27bf"
    "\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff])"
    "[\ufe0f\U0001f3fb-\U0001f3ff]*(?:[\U000e0020-\U000e007f]+)?"
    "(?:\u200d[\u2600-\u27bf\U0001f000-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*)*)"
)


@text_.add(
    "replaceEmojiCharacters(text; replacement)",
    "Replaces every emoji.",
    ('replaceEmojiCharacters("Hi 👋🏽!"; *)', "Hi *!"),
    extra="M",
)
def replace_emoji_characters(scope: Scope, text: Any, replacement: Any) -> str:
    found, new = text_argument(text, scope), text_argument(replacement, scope)
    count = sum(1 for _ in _EMOJI.finditer(found))
    scope.spend(count)
    check_size(len(found) + count * len(new))
    return _EMOJI.sub(lambda _: new, found)
