"""The words of IMAP commands (RFC 3501, 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

Word = "bytes | list[Word]"

_TOKEN = re.compile(
    rb"""\s*(?:
        (?P<open>\() | (?P<close>\))
      | "(?P<quoted>(?:[^"\\]|\\["\\])*)"
      | (?P<atom>[^\s()"\[\]]+(?:\[[^\]]*\](?:<[\d.]+>)?)?)
    )""",
    re.VERBOSE,
)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class Malformed(Exception):
    """The command cannot be understood."""


def words(pieces: Sequence[bytes]) -> list:
    """The words of a command; parentheses become lists.

    Args:
        pieces: Text, literal, text, literal, …, text, as they came.
    """
    root: list = []
    stack = [root]
    for number, piece in enumerate(pieces):
        if number % 2:
            stack[-1].append(piece)
            continue
        position = 0
        while piece[position:].strip():
            token = _TOKEN.match(piece, position)
            if token is None:
                raise Malformed
            position = token.end()
            if token["open"]:
                inner: list = []
                stack[-1].append(inner)
                stack.append(inner)
            elif token["close"]:
                if len(stack) == 1:
                    raise Malformed
                stack.pop()
            elif token["quoted"] is not None:
                stack[-1].append(re.sub(rb"\\(.)", rb"\1", token["quoted"]))
            else:
                stack[-1].append(token["atom"])
    if len(stack) != 1:
        raise Malformed
    return root


def numbers(given: bytes, *, largest: int) -> Iterator[range]:
    """The ranges of a sequence set; ``*`` is the largest number there is."""
    for part in given.split(b","):
        low, colon, high = part.partition(b":")
        ends = []
        for end in (low, high if colon else low):
            if not (end == b"*" or end.isdigit()):
                raise Malformed
            ends.append(largest if end == b"*" else int(end))
        yield range(min(ends), max(ends) + 1)


def day(given: bytes) -> date:
    """``17-Jul-1996``."""
    number, month, year = given.decode("ascii", "replace").strip().split("-")
    return date(int(year), MONTHS.index(month.title()) + 1, int(number))


def instant(given: bytes) -> datetime:
    """``17-Jul-1996 02:44:25 -0700``, the day padded with a space."""
    text, _, rest = given.strip().partition(b" ")
    when = day(text)
    clock = datetime.strptime(rest.decode("ascii"), "%H:%M:%S %z")
    return datetime.combine(when, clock.timetz()).astimezone(UTC)


def show_instant(when: datetime) -> str:
    """The same, the other way round."""
    when = when.astimezone(UTC)
    return f'"{when.day:2d}-{MONTHS[when.month - 1]}-{when:%Y %H:%M:%S} +0000"'


def quoted(text: str) -> str:
    """A text between quotes; what cannot stand there is left out."""
    clean = re.sub(r"[\x00-\x1f\x7f-\uffff]", "", text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'
