"""Text to tree: a lexer and a Pratt parser for templates and for the inside of one hole.

The grammar is the one users of Make know: ``;`` between arguments, ``"`` doubled inside a text,
module ids as first step (``1.email``), backticks around names with spaces, 1-based ``[n]``. The
comma option is the older form that connector files use.

What people type rather than what exports hold is accepted in arguments only: an argument that is no
expression, such as ``HH:mm`` or ``+420$&``, is taken as its own text.

Limits of one hole keep a hostile text from costing anything: 32 KB, 5000 tokens, 64 levels.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from millrace.errors import ExpressionError
from millrace.expressions.convert import number_from_text
from millrace.expressions.scope import ERASE, IGNORE
from millrace.expressions.tree import (
    Call,
    Chain,
    Computed,
    Dynamic,
    Hole,
    Index,
    Items,
    Key,
    Literal,
    Node,
    Path,
    Reference,
    Step,
    TemplateTree,
    Unary,
    Whole,
    Word,
    Words,
)

MAX_SOURCE: Final = 32 * 1024
MAX_TOKENS: Final = 5_000
MAX_DEPTH: Final = 64

KEYWORDS: Final = {
    "null": None,
    "true": True,
    "false": False,
    "emptystring": "",
    "space": " ",
    "tab": "\t",
    "newline": "\n",
    "carriagereturn": "\r",
    "nbsp": "\u00a0",
    "pi": 3.141592653589793,
    "ignore": IGNORE,
    "erase": ERASE,
}
"""Keywords with a fixed value. ``emptyarray`` is dynamic: each use must be a new list."""

DYNAMIC: Final = frozenset({"now", "timestamp", "random", "uuid", "emptyarray"})

POWER: Final = {
    "|": 1,
    "&": 2,
    **dict.fromkeys(("=", "!=", "<", "<=", ">", ">="), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
}
"""How strongly an operator binds; higher binds tighter."""

SPELLINGS: Final = {
    "or": "|",
    "||": "|",
    "and": "&",
    "&&": "&",
    "==": "=",
    "===": "=",
    "!==": "!=",
    "<>": "!=",
    "mod": "%",
}

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<end>\}\})
    |(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w$]))
    |(?P<word>[\w$]+)
    |(?P<text>"[^"]*(?:""[^"]*)*"|(?<![\w$])'[^']*(?:''[^']*)*')
    |(?P<tick>`[^`]*`)
    |(?P<sign>===?|!==?|<>|<=|>=|&&|\|\||[=<>&|+\-*/%!()\[\];.,])
    |(?P<junk>.)""",
    re.VERBOSE | re.DOTALL,
)
# Bounded, so that many openings without an end stay linear.
_REGEX: Final = re.compile(
    r"/(?:\\.|\[(?:\\.|[^\]\\\n]){0,500}\]|[^/\\\[\n]){1,2000}/[a-z]{0,6}(?=\s*[;,)])"
)
_DATE_WORD: Final = re.compile(
    r"(?:YY|YYYY|Q|Qo|M|Mo|MM|MMM|MMMM|D|Do|DD|DDD|DDDD|d|do|dd|ddd|dddd|E|w|ww|W|WW|gg|gggg|GG|GGGG"
    r"|H|HH|h|hh|k|kk|A|a|m|mm|s|ss|S{1,9}|Z|ZZ|X|x)\Z"
)
_DATE: Final = re.compile(r"[0-9]{4}(?:-[0-9]{2}-[0-9]{2}|/[0-9]{2}/[0-9]{2})")
_NUMBERED_REFERENCE: Final = re.compile(r"(?<![\w.])[0-9]+\.[A-Za-z_$`]")


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _LimitReached(ExpressionError):
    """A budget of the parser; no other reading of the text is tried."""


