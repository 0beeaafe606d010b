"""Moment's format tokens: a date as text, and a text as date.

What Make's help leaves open follows Moment.js 2.30 in English
(https://momentjs.com/docs/#/parsing/ and
#/displaying/, read 2026-11-21). Weeks of ``w`` and ``gg`` start on Sunday, those of ``W`` and
``GG`` on
Monday.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from millrace.errors import ExpressionError
from millrace.expressions.dates import DAYS, MONTHS, from_wall

_TOKEN: Final = re.compile(
    r"\[(?P<escaped>[^\[\]]*)\]|(?P<token>YYYYYY|YYYYY|YYYY|YY|Y|Qo|Q|Mo|MMMM|MMM|MM|M|DDDD|DDDo|DDD|Do|DD|D"
    r"|dddd|ddd|dd|do|d|E|e|wo|ww|w|Wo|WW|W|gggg|gg|GGGG|GG|HH|H|hh|h|kk|k|A|a|mm|m|ss|s|S{1,9}|ZZ|Z|zz|z"
    r"|X|x|LTS|LT|LLLL|LLL|LL|L|llll|lll|ll|l)|(?P<plain>.)",
    re.DOTALL,
)
_LONG_FORMS: Final = {
    "LTS": "h:mm:ss A",
    "LT": "h:mm A",
    "L": "MM/DD/YYYY",
    "LL": "MMMM D, YYYY",
    "LLL": "MMMM D, YYYY h:mm A",
    "LLLL": "dddd, MMMM D, YYYY h:mm A",
    "l": "M/D/YYYY",
    "ll": "MMM D, YYYY",
    "lll": "MMM D, YYYY h:mm A",
    "llll": "ddd, MMM D, YYYY h:mm A",
}
_LONGEST_FORMAT: Final = 1_000

Show = Callable[[datetime], str]


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, ..."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def sunday_week(day: date) -> tuple[int, int]:
    """Year and number of the week that starts on Sunday and holds January 1 in week 1."""
    sunday = day.toordinal() - day.isoweekday() % 7
    saturday = min(sunday + 6, date.max.toordinal())
    year = date.fromordinal(saturday).year
    first = date(year, 1, 1)
    start = first.toordinal() - first.isoweekday() % 7
    return year, (sunday - start) // 7 + 1


def _offset(moment: datetime, colon: str) -> str:
    delta = moment.utcoffset() or timedelta()
    minutes = round(delta.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{colon}{abs(minutes) % 60:02d}"


def _unix(moment: datetime) -> int:
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def _twelve(moment: datetime) -> int:
    return moment.hour % 12 or 12


def _day_of_year(moment: datetime) -> int:
    return moment.timetuple().tm_yday


def _fraction(digits: int) -> Show:
    # A date has milliseconds; further digits are zeros.
    return lambda m: f"{m.microsecond // 1000:03d}000000"[:digits]


_SHOW: Final[dict[str, Show]] = {
    "YYYYYY": lambda m: f"+{m.year:06d}",
    "YYYYY": lambda m: f"{m.year:05d}",
    "YYYY": lambda m: f"{m.year:04d}",
    "YY": lambda m: f"{m.year % 100:02d}",
    "Y": lambda m: f"{m.year:04d}",
    "Q": lambda m: str((m.month + 2) // 3),
    "Qo": lambda m: ordinal((m.month + 2) // 3),
    "M": lambda m: str(m.month),
    "Mo": lambda m: ordinal(m.month),
    "MM": lambda m: f"{m.month:02d}",
    "MMM": lambda m: MONTHS[m.month - 1][:3],
    "MMMM": lambda m: MONTHS[m.month - 1],
    "D": lambda m: str(m.day),
    "Do": lambda m: ordinal(m.day),
    "DD": lambda m: f"{m.day:02d}",
    "DDD": lambda m: str(_day_of_year(m)),
    "DDDo": lambda m: ordinal(_day_of_year(m)),
    "DDDD": lambda m: f"{_day_of_year(m):03d}",
    "d": lambda m: str(m.isoweekday() % 7),
    "do": lambda m: ordinal(m.isoweekday() % 7),
    "dd": lambda m: DAYS[m.isoweekday() % 7][:2],
    "ddd": lambda m: DAYS[m.isoweekday() % 7][:3],
    "dddd": lambda m: DAYS[m.isoweekday() % 7],
    "e": lambda m: str(m.isoweekday() % 7),
    "E": lambda m: str(m.isoweekday()),
    "w": lambda m: str(sunday_week(m.date())[1]),
    "wo": lambda m: ordinal(sunday_week(m.date())[1]),
    "ww": lambda m: f"{sunday_week(m.date())[1]:02d}",
    "W": lambda m: str(m.isocalendar().week),
    "Wo": lambda m: ordinal(m.isocalendar().week),
    "WW": lambda m: f"{m.isocalendar().week:02d}",
    "gg": lambda m: f"{sunday_week(m.date())[0] % 100:02d}",
    "gggg": lambda m: f"{sunday_week(m.date())[0]:04d}",
    "GG": lambda m: f"{m.isocalendar().year % 100:02d}",
    "GGGG": lambda m: f"{m.isocalendar().year:04d}",
    "H": lambda m: str(m.hour),
    "HH": lambda m: f"{m.hour:02d}",
    "h": lambda m: str(_twelve(m)),
    "hh": lambda m: f"{_twelve(m):02d}",
    "k": lambda m: str(m.hour or 24),
    "kk": lambda m: f"{m.hour or 24:02d}",
    "A": lambda m: "AM" if m.hour < 12 else "PM",
    "a": lambda m: "am" if m.hour < 12 else "pm",
    "m": lambda m: str(m.minute),
    "mm": lambda m: f"{m.minute:02d}",
    "s": lambda m: str(m.second),
    "ss": lambda m: f"{m.second:02d}",
    **{"S" * digits: _fraction(digits) for digits in range(1, 10)},
    "Z": lambda m: _offset(m, ":"),
    "ZZ": lambda m: _offset(m, ""),
    "z": lambda m: m.tzname() or "",
    "zz": lambda m: m.tzname() or "",
    "X": lambda m: str(_unix(m) // 1000),
    "x": lambda m: str(_unix(m)),
}


@lru_cache(maxsize=1_000)
def _split_format(text: str) -> tuple[tuple[str, bool], ...]:
    """Pieces of a format, each with whether it is a token."""
    if len(text) > _LONGEST_FORMAT:
        raise ExpressionError(f"the format is longer than {_LONGEST_FORMAT} characters")
    pieces: list[tuple[str, bool]] = []
    for match in _TOKEN.finditer(text):
        token = match["token"]
        if token is None:
            plain = match["plain"] if match["escaped"] is None else match["escaped"]
            if pieces and not pieces[-1][1]:
                plain = pieces.pop()[0] + plain
            pieces.append((plain, False))
        elif token in _LONG_FORMS:
            pieces.extend(_split_format(_LONG_FORMS[token]))
        else:
            pieces.append((token, True))
    return tuple(pieces)


@lru_cache(maxsize=1_000)
def _writer(text: str) -> tuple[str | Show, ...]:
    return tuple(_SHOW[piece] if is_token else piece for piece, is_token in _split_format(text))


def format_moment(moment: datetime, text: str, zone: tzinfo) -> str:
    """A date in a format, as a clock in `zone` shows it.

    Raises:
        ExpressionError: the format is too long.
        OverflowError: the shown date is outside the years 1 to 9999.
    """
    local = moment.astimezone(zone)
    return "".join([part if isinstance(part, str) else part(local) for part in _writer(text)])


_DIGITS: Final = {
    "YYYYYY": r"[+-]?\d{1,6}",
    "YYYYY": r"[+-]?\d{1,6}",
    "YYYY": r"\d{4}|\d{1,2}",
    "GGGG": r"\d{4}|\d{1,2}",
    "gggg": r"\d{4}|\d{1,2}",
    "Y": r"[+-]?\d{1,6}",
    "YY": r"\d{1,2}",
    "GG": r"\d{1,2}",
    "gg": r"\d{1,2}",
    "DDD": r"\d{1,3}",
    "DDDD": r"\d{1,3}",
    "X": r"[+-]?\d{1,14}(?:\.\d{1,9})?",
    "x": r"[+-]?\d{1,17}",
    "Q": r"\d",
    "E": r"\d",
    "e": r"\d",
    "d": r"\d",
}
_NAMED: Final = {
    "MMM": r"[A-Za-z]{3,9}\.?",
    "MMMM": r"[A-Za-z]{3,9}\.?",
    "dd": r"[A-Za-z]{2,9}\.?",
    "ddd": r"[A-Za-z]{2,9}\.?",
    "dddd": r"[A-Za-z]{2,9}\.?",
    "Do": r"\d{1,2}(?:st|nd|rd|th)?",
    "Mo": r"\d{1,2}(?:st|nd|rd|th)?",
    "Qo": r"\d(?:st|nd|rd|th)?",
    "DDDo": r"\d{1,3}(?:st|nd|rd|th)?",
    "A": r"[AaPp]\.?(?:[Mm]\.?)?",
    "a": r"[AaPp]\.?(?:[Mm]\.?)?",
    "Z": r"[Zz]|[+-]\d{2}:?\d{2}|[+-]\d{2}",
    "ZZ": r"[Zz]|[+-]\d{2}:?\d{2}|[+-]\d{2}",
    "z": r"[A-Za-z]{1,5}",
    "zz": r"[A-Za-z]{1,5}",
}
# Two tokens without anything between them ("YYYYMMDD") must not take each other's digits.
_FIXED: Final = {"MM": 2, "DD": 2, "HH": 2, "hh": 2, "kk": 2, "mm": 2, "ss": 2, "WW": 2, "ww": 2}


@lru_cache(maxsize=1_000)
def _reader(text: str) -> tuple[tuple[str | None, re.Pattern[str] | str], ...]:
    steps: list[tuple[str | None, re.Pattern[str] | str]] = []
    pieces = _split_format(text)
    for index, (piece, is_token) in enumerate(pieces):
        if not is_token:
            steps.append((None, piece))
            continue
        tight = index + 1 < len(pieces) and pieces[index + 1][1]
        pattern = _DIGITS.get(piece) or _NAMED.get(piece)
        if pattern is None:
            pattern = rf"\d{{1,{len(piece)}}}" if piece[0] == "S" else r"\d{1,2}"
            if piece in _FIXED and tight:
                pattern = r"\d{2}"
        elif piece == "YYYY" and tight:
            pattern = r"\d{4}"
        steps.append((piece, re.compile(pattern, re.ASCII)))
    return tuple(steps)


def parse_moment(text: str, form: str, zone: tzinfo, now: datetime) -> datetime:
    """The date that a text in a format names.

    Parts that the format leaves out are those of today when they are larger than the given ones,
    and the smallest possible when they are smaller, as in Moment. What follows the last token is
    ignored.

    Args:
        text: The date as text.
        form: Moment tokens.
        zone: What the text is read in, unless it holds an offset.
        now: Where missing larger parts come from.

    Raises:
        ExpressionError: the text does not have the format, or there is no such date.
    """
    parts: dict[str, str] = {}
    at = 0
    for name, pattern in _reader(form):
        if isinstance(pattern, str):
            at = _skip(text, at, pattern)
            continue
        match = pattern.match(text, at)
        while match is None and at < len(text) and not text[at].isalnum():
            at += 1
            match = pattern.match(text, at)
        if match is None:
            raise ExpressionError("the text does not have the format of the date")
        parts[str(name)] = match.group()
        at = match.end()
    if not parts:
        raise ExpressionError("the format holds no part of a date")
    try:
        return _built(parts, zone, now)
    except (ValueError, OverflowError) as error:
        raise ExpressionError("there is no such date") from error


def _skip(text: str, at: int, literal: str) -> int:
    """Past a literal of the format; signs may differ, letters must be there to be skipped."""
    if text.startswith(literal, at):
        return at + len(literal)
    for char in literal:
        if at < len(text) and text[at] == char:
            at += 1
    return at


def _int(parts: dict[str, str], *names: str) -> int | None:
    for name in names:
        if name in parts:
            digits = re.match(r"[+-]?\d+", parts[name])
            return int(digits.group()) if digits else None
    return None


def _year(parts: dict[str, str], *names: str) -> int | None:
    for name in names:
        if name in parts:
            number = int(parts[name])
            # Moment's rule for two digits: 69 to 99 are of the last century.
            if len(parts[name].lstrip("+-")) <= 2 and name != "Y":
                return number + (1900 if number > 68 else 2000)
            return number
    return None


def _named(parts: dict[str, str], names: tuple[str, ...], table: tuple[str, ...]) -> int | None:
    for name in names:
        if name in parts:
            word = parts[name].rstrip(".").lower()
            for index, full in enumerate(table):
                if full.lower().startswith(word):
                    return index
            raise ValueError("no such name")
    return None


def _built(parts: dict[str, str], zone: tzinfo, now: datetime) -> datetime:
    if "X" in parts:
        whole, _, fraction = parts["X"].partition(".")
        micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
        sign = -1 if whole.startswith("-") else 1
        return _EPOCH + timedelta(seconds=int(whole), microseconds=sign * micro)
    if "x" in parts:
        return _EPOCH + timedelta(milliseconds=int(parts["x"]))
    day = _day(parts, now.astimezone(zone).date())
    hour = _int(parts, "HH", "H", "hh", "h", "kk", "k")
    half = parts.get("A") or parts.get("a")
    if hour is not None and half is not None and hour <= 12:
        hour = hour % 12 + (12 if half[0] in "Pp" else 0)
    elif hour == 24:
        # 24:00 is the midnight that ends the day; with k it is the one that begins it.
        day = day if "k" in parts or "kk" in parts else day + timedelta(days=1)
        hour = 0
    fraction = next((parts[name] for name in parts if name[0] == "S"), "0")
    naive = datetime(  # noqa: DTZ001  (the zone is put on below)
        day.year,
        day.month,
        day.day,
        hour or 0,
        _int(parts, "mm", "m") or 0,
        _int(parts, "ss", "s") or 0,
        int(fraction[:6].ljust(6, "0")),
    )
    offset = parts.get("Z") or parts.get("ZZ")
    if offset is None:
        return from_wall(naive, zone)
    if offset in "Zz":
        return naive.replace(tzinfo=UTC)
    digits = offset[1:].replace(":", "").ljust(4, "0")
    delta = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return naive.replace(tzinfo=timezone(-delta if offset[0] == "-" else delta)).astimezone(UTC)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _day(parts: dict[str, str], today: date) -> date:
    year = _year(parts, "YYYYYY", "YYYYY", "YYYY", "YY", "Y")
    week_day = _named(parts, ("dddd", "ddd", "dd"), DAYS)
    if week_day is None:
        number = _int(parts, "d", "e")
        week_day = (
            number if number is not None else (_int(parts, "E") or 7) % 7 if "E" in parts else None
        )
    week = _int(parts, "WW", "W", "Wo")
    if week is not None:
        week_year = _year(parts, "GGGG", "GG") or year or today.isocalendar().year
        iso_day = 1 if week_day is None else week_day or 7
        return date.fromisocalendar(week_year, week, iso_day)
    day_of_year = _int(parts, "DDDD", "DDD", "DDDo")
    if day_of_year is not None:
        chosen = today.year if year is None else year
        if not 1 <= day_of_year <= (366 if isleap(chosen) else 365):
            raise ValueError("no such day")
        return date(chosen, 1, 1) + timedelta(days=day_of_year - 1)
    month = _named(parts, ("MMMM", "MMM"), MONTHS)
    month = _int(parts, "MM", "M", "Mo") if month is None else month + 1
    quarter = _int(parts, "Q", "Qo")
    if month is None and quarter is not None:
        if not 1 <= quarter <= 4:
            raise ValueError("no such quarter")
        month = quarter * 3 - 2
    day = _int(parts, "DD", "D", "Do")
    if year is None and month is None and day is None:
        week_year = _year(parts, "GGGG", "GG", "gggg", "gg")
        if week_year is not None:
            return date.fromisocalendar(week_year, 1, 1)
        if week_day is None:
            return today
        sunday = today - timedelta(days=today.isoweekday() % 7)
        return sunday + timedelta(days=week_day)
    if year is None:
        year = today.year
        month = today.month if month is None else month
    return date(year, month or 1, day or 1)


def days_in_month(year: int, month: int) -> int:
    """28 to 31."""
    return monthrange(year, month)[1]
