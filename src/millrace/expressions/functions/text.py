"""Texts: changing, searching, escaping, hashing, and texts as bytes."""

# ruff: noqa: D103  (the text of each function stands in its decorator)

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from millrace.errors import ExpressionError
from millrace.expressions.convert import (
    bytes_of,
    integer_of,
    is_empty,
    is_true,
    json_text,
    text_of,
    text_of_bytes,
)
from millrace.expressions.functions.spec import FunctionTable
from millrace.expressions.patterns import (
    compile_pattern,
    replace_matches,
    split_literal,
)
from millrace.expressions.scope import Scope, check_size
from millrace.expressions.values import Binary

text_ = FunctionTable("text")


def _text(value: Any, scope: Scope) -> str:
    """The text of an argument; a kilobyte of it costs a step."""
    text = value if type(value) is str else text_of(value, scope)
    if len(text) > 1024:
        scope.spend(len(text) >> 10)
    return text


@text_.add("lower(text)", "Small letters.", ("lower(Hello)", "hello"))
def lower(scope: Scope, text: Any) -> str:
    return _text(text, scope).lower()


@text_.add("upper(text)", "Capital letters.", ("upper(Hello)", "HELLO"))
def upper(scope: Scope, text: Any) -> str:
    return _text(text, scope).upper()


@text_.add(
    "capitalize(text)",
    "A capital first letter; the rest stays as it is.",
    ("capitalize(make)", "Make"),
    ("capitalize(mAKE)", "MAKE"),
)
def capitalize(scope: Scope, text: Any) -> str:
    found = _text(text, scope)
    return found[:1].upper() + found[1:]


@text_.add(
    "startcase(text)",
    "A capital first letter for every word, small letters for the rest.",
    ('startcase("hello WORLD")', "Hello World"),
)
def startcase(scope: Scope, text: Any) -> str:
    return re.sub(
        r"\S+", lambda word: word[0][:1].upper() + word[0][1:].lower(), _text(text, scope)
    )


@text_.add(
    "pascal(text)",
    "The words joined, each with a capital first letter.",
    ('pascal("hello big world")', "HelloBigWorld"),
    extra="F",
)
def pascal(scope: Scope, text: Any) -> str:
    words = re.findall(r"[^\W_]+", _text(text, scope))
    return "".join(word[:1].upper() + word[1:].lower() for word in words)


@text_.add("trim(text)", "Without white space at both ends.", ('trim("  a b ")', "a b"))
def trim(scope: Scope, text: Any) -> str:
    return _text(text, scope).strip(_WHITE)


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
    found = _text(text, scope)
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
    return _text(text, scope).find(_text(sought, scope), max(0, integer_of(start)))


@text_.add("left(text; count)", "The first characters.", ("left(Hello; 2)", "He"), extra="F")
def left(scope: Scope, text: Any, count: Any) -> str:
    return _text(text, scope)[: max(0, integer_of(count))]


@text_.add("right(text; count)", "The last characters.", ("right(Hello; 2)", "lo"), extra="F")
def right(scope: Scope, text: Any, count: Any) -> str:
    wanted = integer_of(count)
    return _text(text, scope)[-wanted:] if wanted > 0 else ""


@text_.add(
    "startsWith(text; sought)",
    "Whether the text begins so. Case sensitive.",
    ("startsWith(Hello; He)", True),
    extra="+",
)
def starts_with(scope: Scope, text: Any, sought: Any) -> bool:
    return _text(text, scope).startswith(_text(sought, scope))


@text_.add(
    "endsWith(text; sought)",
    "Whether the text ends so. Case sensitive.",
    ("endsWith(Hello; He)", False),
    extra="+",
)
def ends_with(scope: Scope, text: Any, sought: Any) -> bool:
    return _text(text, scope).endswith(_text(sought, scope))


@text_.add(
    "repeat(text; count)",
    "The text several times.",
    ("repeat(ab; 3)", "ababab"),
    extra="+",
)
def repeat(scope: Scope, text: Any, count: Any) -> str:
    found, times = _text(text, scope), max(0, integer_of(count))
    check_size(len(found) * times)
    return found * times


