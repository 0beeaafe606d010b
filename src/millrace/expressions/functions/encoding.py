"""Texts in other forms: bytes, hashes, and escaped for addresses, HTML, Markdown and JSON."""

# ruff: noqa: D103  (the text of each function stands in its decorator)

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from millrace.errors import ExpressionError
from millrace.expressions.convert import (
    bytes_of,
    integer_of,
    is_empty,
    json_text,
    text_of,
    text_of_bytes,
)
from millrace.expressions.functions.spec import FunctionTable
from millrace.expressions.functions.text import text_argument
from millrace.expressions.scope import Scope, check_size
from millrace.expressions.values import Binary

encoding = FunctionTable("text")


@encoding.add(
    "base64(value)",
    "A text (in UTF-8) or a file in Base64.",
    ('base64("Make")', "TWFrZQ=="),
)
def base64_(scope: Scope, value: Any) -> str:
    data = bytes_of(value, scope)
    check_size(len(data) * 4 // 3)
    return base64.b64encode(data).decode("ascii")


@encoding.add(
    "toBinary(value; [encoding])",
    "The bytes of a text in UTF-8, or what a text in `hex` or `base64` stands for.",
    ("toString(toBinary(TWFrZQ==; base64))", "Make"),
    ("toString(toBinary(4d616b65; hex))", "Make"),
)
def to_binary(scope: Scope, value: Any, encoding: Any = None) -> bytes | Binary:
    if isinstance(value, Binary) and is_empty(encoding):
        return value
    return _decoded(value, "text" if is_empty(encoding) else text_argument(encoding, scope), scope)


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


@encoding.add(
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
        kind = "text" if is_empty(key_encoding) else text_argument(key_encoding, scope)
        digest = hmac.new(_decoded(key, kind, scope), data, algorithm).digest()
    form = "hex" if is_empty(encoding) else text_argument(encoding, scope).lower()
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


@encoding.add(
    "md5(value; [encoding]; [key]; [keyEncoding])",
    _DIGEST_DOC.format("MD5"),
    ('md5("Make")', "529a05ca6c1263aab080ec4f20754411"),
)
def md5(
    scope: Scope, value: Any, encoding: Any = None, key: Any = None, key_encoding: Any = None
) -> str:
    return _digest(scope, "md5", value, encoding, key, key_encoding)


@encoding.add(
    "sha1(value; [encoding]; [key]; [keyEncoding])",
    _DIGEST_DOC.format("SHA-1"),
    ("sha1(workfront)", "b2b30b8ae1f9e5b40fbb0696eaabdbfd8d0c087f"),
)
def sha1(
    scope: Scope, value: Any, encoding: Any = None, key: Any = None, key_encoding: Any = None
) -> str:
    return _digest(scope, "sha1", value, encoding, key, key_encoding)


@encoding.add(
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


@encoding.add(
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


@encoding.add(
    "encodeURL(text)",
    "Escapes a text for use as part of an address.",
    ('encodeURL("a b&c=ü")', "a%20b%26c%3D%C3%BC"),
)
def encode_url(scope: Scope, text: Any) -> str:
    data = bytes_of(text_argument(text, scope), scope)
    check_size(len(data) + 2 * len(data.translate(None, _URL_KEPT)))
    return quote_from_bytes(data, _URL_SAFE)


@encoding.add(
    "decodeURL(text)",
    "The text that was escaped for an address.",
    ("decodeURL(Automate%20your%20workflow)", "Automate your workflow"),
)
def decode_url(scope: Scope, text: Any) -> str:
    try:
        return unquote_to_bytes(bytes_of(text_argument(text, scope), scope)).decode()
    except UnicodeDecodeError as error:
        raise ExpressionError("the escaped bytes are not UTF-8") from error


_HTML: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


@encoding.add(
    "escapeHTML(text)",
    "Writes & < > \" ' so that they show as themselves in HTML.",
    ('escapeHTML("<b>Hello</b>")', "&lt;b&gt;Hello&lt;/b&gt;"),
)
def escape_html(scope: Scope, text: Any) -> str:
    return _escaped(text_argument(text, scope), _HTML)


def _escaped(text: str, table: dict[str, str]) -> str:
    growth = sum(text.count(char) * (len(new) - 1) for char, new in table.items())
    check_size(len(text) + growth)
    return text.translate(str.maketrans(table))


_MARKDOWN: Final = {char: f"&#{ord(char)};" for char in "\\`*_{}[]()#+-.!|<>~"}


@encoding.add(
    "escapeMarkdown(text)",
    "Writes the signs of Markdown so that they show as themselves.",
    ('escapeMarkdown("# Header")', "&#35; Header"),
)
def escape_markdown(scope: Scope, text: Any) -> str:
    return _escaped(text_argument(text, scope), _MARKDOWN)


_TAG: Final = re.compile(r"</?[A-Za-z!?][^<>]*>")
_HIDDEN: Final = re.compile(r"<(script|style)\b", re.IGNORECASE)
_HIDDEN_END: Final = {
    name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("script", "style")
}


@encoding.add(
    "stripHTML(text)",
    "Without tags, comments and scripts; entities become characters.",
    ('stripHTML("<b>Hello</b> &amp; bye")', "Hello & bye"),
)
def strip_html(scope: Scope, text: Any) -> str:
    return html.unescape("".join(_shown(text_argument(text, scope), scope)))


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


@encoding.add(
    "escapeJSON(text)",
    "Escapes a text so that it can stand between quotes in JSON.",
    ('escapeJSON("say ""hi""")', 'say \\"hi\\"'),
    extra="+",
)
def escape_json(scope: Scope, text: Any) -> str:
    return json_text(text_argument(text, scope), scope)[1:-1]


@encoding.add(
    "parseJSON(text)",
    "The value that a text in JSON stands for.",
    ('parseJSON("{""a"":[1,true]}")', {"a": [1, True]}),
    extra="+",
)
def parse_json(scope: Scope, text: Any) -> Any:
    if is_empty(text):
        return None
    found = text_of_bytes(text) if isinstance(text, bytes) else text_argument(text, scope)
    try:
        return msgspec.json.decode(found)
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
        raise ExpressionError("the text is not JSON") from error


@encoding.add(
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