def parse_template(source: str, *, comma: bool = False) -> TemplateTree:
    """Split a mapped text into texts and holes.

    Args:
        source: The text as the user wrote it. Only holes count against the limits.
        comma: Arguments are separated by commas, as in connector files.

    Raises:
        ExpressionError: a hole does not parse; the position is in `source`.
    """
    parts: list[str | Hole] = []
    at = 0
    while True:
        opening = source.find("{{", at)
        if opening < 0:
            break
        # In "{{{1.x}}}" the outer braces are text: no expression starts with a brace.
        while source.startswith("{", opening + 2):
            opening += 1
        if opening > at:
            parts.append(source[at:opening])
        tokens, at = _tokenise(source, opening + 2, inside_braces=True, comma=comma)
        parts.append(Hole(_Parser(source, tokens, comma=comma).whole(), opening))
    if at < len(source):
        parts.append(source[at:])
    return TemplateTree(tuple(parts))


def parse_expression(source: str, *, comma: bool = False) -> TemplateTree:
    """Parse the inside of one hole, written without its braces.

    Raises:
        ExpressionError: it does not parse.
    """
    tokens, _ = _tokenise(source, 0, inside_braces=False, comma=comma)
    return TemplateTree((Hole(_Parser(source, tokens, comma=comma).whole(), 0),))


def _tokenise(
    source: str, start: int, *, inside_braces: bool, comma: bool
) -> tuple[list[_Token], int]:
    """Tokens up to the closing braces (or the end), and the position after them."""
    tokens: list[_Token] = []
    opens_argument = False
    at = start
    while at < len(source):
        if at - start > MAX_SOURCE:
            raise _LimitReached(
                f"an expression may have at most {MAX_SOURCE} characters", position=start
            )
        if len(tokens) >= MAX_TOKENS:
            raise _LimitReached(f"an expression may have at most {MAX_TOKENS} parts", position=at)
        if opens_argument and source[at] == "/":
            regex = _REGEX.match(source, at)
            if regex:
                tokens.append(_Token("text", regex.group(), at, regex.end()))
                at = regex.end()
                opens_argument = False
                continue
        match = _TOKEN.match(source, at)
        if match is None:  # every character is at least junk
            break
        kind = str(match.lastgroup)
        text = match.group()
        if kind == "end" and inside_braces:
            tokens += [_Token("end", "", at, at)] * 2
            return tokens, match.end()
        if kind == "junk" and (text == '"' or (text == "'" and _opens_text(source, at))):
            raise ExpressionError("a text that starts here has no closing quote", position=at)
        if kind == "junk" and text == "`":
            raise ExpressionError("a name that starts here has no closing backtick", position=at)
        if kind == "text":
            quote = text[0]
            text = text[1:-1].replace(quote + quote, quote)
        elif kind == "tick":
            text = text[1:-1]
        elif kind == "end":
            kind = "junk"
        if kind != "space":
            tokens.append(_Token(kind, text, at, match.end()))
            opens_argument = kind == "sign" and (
                text == "(" or text == ";" or (comma and text == ",")
            )
        at = match.end()
    if inside_braces:
        raise ExpressionError("the braces {{ that open here are not closed", position=start - 2)
    if at - start > MAX_SOURCE:
        raise _LimitReached(
            f"an expression may have at most {MAX_SOURCE} characters", position=start
        )
    tokens += [_Token("end", "", at, at)] * 2
    return tokens, at


def _opens_text(source: str, at: int) -> bool:
    before = source[at - 1] if at else " "
    return not (before.isalnum() or before in "_$")