@text_.add(
    "padStart(text; length; [with])",
    "Filled up at the start until it has that length; with spaces unless another text is named.",
    ('padStart(7; 3; "0")', "007"),
    extra="+",
)
def pad_start(scope: Scope, text: Any, length: Any, fill: Any = None) -> str:
    found = _text(text, scope)
    return _padding(found, length, fill, scope) + found


@text_.add(
    "padEnd(text; length; [with])",
    "Filled up at the end until it has that length; with spaces unless another text is named.",
    ("padEnd(ab; 4; .)", "ab.."),
    extra="+",
)
def pad_end(scope: Scope, text: Any, length: Any, fill: Any = None) -> str:
    found = _text(text, scope)
    return found + _padding(found, length, fill, scope)


def _padding(found: str, length: Any, fill: Any, scope: Scope) -> str:
    wanted = integer_of(length)
    check_size(wanted)
    missing = wanted - len(found)
    piece = " " if is_empty(fill) else _text(fill, scope)
    return (piece * (missing // len(piece) + 1))[:missing] if missing > 0 else ""


@text_.add(
    "concat(separator; value; ...)",
    "The values as one text, with the separator between them.",
    ("concat(-; a; b; c)", "a-b-c"),
    extra="F",
)
def concat(scope: Scope, separator: Any, *values: Any) -> str:
    between = _text(separator, scope)
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
    found, sought, new = _text(text, scope), _text(search, scope), _text(replacement, scope)
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
    sought = _text(search, scope)
    pattern, flags = split_literal(sought) or (sought, "")
    return _replace_pattern(
        _text(text, scope), pattern, flags + "g", _text(replacement, scope), scope
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
    found, between = _text(text, scope), _text(separator, scope)
    scope.spend(found.count(between) if between else len(found))
    return found.split(between) if between else list(found)


@text_.add(
    "ascii(text; [removeDiacritics])",
    "Drops every character that is not ASCII; with true, accents are taken off first.",
    ("ascii(ěščřž; true)", "escrz"),
    ("ascii(Wěošrčkřfžrýoáníté)", "Workfront"),
)
def ascii_(scope: Scope, text: Any, remove_diacritics: Any = None) -> str:
    found = _text(text, scope)
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
    return unicodedata.normalize("NFC", _without_accents(_text(text, scope)))


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


@text_.add(
    "base64(value)",
    "A text (in UTF-8) or a file in Base64.",
    ('base64("Make")', "TWFrZQ=="),
)
def base64_(scope: Scope, value: Any) -> str:
    data = bytes_of(value, scope)
    check_size(len(data) * 4 // 3)
    return base64.b64encode(data).decode("ascii")


@text_.add(
    "toBinary(value; [encoding])",
    "The bytes of a text in UTF-8, or what a text in `hex` or `base64` stands for.",
    ("toString(toBinary(TWFrZQ==; base64))", "Make"),
    ("toString(toBinary(4d616b65; hex))", "Make"),
)
def to_binary(scope: Scope, value: Any, encoding: Any = None) -> bytes | Binary:
    if isinstance(value, Binary) and is_empty(encoding):
        return value
    return _decoded(value, "text" if is_empty(encoding) else _text(encoding, scope), scope)


def _decoded(value: Any, encoding: str, scope: Scope) -> bytes:
    name = encoding.lower()
    if name in ("text", "utf8", "utf-8"):
        return bytes_of(value, scope)
    if name == "binary":
        if isinstance(value, (bytes, Binary)):
            return bytes_of(value, scope)
        raise ExpressionError("with the encoding binary, a file is expected")
    text = re.sub(r"\s+", "", text_of(value, scope))
    try:
        if name == "hex":
            return bytes.fromhex(text)
        if name == "base64":
            text = text.replace("-", "+").replace("_", "/").rstrip("=")
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise ExpressionError(f"the text is not {name}") from error
    raise ExpressionError("the encoding must be text, hex, base64 or binary")


@text_.add(
    "toString(value)",
    "The value as text: a file read as UTF-8, a date in ISO 8601, a collection as JSON.",
    ("toString(1.50)", "1.5"),
    ("toString(true)", "true"),
)
def to_string(scope: Scope, value: Any) -> str:
    return text_of(value, scope)


def _digest(
    scope: Scope, algorithm: str, value: Any, encoding: Any, key: Any, key_encoding: Any
) -> str:
    data = bytes_of(value, scope)
    if is_empty(key):
        digest = hashlib.new(algorithm, data, usedforsecurity=False).digest()
    else:
        kind = "text" if is_empty(key_encoding) else _text(key_encoding, scope)
        digest = hmac.new(_decoded(key, kind, scope), data, algorithm).digest()
    form = "hex" if is_empty(encoding) else _text(encoding, scope).lower()
    if form == "hex":
        return digest.hex()
    if form == "base64":
        return base64.b64encode(digest).decode("ascii")
    if form == "latin1":
        return digest.decode("latin-1")
    raise ExpressionError("the encoding must be hex, base64 or latin1")


_DIGEST_DOC: Final = (
    "The {} hash in `hex`, `base64` or `latin1`; with a key, the HMAC. The key is read as "
    "`text`, `hex`, "
    "`base64` or `binary` (a file)."
)


@text_.add(
    "md5(value; [encoding]; [key]; [keyEncoding])",
    _DIGEST_DOC.format("MD5"),
    ('md5("Make")', "529a05ca6c1263aab080ec4f20754411"),
)
def md5(
    scope: Scope, value: Any, encoding: Any = None, key: Any = None, key_encoding: Any = None
) -> str:
    return _digest(scope, "md5", value, encoding, key, key_encoding)


@text_.add(
    "sha1(value; [encoding]; [key]; [keyEncoding])",
    _DIGEST_DOC.format("SHA-1"),
    ("sha1(workfront)", "b2b30b8ae1f9e5b40fbb0696eaabdbfd8d0c087f"),
)
def sha1(
    scope: Scope, value: Any, encoding: Any = None, key: Any = None, key_encoding: Any = None
) -> str:
    return _digest(scope, "sha1", value, encoding, key, key_encoding)


@text_.add(
    "sha256(value; [encoding]; [key]; [keyEncoding])",
    _DIGEST_DOC.format("SHA-256"),
    ("sha256(workfront)", "ed3d7397eec7b94453035b67ba4468c883ee3bedeb57137f7371f2e0cf5e2bbc"),
    (
        "sha256(hello; hex; secret)",
        "88aab3ede8d3adf94d26ab90d3bafd4a2083070c3bcce9c014ee04a443847c0b",
    ),
)
def sha256(
    scope: Scope, value: Any, encoding: Any = None, key: Any = None, key_encoding: Any = None
) -> str:
    return _digest(scope, "sha256", value, encoding, key, key_encoding)


@text_.add(
    "sha512(value; [encoding]; [key]; [keyEncoding])",
    _DIGEST_DOC.format("SHA-512"),
    ("substring(sha512(workfront); 0; 16)", "789ae41b9456357e"),
)
def sha512(
    scope: Scope, value: Any, encoding: Any = None, key: Any = None, key_encoding: Any = None
) -> str:
    return _digest(scope, "sha512", value, encoding, key, key_encoding)


_URL_SAFE: Final = "-_.!~*'()"
_URL_KEPT: Final = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + _URL_SAFE.encode()
)


@text_.add(
    "encodeURL(text)",
    "Escapes a text for use as part of an address.",
    ('encodeURL("a b&c=ü")', "a%20b%26c%3D%C3%BC"),
)
def encode_url(scope: Scope, text: Any) -> str:
    data = bytes_of(_text(text, scope), scope)
    check_size(len(data) + 2 * len(data.translate(None, _URL_KEPT)))
    return quote_from_bytes(data, _URL_SAFE)


@text_.add(
    "decodeURL(text)",
    "The text that was escaped for an address.",
    ("decodeURL(Automate%20your%20workflow)", "Automate your workflow"),
)
def decode_url(scope: Scope, text: Any) -> str:
    try:
        return unquote_to_bytes(bytes_of(_text(text, scope), scope)).decode()
    except UnicodeDecodeError as error:
        raise ExpressionError("the escaped bytes are not UTF-8") from error


_HTML: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


@text_.add(
    "escapeHTML(text)",
    "Writes & < > \" ' so that they show as themselves in HTML.",
    ('escapeHTML("<b>Hello</b>")', "&lt;b&gt;Hello&lt;/b&gt;"),
)
def escape_html(scope: Scope, text: Any) -> str:
    return _escaped(_text(text, scope), _HTML)


def _escaped(text: str, table: dict[str, str]) -> str:
    growth = sum(text.count(char) * (len(new) - 1) for char, new in table.items())
    check_size(len(text) + growth)
    return text.translate(str.maketrans(table))


_MARKDOWN: Final = {char: f"&#{ord(char)};" for char in "\\`*_{}[]()#+-.!|<>~"}


@text_.add(
    "escapeMarkdown(text)",
    "Writes the signs of Markdown so that they show as themselves.",
    ('escapeMarkdown("# Header")', "&#35; Header"),
)
def escape_markdown(scope: Scope, text: Any) -> str:
    return _escaped(_text(text, scope), _MARKDOWN)


_TAG: Final = re.compile(r"</?[A-Za-z!?][^<>]*>")
_HIDDEN: Final = re.compile(r"<(script|style)\b", re.IGNORECASE)
_HIDDEN_END: Final = {
    name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("script", "style")
}


@text_.add(
    "stripHTML(text)",
    "Without tags, comments and scripts; entities become characters.",
    ('stripHTML("<b>Hello</b> &amp; bye")', "Hello & bye"),
)
def strip_html(scope: Scope, text: Any) -> str:
    return html.unescape("".join(_shown(_text(text, scope), scope)))


def _shown(text: str, scope: Scope) -> Iterator[str]:
    """The pieces between tags. An end that is missing once is not looked for again."""
    at = 0
    unclosed: set[str] = set()
    while (opening := text.find("<", at)) >= 0:
        scope.spend(1)
        yield text[at:opening]
        hidden = _HIDDEN.match(text, opening)
        name = hidden[1].lower() if hidden else "comment"
        end = -1
        if name not in unclosed and (hidden or text.startswith("<!--", opening)):
            if hidden:
                closing = _HIDDEN_END[name].search(text, opening)
                end = closing.end() if closing else -1
            else:
                end = text.find("-->", opening)
                end = end + 3 if end >= 0 else end
            if end < 0:
                unclosed.add(name)
        if end < 0:
            tag = _TAG.match(text, opening)
            end = tag.end() if tag else opening + 1
            if tag is None:
                yield "<"
        at = end
    yield text[at:]


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
    found, new = _text(text, scope), _text(replacement, scope)
    count = sum(1 for _ in _EMOJI.finditer(found))
    scope.spend(count)
    check_size(len(found) + count * len(new))
    return _EMOJI.sub(lambda _: new, found)


@text_.add(
    "escapeJSON(text)",
    "Escapes a text so that it can stand between quotes in JSON.",
    ('escapeJSON("say ""hi""")', 'say \\"hi\\"'),
    extra="+",
)
def escape_json(scope: Scope, text: Any) -> str:
    return json_text(_text(text, scope), scope)[1:-1]


@text_.add(
    "parseJSON(text)",
    "The value that a text in JSON stands for.",
    ('parseJSON("{""a"":[1,true]}")', {"a": [1, True]}),
    extra="+",
)
def parse_json(scope: Scope, text: Any) -> Any:
    if is_empty(text):
        return None
    found = text_of_bytes(text) if isinstance(text, bytes) else _text(text, scope)
    try:
        return msgspec.json.decode(found)
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
        raise ExpressionError("the text is not JSON") from error


@text_.add(
    "toJSON(value; [indent])",
    "The value as JSON; with an indent, over several lines.",
    ("toJSON([1; true])", "[1,true]"),
    ('toJSON("a")', '"a"'),
    extra="+",
)
def to_json(scope: Scope, value: Any, indent: Any = None) -> str:
    spaces = 0 if is_empty(indent) else integer_of(indent)
    if not 0 <= spaces <= 8:
        raise ExpressionError("the indent must be from 0 to 8 spaces")
    return json_text(value, scope, indent=spaces)
