"""Read a feed, or give what is new in it."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from millrace.appkit import Answer, Call, refusal
from millrace.apps.rss.entry import bundle, date_of, mark_of
from millrace.errors import DataError, InvalidConfigurationError

MAX_FEED_BYTES = 10 * 1024 * 1024
"""Of the feed, unpacked. The largest feeds of podcasts that people subscribe to have about 5 MB."""

MAX_REMEMBERED = 5_000
"""Items that a watch remembers, the newest ones. Feeds show a few hundred at most, so an item that
is forgotten has long left the feed."""

DEFAULT_LIMIT = 10
_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


async def read(call: Call) -> Answer:
    """The items of a feed, in its order, between two dates if those are given."""
    given = call.parameters
    found = await _items(call, await _fetch(call, {}))
    first = _instant(given.get("date_from")) or _EVER[0]
    last = _instant(given.get("date_to")) or _EVER[1]
    if (first, last) != _EVER:
        # An item without a date is not between two dates.
        found = [item for item in found if (date := date_of(item)) and first <= date <= last]
    return list(islice(found, _limit(call)))


async def watch(call: Call) -> Answer:
    """The items not given before, oldest first.

    State: ``seen`` (marks of the items given or passed over), ``etag`` and ``modified`` (to ask
    only for what changed), ``lastDate``. An item that does not fit into the limit is not marked,
    and so it comes next time.
    """
    response = await _fetch(call, _conditions(call.state))
    if response.status == 304:
        return []
    found = await _items(call, response)
    seen = call.state.get("seen")
    is_first = seen is None
    known = dict.fromkeys(seen or ())
    new = [item for item in found if mark_of(item) not in known]
    if is_first:
        new = _start(call, new)
    # Feeds begin with the newest; the sort keeps that order among items without a date.
    new.reverse()
    if all(date_of(item) for item in new):
        new.sort(key=lambda item: date_of(item) or _EVER[0])
    chosen = new[: _limit(call)]
    waiting = {mark_of(item) for item in new[len(chosen) :]}
    marks = [mark for item in reversed(found) if (mark := mark_of(item)) not in waiting]
    remembered = list(dict.fromkeys([*known, *marks]))[-MAX_REMEMBERED:]
    dates = [date for item in chosen if (date := date_of(item))]
    call.state.clear()
    call.state.update(seen=remembered, lastDate=(max(dates) if dates else call.now).isoformat())
    if not waiting:
        for name, header in (("etag", "etag"), ("modified", "last-modified")):
            if value := response.headers.get(header):
                call.state[name] = value
    return chosen


def _start(call: Call, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What counts as new at the first check."""
    # A chosen starting point may also come as a state without marks.
    since = _instant(call.state.get("lastDate"))
    if since is None:
        match call.parameters.get("start") or "now":
            case "all":
                return items
            case "since":
                since = _instant(call.parameters.get("since")) or call.now
            case _:
                return []
    return [item for item in items if (date := date_of(item)) is None or date >= since]


def _conditions(state: Mapping[str, Any]) -> dict[str, str]:
    names = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
    return {header: state[name] for name, header in names.items() if state.get(name)}


async def _fetch(call: Call, headers: Mapping[str, str]) -> Any:
    if call.http is None:
        raise InvalidConfigurationError("RSS: there is no way out of here.")
    given = call.parameters
    asked = {
        "Accept": "application/rss+xml, application/atom+xml, application/xml;q=0.9, */*;q=0.5",
        **headers,
    }
    if given.get("compressed") is False:
        asked["Accept-Encoding"] = "identity"
    if given.get("username"):
        pair = f"{given['username']}:{given.get('password') or ''}"
        asked["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    response = await call.http.request("GET", given["url"], headers=asked, max_bytes=MAX_FEED_BYTES)
    if response.status >= 400:
        raise refusal(
            response.status,
            _refused(response.status),
            headers=response.headers,
            now=call.now,
        )
    return response


def _refused(status: int) -> str:
    match status:
        case 401 | 403:
            return "RSS: the feed is not for everybody; check user name and password"
        case 429:
            return "RSS: the server asks us to come back later"
        case _ if status >= 500:
            return "RSS: the server does not work now"
    return "RSS: there is no feed at this address"


async def _items(call: Call, response: Any) -> list[dict[str, Any]]:
    include = [str(each) for each in call.parameters.get("include") or ()]
    return await asyncio.to_thread(_parse, response, include)


def _parse(response: Any, include: list[str]) -> list[dict[str, Any]]:
    import feedparser

    kind = response.headers.get("content-type")
    headers = {"content-type": kind} if kind else {}
    # A stream, never the bytes themselves: feedparser would try them as a file name first.
    feed = feedparser.parse(io.BytesIO(response.content), response_headers=headers)
    if not feed.get("version") and not feed.entries:
        raise DataError("RSS: what is at this address is not a feed (neither RSS nor Atom).")
    return [bundle(entry, base=response.url, include=include) for entry in feed.entries]


def _limit(call: Call) -> int:
    limit = call.parameters.get("limit")
    return DEFAULT_LIMIT if limit is None else max(1, int(limit))


def _instant(value: Any) -> datetime | None:
    """An instant as a parameter or a kept state has it."""
    if isinstance(value, str) and value:
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
