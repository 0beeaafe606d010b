"""What IMAP tells of a message, and which messages it finds (RFC 3501, 6.4.4 and 6.4.5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from email.header import decode_header, make_header
from email.utils import getaddresses, parsedate_to_datetime

from millrace.practice.imap_words import Malformed, day, numbers, quoted, show_instant
from millrace.practice.mail import Letter

_SECTION = re.compile(
    rb"BODY(?P<peek>\.PEEK)?\[(?P<section>[^\]]*)\](?:<(?P<start>\d+)(?:\.(?P<length>\d+))?>)?",
    re.IGNORECASE,
)
_MACROS = {
    b"FAST": [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"],
    b"ALL": [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"],
}
_OLD_NAMES = {
    b"RFC822": b"BODY[]",
    b"RFC822.HEADER": b"BODY.PEEK[HEADER]",
    b"RFC822.TEXT": b"BODY[TEXT]",
}
_FLAGS = {b"ANSWERED", b"DELETED", b"DRAFT", b"FLAGGED", b"SEEN"}
Place = tuple[int, Letter]
"""Sequence number and message."""


def items(given: object) -> list[bytes]:
    """The data items that a FETCH asks for, macros replaced."""
    if isinstance(given, list):
        return [item.upper() if b"[" not in item else item for item in given]
    if isinstance(given, bytes):
        return _MACROS.get(given.upper(), [given.upper() if b"[" not in given else given])
    raise Malformed


def marks_as_read(wanted: list[bytes]) -> bool:
    """Whether fetching these sets ``\\Seen``."""
    for item in wanted:
        section = _SECTION.fullmatch(_OLD_NAMES.get(item, item))
        if section and not section["peek"]:
            return True
    return False


def described(letter: Letter, wanted: list[bytes]) -> bytes:
    """The items and their values, without the parentheses."""
    parts: list[bytes] = []
    for item in wanted:
        match item:
            case b"UID":
                parts.append(b"UID %d" % letter.uid)
            case b"FLAGS":
                parts.append(b"FLAGS (%b)" % b" ".join(flag.encode() for flag in _sorted(letter)))
            case b"INTERNALDATE":
                parts.append(b"INTERNALDATE " + show_instant(letter.received_at).encode())
            case b"RFC822.SIZE":
                parts.append(b"RFC822.SIZE %d" % len(letter.raw))
            case b"ENVELOPE":
                parts.append(b"ENVELOPE " + _envelope(letter))
            case _:
                parts.append(_body(letter, item))
    return b" ".join(parts)


def _sorted(letter: Letter) -> list[str]:
    return sorted(letter.flags)


def _body(letter: Letter, item: bytes) -> bytes:
    section = _SECTION.fullmatch(_OLD_NAMES.get(item, item))
    if section is None:
        raise Malformed
    head, _, text = letter.raw.partition(b"\r\n\r\n")
    head += b"\r\n\r\n"
    name = section["section"].upper()
    if name == b"":
        content = letter.raw
    elif name == b"HEADER":
        content = head
    elif name == b"TEXT":
        content = text
    elif fields := re.fullmatch(rb"HEADER\.FIELDS(\.NOT)? \(([^)]*)\)", name):
        content = _fields(head, set(fields[2].split()), is_not=bool(fields[1]))
    else:
        raise Malformed
    shown = item if item in _OLD_NAMES else b"BODY[%b]" % section["section"]
    if section["start"]:
        start = int(section["start"])
        end = start + int(section["length"] or len(content))
        content, shown = content[start:end], shown + b"<%d>" % start
    return b"%b {%d}\r\n%b" % (shown, len(content), content)


def _fields(head: bytes, names: set[bytes], *, is_not: bool) -> bytes:
    kept = [
        field
        for field in re.split(rb"\r\n(?![ \t])", head.rstrip(b"\r\n"))
        if (field.partition(b":")[0].strip().upper() in names) != is_not
    ]
    return b"".join(field + b"\r\n" for field in kept) + b"\r\n"


def _envelope(letter: Letter) -> bytes:
    message = letter.parsed

    def text(name: str) -> str:
        value = message.get(name)
        return "NIL" if value is None else quoted(" ".join(str(value).split()))

    def people(name: str) -> str:
        entries = []
        for display, address in getaddresses([str(each) for each in message.get_all(name, [])]):
            local, _, domain = address.rpartition("@")
            shown = quoted(display) if display else "NIL"
            entries.append(f"({shown} NIL {quoted(local)} {quoted(domain)})")
        return f"({''.join(entries)})" if entries else "NIL"

    sender = people("From")
    fields = [text("Date"), text("Subject"), sender]
    fields += [people(name) if message.get(name) else sender for name in ("Sender", "Reply-To")]
    fields += [people("To"), people("Cc"), people("Bcc"), text("In-Reply-To"), text("Message-ID")]
    return f"({' '.join(fields)})".encode()


class Search:
    """A compiled SEARCH command.

    Args:
        given: Its words, without CHARSET.
        largest: The largest sequence number and the largest UID, which ``*`` stands for.
    """

    def __init__(self, given: list, *, largest: tuple[int, int]) -> None:
        self._largest = largest
        self._words = list(given)
        self._tests: list[Callable[[Place], bool]] = []
        while self._words:
            self._tests.append(self._key())

    def finds(self, place: Place) -> bool:
        """Whether a message meets everything."""
        return all(test(place) for test in self._tests)

    def _next(self) -> bytes:
        if not self._words or not isinstance(self._words[0], bytes):
            raise Malformed
        return self._words.pop(0)

    def _key(self) -> Callable[[Place], bool]:
        if self._words and isinstance(self._words[0], list):
            return Search(self._words.pop(0), largest=self._largest).finds
        word = self._next()
        name = word.upper()
        if name == b"NOT":
            inner = self._key()
            return lambda place: not inner(place)
        if name == b"OR":
            one, other = self._key(), self._key()
            return lambda place: one(place) or other(place)
        if name in (b"ALL", b"OLD"):
            return lambda place: True
        if name in (b"NEW", b"RECENT"):
            return lambda place: False
        if name in _FLAGS:
            return self._flag(f"\\{name.decode().title()}", is_set=True)
        if name.startswith(b"UN") and name[2:] in _FLAGS:
            return self._flag(f"\\{name[2:].decode().title()}", is_set=False)
        if name in (b"KEYWORD", b"UNKEYWORD"):
            return self._flag(self._next().decode("utf-8", "replace"), is_set=name == b"KEYWORD")
        if name in (b"LARGER", b"SMALLER"):
            size, sign = int(self._next()), 1 if name == b"LARGER" else -1
            return lambda place: sign * (len(place[1].raw) - size) > 0
        if name in (b"SINCE", b"BEFORE", b"ON", b"SENTSINCE", b"SENTBEFORE", b"SENTON"):
            return _dated(name, day(self._next()))
        if name == b"UID":
            ranges = list(numbers(self._next(), largest=self._largest[1]))
            return lambda place: any(place[1].uid in one for one in ranges)
        if name in (b"FROM", b"TO", b"CC", b"BCC", b"SUBJECT"):
            return _in_header(name.decode(), self._text())
        if name == b"HEADER":
            return _in_header(self._next().decode("ascii", "replace"), self._text())
        if name in (b"BODY", b"TEXT"):
            return _in_text(self._text(), with_header=name == b"TEXT")
        ranges = list(numbers(word, largest=self._largest[0]))
        return lambda place: any(place[0] in one for one in ranges)

    def _text(self) -> str:
        return self._next().decode("utf-8", "replace").lower()

    @staticmethod
    def _flag(flag: str, *, is_set: bool) -> Callable[[Place], bool]:
        return lambda place: (flag in place[1].flags) == is_set


def _dated(name: bytes, wanted: date) -> Callable[[Place], bool]:
    def of(place: Place) -> date | None:
        if not name.startswith(b"SENT"):
            return place[1].received_at.date()
        try:
            return parsedate_to_datetime(str(place[1].parsed["Date"])).date()
        except (ValueError, TypeError):
            return None

    def test(place: Place) -> bool:
        found = of(place)
        if found is None:
            return False
        match name.removeprefix(b"SENT"):
            case b"SINCE":
                return found >= wanted
            case b"BEFORE":
                return found < wanted
        return found == wanted

    return test


def _decoded(value: object) -> str:
    try:
        return str(make_header(decode_header(str(value))))
    except (ValueError, LookupError):
        return str(value)


def _in_header(name: str, text: str) -> Callable[[Place], bool]:
    def test(place: Place) -> bool:
        values = place[1].parsed.get_all(name, [])
        return any(text in _decoded(value).lower() for value in values)

    return test


def _in_text(text: str, *, with_header: bool) -> Callable[[Place], bool]:
    def test(place: Place) -> bool:
        message = place[1].parsed
        if with_header and any(text in _decoded(value).lower() for value in message.values()):
            return True
        for part in message.walk():
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes) and part.get_content_maintype() == "text":
                charset = part.get_content_charset("utf-8")
                try:
                    decoded = payload.decode(charset, "replace")
                except LookupError:
                    decoded = payload.decode("utf-8", "replace")
                if text in decoded.lower():
                    return True
        return False

    return test
