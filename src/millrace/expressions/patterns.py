"""Regular expressions as users write them (ECMAScript), run by RE2 so that none can hang."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from millrace.errors import ExpressionError
from millrace.expressions.scope import Scope, check_size

_LITERAL: Final = re.compile(r"/(.+)/([a-z]*)\Z", re.DOTALL)
_FLAGS: Final = frozenset("gimsuyd")
LONGEST_PATTERN: Final = 10_000
_MEMORY: Final = 8 << 20


def split_literal(text: str) -> tuple[str, str] | None:
    """Pattern and flags of ``/pattern/flags``; None when the text is not of that form."""
    if len(text) < 3 or text[0] != "/":
        return None
    match = _LITERAL.match(text)
    if match is None or not _FLAGS.issuperset(match[2]) or len(set(match[2])) != len(match[2]):
        return None
    return match[1], match[2]


@lru_cache(maxsize=500)
def compile_pattern(source: str, flags: str = "") -> Any:
    """An RE2 pattern for an ECMAScript one.

    Args:
        source: The pattern, without slashes.
        flags: Of ``i``, ``m`` and ``s``; ``g``, ``u``, ``d`` and ``y`` make no difference to
        matching.

    Raises:
        ExpressionError: the pattern is wrong, or needs look-around or back-references, which no
            engine with bounded time has.
    """
    import re2

    if len(source) > LONGEST_PATTERN:
        raise ExpressionError(f"the pattern is longer than {LONGEST_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    options.case_sensitive = "i" not in flags
    options.dot_nl = "s" in flags
    prefix = "(?m)" if "m" in flags else ""
    try:
        return re2.compile(prefix + translate(source), options)
    except re2.error as error:
        raise ExpressionError(
            "the pattern is not a valid regular expression, or repeats something more than 1000 "
            "times"
        ) from error
    except UnicodeError as error:
        raise ExpressionError("the pattern holds a broken character") from error


_SPACES: Final = r"\t-\r\pZ\x{FEFF}"
_REFUSED: Final = {
    "(?=": "look-ahead (?=…)",
    "(?!": "negative look-ahead (?!…)",
    "(?<=": "look-behind (?<=…)",
    "(?<!": "negative look-behind (?<!…)",
}
_CATEGORIES: Final = {
    "Letter": "L",
    "Lowercase_Letter": "Ll",
    "Uppercase_Letter": "Lu",
    "Mark": "M",
    "Number": "N",
    "Decimal_Number": "Nd",
    "Punctuation": "P",
    "Symbol": "S",
    "Separator": "Z",
    "Other": "C",
    "Alphabetic": "L",
}
_PIECE: Final = re.compile(
    r"\\u\{(?P<wide>[0-9A-Fa-f]{1,6})\}|\\u(?P<unit>[0-9A-Fa-f]{4})|\\c(?P<control>[A-Za-z])"
    r"|\\(?P<property>[pP])\{(?P<category>[^{}]{1,40})\}|\\(?P<escape>.)"
    r"|(?P<empty>\[\])|(?P<any>\[\^\])|(?P<open>\[\^?)|(?P<close>\])"
    r"|(?P<group>\(\?<?[=!])|(?P<name>\(\?<(?=[A-Za-z_]))|(?P<plain>.)",
    re.DOTALL,
)


_SET: Final = re.compile(r"\\[dDwWsSpP]")


def translate(source: str) -> str:
    """The pattern in RE2's syntax.

    Raises:
        ExpressionError: it needs look-around or back-references.
    """
    pieces: list[str] = []
    inside = False
    after_set = False
    for match in _PIECE.finditer(source):
        kind, text = match.lastgroup, match.group()
        if kind == "wide" or kind == "unit":
            pieces.append(f"\\x{{{match[kind]}}}")
        elif kind == "control":
            pieces.append(f"\\x{ord(match['control']) % 32:02x}")
        elif kind == "category":
            pieces.append(_property(match["property"], match["category"]))
        elif kind == "escape":
            pieces.append(_escape(match["escape"], inside))
        elif inside and text == "-" and (after_set or _SET.match(source, match.end())):
            # "[\w-.]" is no range in ECMAScript; RE2 would refuse it.
            pieces.append("\\-")
        elif inside:
            inside = kind != "close"
            # A bracket inside a class is itself in ECMAScript; RE2 would look for [:alpha:].
            pieces.append("\\[" if text == "[" else "\\[^" if text == "[^" else text)
            if kind in ("empty", "any"):
                pieces[-1] = "\\" + text
                inside = False
        elif kind == "empty":
            pieces.append(r"[^\x00-\x{10FFFF}]")
        elif kind == "any":
            pieces.append(r"(?s:.)")
        elif kind == "open":
            inside = True
            pieces.append(text)
        elif kind == "group":
            raise ExpressionError(
                f"{_REFUSED[text]} is not available in patterns; match more and cut the result "
                f"instead"
            )
        else:
            pieces.append("(?P<" if kind == "name" else text)
        after_set = _SET.match(text) is not None
    return "".join(pieces)


def _property(letter: str, category: str) -> str:
    name = category.split("=")[-1]
    return f"\\{letter}{{{_CATEGORIES.get(name, name)}}}"


def _escape(char: str, inside: bool) -> str:
    if char == "s":
        return _SPACES if inside else f"[{_SPACES}]"
    if char == "S" and not inside:
        return f"[^{_SPACES}]"
    if char == "0":
        return r"\x00"
    if char == "b" and inside:
        return r"\x08"
    if char in "123456789k" and not inside:
        raise ExpressionError(
            rf"the back-reference \{char} is not available in patterns; match more and compare "
            rf"instead"
        )
    if char == "_" or ord(char) > 127:
        return char
    return "\\" + char


_MOST_SEARCHED: Final = 150_000_000
_CLASSES_AND_ESCAPES: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]", re.DOTALL)
_UNBOUNDED: Final = re.compile(r"[*+]|\{[0-9]+,\}")
_QUANTIFIED_GROUP: Final = re.compile(r"\)[*+?{]")


@lru_cache(maxsize=500)
def may_rescan(source: str) -> bool:
    """Whether each match may look far beyond its own end, as ``a.*b|a`` does.

    RE2 is linear for one search. Many matches, each of which reads to the end of the text before it
    is decided, are not; only a choice together with an unbounded repetition can do that.
    """
    bare = _CLASSES_AND_ESCAPES.sub("x", source)
    choice = "|" in bare or _QUANTIFIED_GROUP.search(bare) is not None
    return choice and _UNBOUNDED.search(bare) is not None


def find(pattern: Any, text: str, scope: Scope) -> Iterator[Any]:
    """Every match from left to right; each costs a step.

    Raises:
        ExpressionError: the text holds a broken character, or there are too many matches.
    """
    searched = 0
    counted = may_rescan(pattern.pattern)
    try:
        for match in pattern.finditer(text):
            scope.spend(1)
            searched += len(text) - match.end() if counted else 0
            if searched > _MOST_SEARCHED:
                raise ExpressionError("the pattern matches too often in so long a text")
            yield match
    except UnicodeError as error:
        raise ExpressionError(
            "the text holds a broken character (half a surrogate pair)"
        ) from error


def is_found(pattern: Any, text: str) -> bool:
    """Whether the pattern matches anywhere in the text.

    Raises:
        ExpressionError: the text holds a broken character.
    """
    try:
        return pattern.search(text) is not None
    except UnicodeError as error:
        raise ExpressionError(
            "the text holds a broken character (half a surrogate pair)"
        ) from error


def replace_matches(pattern: Any, text: str, new: str, *, every: bool, scope: Scope) -> str:
    """The text with matches replaced.

    Args:
        pattern: A compiled pattern.
        text: Where to look.
        new: May hold ``$&``, ``$$`` and ``$1`` to ``$99``.
        every: All matches, not the first one only.
        scope: Every match costs a step.

    Raises:
        ExpressionError: too many matches, or a result over the limit.
    """
    plan = _replacement(new, pattern.groups)
    pieces: list[str] = []
    size = at = 0
    for match in find(pattern, text, scope):
        start, end = match.span()
        pieces.append(text[at:start])
        for part in plan:
            pieces.append(part if isinstance(part, str) else match.group(part) or "")
            size += len(pieces[-1])
        size += start - at
        check_size(size)
        at = end
        if not every:
            break
    pieces.append(text[at:])
    check_size(size + len(text) - at)
    return "".join(pieces)


def _replacement(new: str, groups: int) -> list[str | int]:
    """Texts and numbers of groups; 0 is the whole match."""
    plan: list[str | int] = []
    at = 0
    for found in _DOLLAR.finditer(new):
        sign = found[1]
        if sign == "$":
            part: str | int = "$"
        elif sign == "&":
            part = 0
        else:
            # "$12" is group 12 if there is one, else group 1 and a "2".
            number = sign if int(sign) <= groups else sign[0]
            if not 1 <= int(number) <= groups:
                continue
            plan += [new[at : found.start()], int(number), sign[len(number) :]]
            at = found.end()
            continue
        plan += [new[at : found.start()], part]
        at = found.end()
    plan.append(new[at:])
    return [part for part in plan if part != ""]


_DOLLAR: Final = re.compile(r"\$(\$|&|[0-9]{1,2})")
