"""Dates as text: the forms a mapped text may have, and Moment's format tokens both ways.

Sources: the list of accepted texts and the token tables are Workfront Fusion's and Make's public
help; what the help leaves open follows Moment.js 2.30 (https://momentjs.com/docs/), read
2026-11-21.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

_ZONE = (
    r"(?:\s*(?P<zone>Z|(?:UTC|GMT)?\s*(?P<sign>[+-])(?P<zh>\d{2}):?(?P<zm>\d{2})?|UTC|GMT)"
    r"(?:\s*\([^()]{1,40}\))?)?"
)
_TIME = (
    r"(?:(?:[T,]|\s)\s*(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?" + _ZONE + r")?"
)
_FORMS: Final = tuple(
    re.compile(date + _TIME, re.ASCII | re.IGNORECASE)
    for date in (
        r"(?P<y>[+-]?\d{4,6})-(?P<mo>\d{1,2})-(?P<d>\d{1,2})",
        r"(?P<y>\d{4})/(?P<mo>\d{1,2})/(?P<d>\d{1,2})",
        r"(?P<mo>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})",
        r"(?P<d>\d{1,2})\.\s?(?P<mo>\d{1,2})\.\s?(?P<y>\d{4})",
        r"(?P<y>\d{4})(?P<mo>\d{2})(?P<d>\d{2})",
        r"(?:[a-z]{3,9},?\s+)?(?P<d>\d{1,2})(?:st|nd|rd|th)?[\s-]+(?P<name>[a-z]{3,9})\.?,?[\s-]+(?P<y>\d{4})",
        r"(?:[a-z]{3,9},?\s+)?(?P<name>[a-z]{3,9})\.?\s+(?P<d>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<y>\d{4})",
    )
)
_LONGEST: Final = 100

MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def parse_date_text(text: str, zone: tzinfo) -> datetime | None:
    """The instant a text names: day, month and year at least, in one of the forms people use.

    Args:
        text: ISO 8601, ``2016/06/20``, US ``06/20/2016``, ``20.6.2016``, the date of a mail
            header, each with or without a time (24 hours, or 12 with AM/PM) and an offset.
        zone: What a text without an offset is read in.

    Returns:
        None when the text is no date.
    """
    text = text.strip()
    if not 8 <= len(text) <= _LONGEST:
        return None
    for form in _FORMS:
        match = form.fullmatch(text)
        if match:
            return _from_match(match, zone)
    return None


def _from_match(match: re.Match[str], zone: tzinfo) -> datetime | None:
    part = match.groupdict()
    month = _month_named(part["name"]) if part.get("name") else int(part["mo"])
    if month is None:
        return None
    hour = int(part["h"] or 0)
    if part["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if part["half"] in "Pp" else 0)
    fraction = int((part["f"] or "0")[:6].ljust(6, "0"))
    try:
        naive = datetime(  # noqa: DTZ001  (the zone is put on below)
            int(part["y"]),
            month,
            int(part["d"]),
            hour % 24 if hour == 24 else hour,
            int(part["m"] or 0),
            int(part["s"] or 0),
            fraction,
        )
        if hour == 24:
            if naive.minute or naive.second or fraction:
                return None
            naive += timedelta(days=1)
        if part["zone"] is None:
            return from_wall(naive, zone)
        if part["sign"] is None:
            return naive.replace(tzinfo=UTC)
        offset = timedelta(hours=int(part["zh"]), minutes=int(part["zm"] or 0))
        if part["sign"] == "-":
            offset = -offset
        return naive.replace(tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _month_named(name: str) -> int | None:
    name = name.lower()
    for number, full in enumerate(MONTHS, 1):
        if full.lower() == name or (name[:3] == full[:3].lower() and name in (name[:3], "sept")):
            return number
    return None


def from_wall(naive: datetime, zone: tzinfo) -> datetime:
    """The instant when a clock in `zone` shows `naive`.

    A time that the clock skips is moved forward by the skip; of a repeated one the first is meant,
    unless `fold` says otherwise. This is what Moment does.

    Raises:
        OverflowError: the instant is outside the years 1 to 9999.
    """
    return naive.replace(tzinfo=zone).astimezone(UTC)


def to_wall(moment: datetime, zone: tzinfo) -> datetime:
    """What a clock in `zone` shows at an instant; `fold` tells repeated times apart.

    Raises:
        OverflowError: the shown date is outside the years 1 to 9999.
    """
    return moment.astimezone(zone).replace(tzinfo=None)


def zone_named(name: str) -> tzinfo | None:
    """The time zone of the IANA database with that name, or None."""
    if name in ("UTC", "Z", "GMT"):
        return UTC
    if not re.fullmatch(r"[A-Za-z0-9_+\-/]{1,64}", name):
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return None