class _Parser:
    """One hole. The tokens end with two ``end`` tokens, so looking ahead by one is always safe."""

    def __init__(self, source: str, tokens: list[_Token], *, comma: bool) -> None:
        self.source = source
        self.tokens = tokens
        self.index = 0
        self.depth = 0
        self.arguments = 0
        self.separators = (";", ",") if comma else (";",)

    def whole(self) -> Node | None:
        if self.tokens[0].kind == "end":
            return None
        node = self.expression(1)
        if self.tokens[self.index].kind != "end":
            raise self.unexpected()
        return node

    def expression(self, floor: int) -> Node:
        """Operators that bind at least as strongly as `floor`."""
        self.deeper(1)
        left = self.unary()
        operator = self.operator()
        while operator is not None and POWER[operator] >= floor:
            power = POWER[operator]
            rest: list[tuple[str, Node, int]] = []
            while operator is not None and POWER[operator] == power:
                position = self.tokens[self.index].start
                self.index += 1
                rest.append((operator, self.expression(power + 1), position))
                operator = self.operator()
            left = Chain(left, tuple(rest))
        self.depth -= 1
        return left

    def operator(self) -> str | None:
        token = self.tokens[self.index]
        if token.kind not in ("sign", "word"):
            return None
        name = SPELLINGS.get(token.text.lower(), token.text)
        return name if name in POWER else None

    def unary(self) -> Node:
        signs: list[_Token] = []
        while True:
            token = self.tokens[self.index]
            if token.kind == "sign" and token.text in "-!":
                signs.append(token)
            elif token.kind == "word" and token.text.lower() == "not" and self.starts_operand(1):
                signs.append(token._replace(text="!"))
            else:
                break
            self.index += 1
            self.deeper(1)
        node = self.postfix()
        for sign in reversed(signs):
            number = isinstance(node, Literal) and type(node.value) in (int, float)
            if sign.text == "-" and number:
                node = Literal(-node.value)  # type: ignore[union-attr]
            else:
                node = Unary(sign.text, node, sign.start)
        self.depth -= len(signs)
        return node

    def starts_operand(self, ahead: int) -> bool:
        token = self.tokens[self.index + ahead]
        if token.kind == "word":
            return token.text.lower() not in SPELLINGS
        return token.kind in ("number", "text", "tick") or token.text == "("

    def postfix(self) -> Node:
        token = self.tokens[self.index]
        start = token.start
        self.index += 1
        following = self.tokens[self.index]
        if token.kind == "text":
            return Literal(token.text)
        if token.kind == "number":
            if following.text != "." or following.kind != "sign" or "e" in token.text.lower():
                return Literal(_number(token))
            first, *fraction = token.text.split(".")
            return self.reference(first, [Key(name) for name in fraction], start)
        if token.kind == "tick":
            return self.reference(token.text, [], start)
        if token.kind == "word":
            return self.word(token, following)
        if token.kind == "sign" and token.text == "(":
            node = self.expression(1)
            self.expect(")")
            return self.path(node, start)
        if token.kind == "sign" and token.text == "[":
            return self.path(Items(self.listed("]")), start)
        self.index -= 1
        raise self.unexpected()

    def word(self, token: _Token, following: _Token) -> Node:
        sign = following.text if following.kind == "sign" else ""
        if sign == "(":
            self.index += 1
            return self.path(Call(token.text, self.listed(")"), token.start), token.start)
        if sign not in (".", "["):
            if token.text in KEYWORDS:
                return Literal(KEYWORDS[token.text])
            if token.text in DYNAMIC:
                return Dynamic(token.text)
            if self.arguments:
                return Word(token.text, token.start)
        return self.reference(token.text, [], token.start)

    def reference(self, first: str, steps: list[Step], start: int) -> Node:
        self.steps(steps)
        return Reference(first, tuple(steps), self.written(start))

    def path(self, base: Node, start: int) -> Node:
        steps: list[Step] = []
        self.steps(steps)
        return Path(base, tuple(steps), self.written(start)) if steps else base

    def steps(self, steps: list[Step]) -> None:
        while True:
            token = self.tokens[self.index]
            if token.kind != "sign" or token.text not in (".", "["):
                return
            self.index += 1
            following = self.tokens[self.index]
            if token.text == ".":
                if following.kind not in ("word", "tick", "number"):
                    raise ExpressionError(
                        "a name is expected after the dot", position=following.start
                    )
                self.index += 1
                names = following.text.split(".") if following.kind == "number" else ()
                steps.extend(map(Key, names or (following.text,)))
            elif following.kind == "sign" and following.text == "]":
                self.index += 1
                steps.append(Whole())
            else:
                node = self.expression(1)
                self.expect("]")
                literal = isinstance(node, Literal) and type(node.value) is int
                steps.append(Index(node.value) if literal else Computed(node))  # type: ignore[union-attr]

    def written(self, start: int) -> str:
        return self.source[start : self.tokens[self.index - 1].end]

    def listed(self, closing: str) -> tuple[Node, ...]:
        """Arguments of a call or items of an array, up to the closing sign."""
        if self.at_sign(closing):
            self.index += 1
            return ()
        found: list[Node] = []
        self.arguments += 1
        while True:
            found.append(self.argument(closing))
            if self.at_sign(closing):
                break
            if not self.at_sign(*self.separators):
                raise self.unexpected()
            self.index += 1
        self.index += 1
        self.arguments -= 1
        return tuple(found)

    def argument(self, closing: str) -> Node:
        start, depth, arguments = self.index, self.depth, self.arguments
        ends = (closing, *self.separators)
        if self.at_sign(*ends):
            return Literal(None)
        try:
            node = self.expression(1)
            if not self.at_sign(*ends):
                raise self.unexpected()
        except _LimitReached:
            raise
        except ExpressionError:
            self.index, self.depth, self.arguments = start, depth, arguments
            text = self.plain_text(ends)
            if text is None:
                raise
            return Literal(text)
        return self.as_typed(node, self.written(self.tokens[start].start))

    def as_typed(self, node: Node, text: str) -> Node:
        """What parses but is more likely meant as it is written: a date, a format, a few words."""
        if isinstance(node, Word):
            return node
        if isinstance(node, Chain):
            if _DATE.fullmatch(text):
                return Literal(text)
        elif isinstance(node, Items) and len(node.nodes) == 1 and isinstance(node.nodes[0], Word):
            return Literal(text)
        names = _bare_names(node)
        return Words(text, node, names) if names else node

    def plain_text(self, ends: tuple[str, ...]) -> str | None:
        """The argument as it is written, unless it holds something that only an expression has."""
        start = self.tokens[self.index].start
        index = self.index
        while True:
            token = self.tokens[index]
            if token.kind == "sign" and token.text in ends:
                break
            if token.kind in ("text", "tick", "end") or token.text in ("(", "{", "}"):
                return None
            index += 1
        text = self.source[start : self.tokens[index - 1].end]
        if _NUMBERED_REFERENCE.search(text):
            return None
        self.index = index
        return text

    def at_sign(self, *texts: str) -> bool:
        token = self.tokens[self.index]
        return token.kind == "sign" and token.text in texts

    def expect(self, text: str) -> None:
        if not self.at_sign(text):
            raise self.unexpected(f"“{text}” is missing before")
        self.index += 1

    def deeper(self, levels: int) -> None:
        self.depth += levels
        if self.depth > MAX_DEPTH:
            raise _LimitReached(
                f"an expression may be nested at most {MAX_DEPTH} levels deep",
                position=self.tokens[self.index].start,
            )

    def unexpected(self, what: str = "unexpected") -> ExpressionError:
        token = self.tokens[self.index]
        if token.kind == "end":
            return ExpressionError(
                f"{what} the end of the expression"
                if "missing" in what
                else "something is missing",
                position=token.start,
            )
        shown = self.source[token.start : token.end]
        hint = ""
        if shown in "{}":
            hint = "; braces have no meaning inside an expression, use toJSON to write JSON"
        elif shown == "\\":
            hint = "; quotes inside an expression are written without a backslash"
        elif shown == "(":
            hint = "; a function has a name of one word"
        elif shown == ",":
            hint = "; arguments are separated by semicolons"
        shown = shown if len(shown) <= 20 else shown[:20] + "…"
        return ExpressionError(f"{what} “{shown}”{hint}", position=token.start)


def _number(token: _Token) -> int | float:
    number = number_from_text(token.text)
    if number is None:
        raise ExpressionError("the number is too large", position=token.start)
    return number


def _bare_names(node: Node) -> tuple[str, ...]:
    """The names in an expression made of bare words, signs and numbers only; else nothing."""
    names: list[str] = []
    pending: list[Node] = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, Word):
            names.append(part.name)
        elif isinstance(part, Chain):
            pending.append(part.first)
            pending.extend(operand for _, operand, _ in part.rest)
        elif isinstance(part, Unary):
            pending.append(part.operand)
        elif isinstance(part, Reference):
            steps = [part.first, *(step.name for step in part.steps if isinstance(step, Key))]
            if len(steps) != len(part.steps) + 1 or not all(map(_DATE_WORD.match, steps)):
                return ()
            names.append(part.first)
        elif not (isinstance(part, Literal) and type(part.value) in (int, float)):
            return ()
    return tuple(names)
